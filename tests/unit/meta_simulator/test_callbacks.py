"""The app's callback URLs, and webhook verification."""

import pytest
from pydantic import ValidationError
from starlette.responses import JSONResponse, PlainTextResponse, Response

from meta_simulator.app import create_app
from meta_simulator.callbacks import callbacks_from_environment
from meta_simulator.meta_apps import MetaApp
from meta_simulator.outgoing import MAX_RESPONSE_BYTES, require_loopback
from meta_simulator.simulator import Simulator
from tests.support.app_endpoint import URL, AppEndpoint, Received, refuse_connection
from tests.support.meta_client import MetaClient
from tests.support.webhook_sender import WebhookSender

ENVIRONMENT = {
    "WEBHOOK_URL": "http://localhost:1/webhook",
    "WEBHOOK_VERIFY_TOKEN": "from the environment",
    "DEAUTHORIZE_URL": "http://127.0.0.1:2/deauthorize",
    "DATA_DELETION_URL": "http://[::1]:3/deletion",
}
NONE_SET = {
    "webhook_url": None,
    "deauthorize_url": None,
    "data_deletion_url": None,
    "has_webhook_verify_token": False,
}


def echo_challenge(received: Received) -> Response:
    return PlainTextResponse(received.query["hub.challenge"])


def test_reset_restores_the_urls_from_the_environment() -> None:
    simulator = Simulator(MetaApp("1111", secret="s"), callbacks=callbacks_from_environment(ENVIRONMENT))
    meta = MetaClient(create_app(simulator), "1111", "s")
    updated = meta.control("POST", "/callbacks", {"webhook_url": URL, "webhook_verify_token": None})

    meta.control("POST", "/reset")

    assert (updated["webhook_url"], updated["has_webhook_verify_token"]) == (URL, False)
    assert updated["deauthorize_url"] == ENVIRONMENT["DEAUTHORIZE_URL"]
    assert meta.control("GET", "/callbacks") == {
        "webhook_url": ENVIRONMENT["WEBHOOK_URL"],
        "deauthorize_url": ENVIRONMENT["DEAUTHORIZE_URL"],
        "data_deletion_url": ENVIRONMENT["DATA_DELETION_URL"],
        "has_webhook_verify_token": True,
    }


def test_no_url_is_set_by_default_or_after_a_reset(meta: MetaClient) -> None:
    before = meta.control("GET", "/callbacks")
    meta.control("POST", "/callbacks", {"webhook_url": URL})

    meta.control("POST", "/reset")

    assert before == meta.control("GET", "/callbacks") == NONE_SET
    assert callbacks_from_environment({"WEBHOOK_URL": ""}).view() == NONE_SET


def test_verify_token_is_not_shown(meta: MetaClient, webhooks: WebhookSender, simulator: Simulator) -> None:
    assert "the-verify-token" not in meta.http.get("/_simulator/callbacks").text
    assert "the-verify-token" not in repr(simulator.callbacks)


@pytest.mark.parametrize("url", ["http://localhost", "http://LOCALHOST:80/x?y=1", "http://127.8.9.1/", "http://[::1]/"])
def test_loopback_urls_are_accepted(url: str) -> None:
    assert require_loopback(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "http://localhost@example.com/",
        "http://localhost\\@example.com/",
        "http://localhost.example.com/",
        "http://0.0.0.0/",
        "http://192.168.0.1/",
        "http://[2001:db8::1]/",
        "https://localhost/",
        "ftp://localhost/",
        "localhost:8080",
        "/webhook",
        "http://",
        "http://localhost:99999/",
        "",
    ],
)
def test_other_urls_are_rejected(meta: MetaClient, endpoint: AppEndpoint, url: str) -> None:
    webhook = {"raw_text": "{}", "url": url}
    deletion = {"person": "Ana Souza", "url": url}
    rejections = [
        meta.http.post("/_simulator/callbacks", json={"webhook_url": url}),
        meta.http.post("/_simulator/webhooks/deliveries", json=webhook),
        meta.http.post("/_simulator/webhooks/handshake", json={"url": url}),
        meta.http.post("/_simulator/privacy/data_deletion", json=deletion),
    ]

    assert [rejected.status_code for rejected in rejections] == [422] * 4
    assert "URL" in rejections[0].text or "loopback" in rejections[0].text
    assert meta.control("GET", "/callbacks") == NONE_SET
    assert endpoint.received == []
    with pytest.raises(ValidationError):
        callbacks_from_environment({"WEBHOOK_URL": url or "x"})


def test_webhook_is_verified_when_the_challenge_is_echoed(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    endpoint.respond = echo_challenge

    response = meta.control("POST", "/webhooks/handshake", {})

    (received,) = endpoint.received
    assert (received.method, received.body) == ("GET", b"")
    assert received.query == {
        "hub.mode": "subscribe",
        "hub.verify_token": "the-verify-token",
        "hub.challenge": response["challenge"],
    }
    assert response["challenge"].isdecimal()
    assert response.pop("milliseconds") > 0
    assert response == {
        "verified": True,
        "challenge": response["challenge"],
        "status": 200,
        "problem": None,
        "content_type": "text/plain; charset=utf-8",
        "body": response["challenge"],
    }


def test_verification_request_can_be_customised(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    endpoint.respond = echo_challenge
    body = {"verify_token": "wrong é", "challenge": "<b>1</b>", "mode": "unsubscribe", "url": f"{URL}?mine=1"}

    response = meta.control("POST", "/webhooks/handshake", body)

    assert endpoint.received[0].query == {
        "mine": "1",
        "hub.mode": "unsubscribe",
        "hub.verify_token": "wrong é",
        "hub.challenge": "<b>1</b>",
    }
    assert response["verified"] is True


@pytest.mark.parametrize(
    ("response", "status"),
    [
        (PlainTextResponse("1158201444", status_code=201), 201),
        (PlainTextResponse("1158201444\n"), 200),
        (PlainTextResponse('"1158201444"'), 200),
        (JSONResponse(1158201444), 200),
        (Response("1158201444"), 200),
        (PlainTextResponse("forbidden", status_code=403), 403),
    ],
)
def test_inexact_response_does_not_verify(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint, response: Response, status: int
) -> None:
    endpoint.respond = lambda _: response

    result = meta.control("POST", "/webhooks/handshake", {"challenge": "1158201444"})

    assert (result["verified"], result["status"]) == (False, status)


def test_long_response_is_truncated(meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    endpoint.respond = lambda _: PlainTextResponse("x" * 1_000_000)

    result = meta.control("POST", "/webhooks/handshake", {})

    assert len(result["body"]) == MAX_RESPONSE_BYTES


def test_unreachable_endpoint_does_not_verify(meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    endpoint.respond = refuse_connection

    result = meta.control("POST", "/webhooks/handshake", {})

    assert (result["verified"], result["status"], result["problem"]) == (False, None, "no_answer")
