"""Faults limited to the tokens of an account, or to a host."""

import pytest

from meta_simulator.seed import ANA_CAFE, ANA_STUDIO
from tests.support.instagram_client import CAFE, InstagramClient
from tests.support.meta_client import MetaClient, error_of

ANA = "10220000000000001"


class Callers:
    """A valid token of each kind."""

    def __init__(self, meta: MetaClient, instagram: InstagramClient) -> None:
        ana, fatima = meta.long_token(), meta.long_token("fatima@people.example")
        self.facebook = {
            "ana": ana,
            "her_cafe": meta.page_token(ana, ANA_CAFE.id),
            "her_studio": meta.page_token(ana, ANA_STUDIO.id),
            "fatimas_cafe": meta.page_token(fatima, ANA_CAFE.id),
            "ben": meta.long_token("Ben Carter"),
        }
        self.instagram = {"cafe": instagram.long_token(), "luz": instagram.long_token("luz.cria")}
        self._meta, self._instagram = meta, instagram

    def failing(self) -> set[str]:
        responses = {
            **{name: self._meta.get("/me", access_token=token) for name, token in self.facebook.items()},
            **{name: self._instagram.get("/me", access_token=token) for name, token in self.instagram.items()},
        }
        return {name for name, response in responses.items() if response.is_error}


@pytest.fixture
def callers(meta: MetaClient, instagram: InstagramClient) -> Callers:
    return Callers(meta, instagram)


def _plan(meta: MetaClient, **fault: object) -> None:
    meta.control("POST", "/faults", {"times": None, **fault})


@pytest.mark.parametrize(
    ("account", "rejected"),
    [
        ("cafe.azul", {"cafe", "her_cafe", "fatimas_cafe"}),
        ("@Cafe.Azul", {"cafe", "her_cafe", "fatimas_cafe"}),
        (CAFE, {"cafe", "her_cafe", "fatimas_cafe"}),
        (ANA_CAFE.id, {"her_cafe", "fatimas_cafe"}),
        ("luz.cria", {"luz"}),
        (ANA, {"ana", "her_cafe", "her_studio", "cafe"}),
        ("ben@people.example", {"ben"}),
        ("fatima@people.example", {"fatimas_cafe"}),
    ],
)
def test_account_fault_affects_only_calls_with_its_tokens(
    meta: MetaClient, callers: Callers, account: str, rejected: set[str]
) -> None:
    _plan(meta, account=account, error="server_error")

    assert callers.failing() == rejected


def test_account_fault_is_limited_to_its_operation(meta: MetaClient, instagram: InstagramClient) -> None:
    meta.control("POST", "/faults", {"account": "cafe.azul", "operation": "read_instagram_me", "error": "blocked"})
    cafe, luz = instagram.long_token(), instagram.long_token("luz.cria")

    responses = [instagram.get("/me", access_token=token) for token in (luz, cafe, cafe)]

    assert [response.status_code for response in responses] == [200, 400, 200]
    assert [planned["met"] for planned in meta.control("GET", "/faults")] == [1]


def test_inspected_or_exchanged_token_counts_for_its_owner(meta: MetaClient) -> None:
    ana_token, ben_token = meta.long_token(), meta.long_token("Ben Carter")
    _plan(meta, account="Ana Souza", status=503)

    inspected = [
        meta.get("/debug_token", access_token=meta.app_token, input_token=token).status_code
        for token in (ana_token, ben_token)
    ]
    exchanged = [meta.extend(token).status_code for token in (ana_token, ben_token)]

    assert inspected == exchanged == [503, 200]


def test_invalid_token_counts_for_its_owner(meta: MetaClient, instagram: InstagramClient) -> None:
    token = instagram.long_token()
    meta.control("POST", "/tokens/revoke", {"token": token, "reason": "logged_out"})
    _plan(meta, account="cafe.azul", error="server_error")

    assert error_of(instagram.get("/me", access_token=token)) == (2, None)


def test_account_of_a_fault_is_listed_as_given(meta: MetaClient) -> None:
    _plan(meta, account="@cafe.azul", host="graph.facebook.com", disconnect=True)

    listed = meta.control("GET", "/faults")[0]

    assert (listed["account"], listed["host"]) == ("@cafe.azul", "graph.facebook.com")


@pytest.mark.parametrize("account", ["nobody", "", "104857699999999"])
def test_fault_for_an_unknown_account_is_rejected(meta: MetaClient, account: str) -> None:
    rejected = meta.http.post("/_simulator/faults", json={"account": account, "error": "blocked"})

    assert rejected.status_code == 404
    assert rejected.json() == {"error": "Unknown Instagram account, Page or person."}
    assert meta.control("GET", "/faults") == []


def test_host_fault_blocks_one_product_until_removed(meta: MetaClient, callers: Callers) -> None:
    _plan(meta, host="graph.instagram.com", error="invalid_token")

    assert callers.failing() == {"cafe", "luz"}

    meta.control("DELETE", "/faults")

    assert callers.failing() == set()


def test_blocking_the_instagram_graph_leaves_the_code_exchange_working(
    meta: MetaClient, instagram: InstagramClient
) -> None:
    _plan(meta, host="graph.instagram.com", error="invalid_token")

    assert instagram.exchange(instagram.authorize()).status_code == 200

    _plan(meta, host="api.instagram.com", status=400)

    assert instagram.exchange(instagram.authorize()).status_code == 400
