from collections import Counter
from urllib.parse import urlencode

import pytest

from tests.support.meta_client import GRAPH, REDIRECT_URI, VERSION, MetaClient, error_of


def test_code_is_exchanged_for_a_user_token_valid_one_to_two_hours(meta: MetaClient) -> None:
    response = meta.exchange(meta.authorize())

    assert response.status_code == 200
    body = response.json()
    assert body["access_token"].startswith("EAA")
    assert body["token_type"] == "bearer"
    assert 3600 <= body["expires_in"] <= 7200


def test_exchange_accepts_a_form(meta: MetaClient) -> None:
    form = {
        "client_id": meta.app_id,
        "client_secret": meta.app_secret,
        "redirect_uri": REDIRECT_URI,
        "code": meta.authorize(),
    }

    response = meta.http.post(f"{GRAPH}/{VERSION}/oauth/access_token", data=form)

    assert response.status_code == 200


def test_code_works_only_once(meta: MetaClient) -> None:
    code = meta.authorize()
    meta.exchange(code)

    second = meta.exchange(code)

    assert error_of(second) == (100, 36009)
    assert second.json()["error"]["message"] == "This authorization code has been used."


def test_exactly_one_of_many_concurrent_exchanges_succeeds(meta: MetaClient) -> None:
    query = urlencode(
        {
            "client_id": meta.app_id,
            "client_secret": meta.app_secret,
            "redirect_uri": REDIRECT_URI,
            "code": meta.authorize(),
        }
    )
    meta.control(
        "POST", "/faults", {"operation": "exchange_code", "latency_ms": 5, "times": None}
    )  # all requests arrive before the first response

    responses = meta.at_once([f"{GRAPH}/{VERSION}/oauth/access_token?{query}"] * 20)

    assert Counter(response.status_code for response in responses) == {200: 1, 400: 19}


def test_code_expires_after_ten_minutes(meta: MetaClient) -> None:
    code = meta.authorize()
    meta.advance(10 * 60)

    assert error_of(meta.exchange(code)) == (100, 36007)


def test_code_works_just_before_ten_minutes(meta: MetaClient) -> None:
    code = meta.authorize()
    meta.advance(10 * 60 - 1)

    assert meta.exchange(code).status_code == 200


@pytest.mark.parametrize("redirect_uri", [REDIRECT_URI + "/", REDIRECT_URI.replace("https", "http")])
def test_redirect_uri_mismatch_is_rejected_and_leaves_the_code_usable(meta: MetaClient, redirect_uri: str) -> None:
    code = meta.authorize()

    rejected = meta.exchange(code, redirect_uri=redirect_uri)

    assert error_of(rejected) == (100, 36008)
    assert rejected.json()["error"]["type"] == "OAuthException"
    assert "redirect_uri is identical" in rejected.json()["error"]["message"]
    assert meta.exchange(code).status_code == 200


def test_redirect_uri_mismatch_can_lack_its_subcode(meta: MetaClient) -> None:
    meta.control("POST", "/settings", {"redirect_mismatch_subcode": None})

    assert error_of(meta.exchange(meta.authorize(), redirect_uri="https://other.example")) == (100, None)


def test_wrong_secret_is_code_1_and_leaves_the_code_usable(meta: MetaClient) -> None:
    code = meta.authorize()

    rejected = meta.exchange(code, client_secret="wrong")

    assert error_of(rejected) == (1, None)
    assert rejected.json()["error"]["message"] == "Error validating client secret."
    assert meta.exchange(code).status_code == 200


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"client_id": "999"}, 101),
        ({"client_id": ""}, 101),
        ({"redirect_uri": ""}, 191),
        ({"code": "garbage"}, 100),
        ({"code": ""}, 1),
        ({"client_secret": ""}, 1),
    ],
)
def test_invalid_exchange_has_a_specific_error(meta: MetaClient, overrides: dict[str, str], expected: int) -> None:
    assert error_of(meta.exchange(meta.authorize(), **overrides)) == (expected, None)


def test_code_of_another_app_is_rejected(meta: MetaClient) -> None:
    meta.control("POST", "/apps", {"id": "2222", "secret": "other", "redirect_uris": [REDIRECT_URI]})

    rejected = meta.exchange(meta.authorize(), client_id="2222", client_secret="other")

    assert rejected.status_code == 400


def test_client_credentials_grant_returns_the_app_token(meta: MetaClient) -> None:
    response = meta.exchange("", grant_type="client_credentials")

    assert response.json() == {"access_token": meta.app_token, "token_type": "bearer"}
