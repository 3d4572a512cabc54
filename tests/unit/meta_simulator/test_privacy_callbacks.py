"""The deauthorize and data deletion callbacks: user ids, signatures, and checks of the app's response."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from meta_simulator.instagram.app_scoped_ids import app_scoped_id
from tests.support.app_endpoint import AppEndpoint, refuse_connection
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
    """Return the products whose secret verifies the signature."""
    signature, _, payload = text.partition(".")
    return [
        product
        for product, secret in SECRETS.items()
        if decoded(signature) == hmac.new(secret.encode(), payload.encode(), hashlib.sha256).digest()
    ]


def payload_of(text: str) -> Any:
    return json.loads(decoded(text.partition(".")[2]))


def test_deauthorize_uses_the_user_id_of_the_login(meta: MetaClient, endpoint: AppEndpoint) -> None:
    known_as = meta.data("/me", access_token=meta.long_token())["id"]

    response = meta.control("POST", "/privacy/deauthorize", {"person": "Ana Souza"})

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
    assert response.pop("milliseconds") > 0
    assert response == {
        "user_id": ANA,
        "status": 200,
        "problem": None,
        "content_type": "text/plain; charset=utf-8",
        "json": None,
    }


@pytest.mark.parametrize(("professional_id", "user_id"), [(False, CAFE_IN_APP), (True, CAFE)])
def test_instagram_callback_can_use_either_id_and_is_signed_with_the_instagram_secret(
    meta: MetaClient,
    instagram: InstagramClient,
    endpoint: AppEndpoint,
    professional_id: bool,
    user_id: str,
) -> None:
    me = instagram.me(instagram.long_token())
    wanted = {"product": "instagram", "person": "cafe.azul", "professional_id": professional_id}

    response = meta.control("POST", "/privacy/deauthorize", wanted)

    text = endpoint.received[0].form["signed_request"]
    assert signers(text) == ["instagram"]
    assert response["user_id"] == payload_of(text)["user_id"] == user_id == me["user_id" if professional_id else "id"]


@pytest.mark.parametrize(("product", "signed_by"), [("facebook", "instagram"), ("instagram", "facebook")])
def test_callback_can_be_signed_with_the_other_products_secret(
    meta: MetaClient, endpoint: AppEndpoint, product: str, signed_by: str
) -> None:
    wanted = {"product": product, "person": "Ana Souza", "signed_by": signed_by}

    meta.control("POST", "/privacy/data_deletion", wanted)

    assert signers(endpoint.received[0].form["signed_request"]) == [signed_by]


def test_payload_can_have_an_expiry_and_a_numeric_user_id(meta: MetaClient, endpoint: AppEndpoint) -> None:
    wanted = {"user_id": "99999999999999999", "user_id_as_number": True, "expires_in_seconds": -5}

    meta.control("POST", "/privacy/deauthorize", wanted)

    payload = payload_of(endpoint.received[0].form["signed_request"])
    assert (payload["user_id"], payload["expires"]) == (99999999999999999, int(NOON.timestamp()) - 5)


@pytest.mark.parametrize("forgery", ["wrong_secret", "tampered", "unsigned"])
def test_forged_request_has_no_valid_signature(meta: MetaClient, endpoint: AppEndpoint, forgery: str) -> None:
    meta.control("POST", "/privacy/deauthorize", {"person": "Ana Souza", "forgery": forgery})

    text = endpoint.received[0].form["signed_request"]
    assert signers(text) == []
    assert payload_of(text)["user_id"] == ANA


def test_request_can_be_malformed_or_use_another_algorithm(meta: MetaClient, endpoint: AppEndpoint) -> None:
    for forgery in ("malformed", "other_algorithm"):
        meta.control("POST", "/privacy/deauthorize", {"person": "Ana Souza", "forgery": forgery})

    malformed, other_algorithm = (received.form["signed_request"] for received in endpoint.received)
    assert "." not in malformed
    assert signers(other_algorithm) == ["facebook"]
    assert payload_of(other_algorithm)["algorithm"] == "none"


def test_deletion_response_is_valid_with_a_url_and_a_code(meta: MetaClient, endpoint: AppEndpoint) -> None:
    endpoint.respond = lambda _: JSONResponse(GOOD)

    response = meta.control("POST", "/privacy/data_deletion", {"person": "Ana Souza"})

    assert endpoint.received[0].url == DELETION
    assert (response["status"], response["json"], response["is_valid"], response["problems"]) == (200, GOOD, True, [])


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
def test_invalid_deletion_response_is_reported(
    meta: MetaClient, endpoint: AppEndpoint, response: Response, problem: str
) -> None:
    endpoint.respond = lambda _: response

    result = meta.control("POST", "/privacy/data_deletion", {"person": "Ana Souza"})

    assert (result["is_valid"], result["problems"]) == (False, [problem])


def test_unreachable_app_is_reported(meta: MetaClient, endpoint: AppEndpoint) -> None:
    endpoint.respond = refuse_connection

    response = meta.control("POST", "/privacy/data_deletion", {"person": "Ana Souza"})

    assert (response["status"], response["problem"]) == (None, "no_answer")
    assert response["problems"] == ["expected status 200, got no_answer"]


def test_removing_the_app_can_send_a_callback_for_each_product_and_account(
    meta: MetaClient, instagram: InstagramClient, endpoint: AppEndpoint
) -> None:
    token = meta.long_token()
    instagram.long_token()  # for the café, not the studio
    removal = {"person": "Ana Souza", "reason": "app_removed", "send_deauthorize": True}
    errors_after_removal: list[tuple[int, int | None]] = []

    response = meta.control("POST", "/tokens/revoke", removal)
    errors_after_removal.append(error_of(meta.get("/me", access_token=token)))
    again = meta.control("POST", "/tokens/revoke", removal)

    notified = [(each["product"], each["user_id"], each["status"]) for each in response["deauthorized"]]
    texts = [received.form["signed_request"] for received in endpoint.received]
    assert response["revoked"] == 4
    assert notified == [("facebook", ANA, 200), ("instagram", CAFE_IN_APP, 200)]
    assert [(payload_of(text)["user_id"], signers(text)) for text in texts] == [
        (ANA, ["facebook"]),
        (CAFE_IN_APP, ["instagram"]),
    ]
    assert errors_after_removal == [(190, 458)]
    assert again["deauthorized"] == []


@pytest.mark.parametrize(
    ("overrides", "notified"),
    [
        ({"product": "facebook"}, ["facebook"]),
        ({"product": "instagram"}, ["instagram"]),
        ({"person": "cafe.azul"}, ["instagram"]),
        ({"app_id": "1111"}, ["facebook"]),
        ({"app_id": "7777"}, ["instagram"]),
        ({"app_id": "2222"}, []),
    ],
)
def test_callbacks_are_sent_only_for_removed_apps(
    meta: MetaClient, instagram: InstagramClient, overrides: dict[str, str], notified: list[str]
) -> None:
    meta.control("POST", "/apps", {"id": "2222", "secret": "s", "redirect_uris": [REDIRECT_URI]})
    meta.long_token()
    instagram.long_token()
    removal = {"person": "Ana Souza", "reason": "app_removed", "send_deauthorize": True, **overrides}

    response = meta.control("POST", "/tokens/revoke", removal)

    assert [each["product"] for each in response["deauthorized"]] == notified


def test_removing_the_app_sends_no_callback_by_default(meta: MetaClient, endpoint: AppEndpoint) -> None:
    meta.long_token()

    response = meta.control("POST", "/tokens/revoke", {"person": "Ana Souza", "reason": "app_removed"})

    assert (response, endpoint.received) == ({"revoked": 2}, [])


def test_nothing_is_removed_without_a_callback_url(meta: MetaClient, endpoint: AppEndpoint) -> None:
    meta.control("POST", "/callbacks", {"deauthorize_url": None})
    token = meta.long_token()
    removal = {"person": "Ana Souza", "reason": "app_removed", "send_deauthorize": True}

    rejected = meta.http.post("/_simulator/tokens/revoke", json=removal)

    assert (rejected.status_code, "deauthorize_url" in rejected.json()["error"]) == (409, True)
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
def test_invalid_callback_request_is_rejected_and_not_sent(
    meta: MetaClient, endpoint: AppEndpoint, callback: str, body: dict[str, object], status: int
) -> None:
    assert meta.http.post(f"/_simulator/privacy/{callback}", json=body).status_code == status
    assert endpoint.received == []


@pytest.mark.parametrize(
    "overrides", [{"reason": "expired"}, {"person": None, "token": "EAA"}, {"send_deauthorize": "maybe"}]
)
def test_send_deauthorize_requires_a_person_and_app_removed(meta: MetaClient, overrides: dict[str, object]) -> None:
    removal = {"person": "Ana Souza", "reason": "app_removed", "send_deauthorize": True, **overrides}

    assert meta.http.post("/_simulator/tokens/revoke", json=removal).status_code == 422
