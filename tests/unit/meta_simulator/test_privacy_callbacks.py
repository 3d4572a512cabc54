"""Deauthorize and data deletion: who is named, with which secret, and what counts as an answer."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from meta_simulator.instagram.app_scoped_ids import app_scoped_id
from tests.support.app_endpoint import AppEndpoint, refuse
from tests.support.instagram_client import CAFE, InstagramClient
from tests.support.meta_client import NOON, REDIRECT_URI, MetaClient, error_of

DEAUTHORIZE = "http://127.0.0.1:8080/deauthorize"
DELETION = "http://127.0.0.1:8080/deletion"
SECRETS = {"facebook": "the-app-secret", "instagram": "the-instagram-secret"}
ANA = "10220000000000001"
CAFE_IN_APP = app_scoped_id("7777", CAFE)
GOOD = {"url": "https://app.example/deletion?code=ab12", "confirmation_code": "ab12"}


@pytest.fixture(autouse=True)
def urls(meta: MetaClient) -> None:
    meta.control("POST", "/callbacks", {"deauthorize_url": DEAUTHORIZE, "data_deletion_url": DELETION})


def decoded(text: str) -> bytes:
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signers(text: str) -> list[str]:
    """Return whose secret signed, as an app finds out."""
    signature, _, payload = text.partition(".")
    return [
        product
        for product, secret in SECRETS.items()
        if decoded(signature) == hmac.new(secret.encode(), payload.encode(), hashlib.sha256).digest()
    ]


def payload_of(text: str) -> Any:
    return json.loads(decoded(text.partition(".")[2]))


def test_deauthorize_names_a_person_by_the_id_that_the_login_gave(meta: MetaClient, endpoint: AppEndpoint) -> None:
    known_as = meta.data("/me", access_token=meta.long_token())["id"]

    answer = meta.control("POST", "/privacy/deauthorize", {"person": "Ana Souza"})

    (received,) = endpoint.received
    text = received.form["signed_request"]
    assert (received.method, received.url) == ("POST", DEAUTHORIZE)
    assert received.headers["content-type"] == b"application/x-www-form-urlencoded"
    assert set(received.form) == {"signed_request"}
    assert signers(text) == ["facebook"]
    assert payload_of(text) == {
        "algorithm": "HMAC-SHA256",
        "issued_at": int(NOON.timestamp()),
        "user_id": known_as,
    }
    assert answer.pop("milliseconds") > 0
    assert answer == {
        "user_id": ANA,
        "status": 200,
        "problem": None,
        "content_type": "text/plain; charset=utf-8",
        "json": None,
    }


@pytest.mark.parametrize(("professional_id", "user_id"), [(False, CAFE_IN_APP), (True, CAFE)])
def test_instagram_names_an_account_by_either_id_and_signs_with_its_own_secret(
    meta: MetaClient,
    instagram: InstagramClient,
    endpoint: AppEndpoint,
    professional_id: bool,
    user_id: str,
) -> None:
    me = instagram.me(instagram.long_token())
    wanted = {"product": "instagram", "person": "cafe.azul", "professional_id": professional_id}

    answer = meta.control("POST", "/privacy/deauthorize", wanted)

    text = endpoint.received[0].form["signed_request"]
    assert signers(text) == ["instagram"]
    assert answer["user_id"] == payload_of(text)["user_id"] == user_id == me["user_id" if professional_id else "id"]


@pytest.mark.parametrize(("product", "signed_by"), [("facebook", "instagram"), ("instagram", "facebook")])
def test_the_other_products_secret_can_sign(
    meta: MetaClient, endpoint: AppEndpoint, product: str, signed_by: str
) -> None:
    wanted = {"product": product, "person": "Ana Souza", "signed_by": signed_by}

    meta.control("POST", "/privacy/data_deletion", wanted)

    assert signers(endpoint.received[0].form["signed_request"]) == [signed_by]


def test_the_payload_can_expire_and_have_a_number(meta: MetaClient, endpoint: AppEndpoint) -> None:
    wanted = {"user_id": "99999999999999999", "user_id_as_number": True, "expires_in_seconds": -5}

    meta.control("POST", "/privacy/deauthorize", wanted)

    payload = payload_of(endpoint.received[0].form["signed_request"])
    assert (payload["user_id"], payload["expires"]) == (99999999999999999, int(NOON.timestamp()) - 5)


@pytest.mark.parametrize("forgery", ["wrong_secret", "tampered", "unsigned"])
def test_a_forged_request_is_signed_by_nobody(meta: MetaClient, endpoint: AppEndpoint, forgery: str) -> None:
    meta.control("POST", "/privacy/deauthorize", {"person": "Ana Souza", "forgery": forgery})

    text = endpoint.received[0].form["signed_request"]
    assert signers(text) == []
    assert payload_of(text)["user_id"] == ANA


def test_other_forgeries_are_no_signed_request_or_of_another_algorithm(meta: MetaClient, endpoint: AppEndpoint) -> None:
    for forgery in ("malformed", "other_algorithm"):
        meta.control("POST", "/privacy/deauthorize", {"person": "Ana Souza", "forgery": forgery})

    malformed, other_algorithm = (received.form["signed_request"] for received in endpoint.received)
    assert "." not in malformed
    assert signers(other_algorithm) == ["facebook"]
    assert payload_of(other_algorithm)["algorithm"] == "none"


def test_a_deletion_is_valid_with_a_url_and_a_code(meta: MetaClient, endpoint: AppEndpoint) -> None:
    endpoint.answer = lambda _: JSONResponse(GOOD)

    answer = meta.control("POST", "/privacy/data_deletion", {"person": "Ana Souza"})

    assert endpoint.received[0].url == DELETION
    assert (answer["status"], answer["json"], answer["is_valid"], answer["problems"]) == (200, GOOD, True, [])


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (JSONResponse(GOOD, status_code=202), "expected status 200, got 202"),
        (Response("thanks"), "the body is not a JSON object"),
        (Response("[" * 60_000), "the body is not a JSON object"),
        (Response('{"url": NaN}'), "the body is not a JSON object"),
        (Response('{"url": "\\ud800"}'), "the body is not a JSON object"),
        (JSONResponse([GOOD]), "the body is not a JSON object"),
        (JSONResponse({**GOOD, "url": "/deletion"}), "url is not a web address"),
        (JSONResponse({**GOOD, "url": 5}), "url is not a web address"),
        (JSONResponse({**GOOD, "url": "http://a.example:port/"}), "url is not a web address"),
        (JSONResponse({"url": GOOD["url"]}), "confirmation_code is not an alphanumeric string"),
        (JSONResponse({**GOOD, "confirmation_code": "a b"}), "confirmation_code is not an alphanumeric string"),
        (JSONResponse({**GOOD, "confirmation_code": 12}), "confirmation_code is not an alphanumeric string"),
    ],
)
def test_a_deletion_that_meta_would_not_take_is_told(
    meta: MetaClient, endpoint: AppEndpoint, response: Response, problem: str
) -> None:
    endpoint.answer = lambda _: response

    answer = meta.control("POST", "/privacy/data_deletion", {"person": "Ana Souza"})

    assert (answer["is_valid"], answer["problems"]) == (False, [problem])


def test_no_answer_is_told(meta: MetaClient, endpoint: AppEndpoint) -> None:
    endpoint.answer = refuse

    answer = meta.control("POST", "/privacy/data_deletion", {"person": "Ana Souza"})

    assert (answer["status"], answer["problem"]) == (None, "no_answer")
    assert answer["problems"] == ["expected status 200, got no_answer"]


def test_removing_the_app_tells_it_of_everybody_who_had_it(
    meta: MetaClient, instagram: InstagramClient, endpoint: AppEndpoint
) -> None:
    token = meta.long_token()
    instagram.long_token()  # of the café, not of the studio
    removal = {"person": "Ana Souza", "reason": "app_removed", "send_deauthorize": True}
    told_after: list[tuple[int, int | None]] = []

    answer = meta.control("POST", "/tokens/revoke", removal)
    told_after.append(error_of(meta.get("/me", access_token=token)))
    again = meta.control("POST", "/tokens/revoke", removal)

    told = [(each["product"], each["user_id"], each["status"]) for each in answer["deauthorized"]]
    texts = [received.form["signed_request"] for received in endpoint.received]
    assert answer["revoked"] == 4
    assert told == [("facebook", ANA, 200), ("instagram", CAFE_IN_APP, 200)]
    assert [(payload_of(text)["user_id"], signers(text)) for text in texts] == [
        (ANA, ["facebook"]),
        (CAFE_IN_APP, ["instagram"]),
    ]
    assert told_after == [(190, 458)]
    assert again["deauthorized"] == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"product": "facebook"}, ["facebook"]),
        ({"product": "instagram"}, ["instagram"]),
        ({"person": "cafe.azul"}, ["instagram"]),
        ({"app_id": "1111"}, ["facebook"]),
        ({"app_id": "7777"}, ["instagram"]),
        ({"app_id": "2222"}, []),
    ],
)
def test_only_those_who_lost_it_are_told_of(
    meta: MetaClient, instagram: InstagramClient, changed: dict[str, str], told: list[str]
) -> None:
    meta.control("POST", "/apps", {"id": "2222", "secret": "s", "redirect_uris": [REDIRECT_URI]})
    meta.long_token()
    instagram.long_token()
    removal = {"person": "Ana Souza", "reason": "app_removed", "send_deauthorize": True, **changed}

    answer = meta.control("POST", "/tokens/revoke", removal)

    assert [each["product"] for each in answer["deauthorized"]] == told


def test_removing_the_app_tells_nobody_unless_asked_to(meta: MetaClient, endpoint: AppEndpoint) -> None:
    meta.long_token()

    answer = meta.control("POST", "/tokens/revoke", {"person": "Ana Souza", "reason": "app_removed"})

    assert (answer, endpoint.received) == ({"revoked": 2}, [])


def test_without_a_url_nothing_is_removed(meta: MetaClient, endpoint: AppEndpoint) -> None:
    meta.control("POST", "/callbacks", {"deauthorize_url": None})
    token = meta.long_token()
    removal = {"person": "Ana Souza", "reason": "app_removed", "send_deauthorize": True}

    refused = meta.http.post("/_simulator/tokens/revoke", json=removal)

    assert (refused.status_code, "deauthorize_url" in refused.json()["error"]) == (409, True)
    assert meta.get("/me", access_token=token).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"person": "Ana Souza", "user_id": "1"}, 422),
        ({"person": "nobody"}, 404),
        ({"person": "cafe.azul"}, 404),
        ({"product": "instagram", "person": "Ben Carter"}, 404),
        ({"person": "Ana Souza", "professional_id": True}, 422),
        ({"product": "instagram", "user_id": "1", "professional_id": True}, 422),
        ({"user_id": "abc", "user_id_as_number": True}, 422),
        ({"person": "Ana Souza", "forgery": "nope"}, 422),
        ({"person": "Ana Souza", "signed_by": "nobody"}, 422),
    ],
)
@pytest.mark.parametrize("callback", ["deauthorize", "data_deletion"])
def test_an_unclear_callback_is_not_sent(
    meta: MetaClient, endpoint: AppEndpoint, callback: str, body: dict[str, object], status: int
) -> None:
    assert meta.http.post(f"/_simulator/privacy/{callback}", json=body).status_code == status
    assert endpoint.received == []


@pytest.mark.parametrize(
    "changed", [{"reason": "expired"}, {"person": None, "token": "EAA"}, {"send_deauthorize": "maybe"}]
)
def test_only_the_removal_by_a_person_can_be_told(meta: MetaClient, changed: dict[str, object]) -> None:
    removal = {"person": "Ana Souza", "reason": "app_removed", "send_deauthorize": True, **changed}

    assert meta.http.post("/_simulator/tokens/revoke", json=removal).status_code == 422
