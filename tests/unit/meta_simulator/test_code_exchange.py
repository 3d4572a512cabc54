from collections import Counter
from urllib.parse import urlencode

import pytest

from tests.support.meta_client import GRAPH, REDIRECT_URI, VERSION, MetaClient, error_of


def test_a_code_is_exchanged_for_a_user_token_of_one_to_two_hours(meta: MetaClient) -> None:
    answer = meta.exchange(meta.authorize())

    assert answer.status_code == 200
    body = answer.json()
    assert body["access_token"].startswith("EAA")
    assert body["token_type"] == "bearer"
    assert 3600 <= body["expires_in"] <= 7200


def test_the_exchange_takes_a_form_as_well(meta: MetaClient) -> None:
    form = {
        "client_id": meta.app_id,
        "client_secret": meta.app_secret,
        "redirect_uri": REDIRECT_URI,
        "code": meta.authorize(),
    }

    answer = meta.http.post(f"{GRAPH}/{VERSION}/oauth/access_token", data=form)

    assert answer.status_code == 200


def test_a_code_works_once(meta: MetaClient) -> None:
    code = meta.authorize()
    meta.exchange(code)

    second = meta.exchange(code)

    assert error_of(second) == (100, 36009)
    assert second.json()["error"]["message"] == "This authorization code has been used."


def test_of_many_exchanges_at_the_same_time_exactly_one_gets_the_token(meta: MetaClient) -> None:
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
    )  # all arrive before the first is answered

    answers = meta.at_once([f"{GRAPH}/{VERSION}/oauth/access_token?{query}"] * 20)

    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 19}


def test_a_code_expires_after_ten_minutes(meta: MetaClient) -> None:
    code = meta.authorize()
    meta.advance(10 * 60)

    assert error_of(meta.exchange(code)) == (100, 36007)


def test_a_code_still_works_just_before_ten_minutes(meta: MetaClient) -> None:
    code = meta.authorize()
    meta.advance(10 * 60 - 1)

    assert meta.exchange(code).status_code == 200


@pytest.mark.parametrize("redirect_uri", [REDIRECT_URI + "/", REDIRECT_URI.replace("https", "http")])
def test_another_redirect_uri_than_the_dialogs_is_refused_and_leaves_the_code_usable(
    meta: MetaClient, redirect_uri: str
) -> None:
    code = meta.authorize()

    refused = meta.exchange(code, redirect_uri=redirect_uri)

    assert error_of(refused) == (100, 36008)
    assert refused.json()["error"]["type"] == "OAuthException"
    assert "redirect_uri is identical" in refused.json()["error"]["message"]
    assert meta.exchange(code).status_code == 200


def test_the_mismatch_can_come_without_a_subcode(meta: MetaClient) -> None:
    meta.control("POST", "/settings", {"redirect_mismatch_subcode": None})

    assert error_of(meta.exchange(meta.authorize(), redirect_uri="https://other.example")) == (100, None)


def test_a_wrong_secret_is_code_1_and_leaves_the_code_usable(meta: MetaClient) -> None:
    code = meta.authorize()

    refused = meta.exchange(code, client_secret="wrong")

    assert error_of(refused) == (1, None)
    assert refused.json()["error"]["message"] == "Error validating client secret."
    assert meta.exchange(code).status_code == 200


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"client_id": "999"}, 101),
        ({"client_id": ""}, 101),
        ({"redirect_uri": ""}, 191),
        ({"code": "garbage"}, 100),
        ({"code": ""}, 1),
        ({"client_secret": ""}, 1),
    ],
)
def test_a_broken_exchange_names_what_is_wrong(meta: MetaClient, changed: dict[str, str], expected: int) -> None:
    assert error_of(meta.exchange(meta.authorize(), **changed)) == (expected, None)


def test_a_code_of_one_app_is_refused_for_another(meta: MetaClient) -> None:
    meta.control("POST", "/apps", {"id": "2222", "secret": "other", "redirect_uris": [REDIRECT_URI]})

    refused = meta.exchange(meta.authorize(), client_id="2222", client_secret="other")

    assert refused.status_code == 400


def test_a_client_credentials_grant_answers_the_app_token(meta: MetaClient) -> None:
    answer = meta.exchange("", grant_type="client_credentials")

    assert answer.json() == {"access_token": meta.app_token, "token_type": "bearer"}
