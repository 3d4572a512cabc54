"""Where the app wants to be called, and the handshake that checks it."""

import pytest
from pydantic import ValidationError
from starlette.responses import JSONResponse, PlainTextResponse, Response

from meta_simulator.app import create_app
from meta_simulator.callbacks import callbacks_from_environment
from meta_simulator.meta_apps import MetaApp
from meta_simulator.outgoing import MAX_RESPONSE_BYTES, require_loopback
from meta_simulator.simulator import Simulator
from tests.support.app_endpoint import URL, AppEndpoint, Received, refuse
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


def test_urls_from_the_environment_survive_a_reset_and_others_do_not() -> None:
    simulator = Simulator(MetaApp("1111", secret="s"), callbacks=callbacks_from_environment(ENVIRONMENT))
    meta = MetaClient(create_app(simulator), "1111", "s")
    changed = meta.control("POST", "/callbacks", {"webhook_url": URL, "webhook_verify_token": None})

    meta.control("POST", "/reset")

    assert (changed["webhook_url"], changed["has_webhook_verify_token"]) == (URL, False)
    assert changed["deauthorize_url"] == ENVIRONMENT["DEAUTHORIZE_URL"]
    assert meta.control("GET", "/callbacks") == {
        "webhook_url": ENVIRONMENT["WEBHOOK_URL"],
        "deauthorize_url": ENVIRONMENT["DEAUTHORIZE_URL"],
        "data_deletion_url": ENVIRONMENT["DATA_DELETION_URL"],
        "has_webhook_verify_token": True,
    }


def test_nothing_is_set_without_an_environment_and_after_a_reset(meta: MetaClient) -> None:
    before = meta.control("GET", "/callbacks")
    meta.control("POST", "/callbacks", {"webhook_url": URL})

    meta.control("POST", "/reset")

    assert before == meta.control("GET", "/callbacks") == NONE_SET
    assert callbacks_from_environment({"WEBHOOK_URL": ""}).view() == NONE_SET


def test_the_verify_token_is_not_shown(meta: MetaClient, webhooks: WebhookSender, simulator: Simulator) -> None:
    assert "the-verify-token" not in meta.http.get("/_simulator/callbacks").text
    assert "the-verify-token" not in repr(simulator.callbacks)


@pytest.mark.parametrize("url", ["http://localhost", "http://LOCALHOST:80/x?y=1", "http://127.8.9.1/", "http://[::1]/"])
def test_this_machine_may_be_called(url: str) -> None:
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
def test_nothing_else_may_be_called(meta: MetaClient, endpoint: AppEndpoint, url: str) -> None:
    webhook = {"raw_text": "{}", "url": url}
    deletion = {"person": "Ana Souza", "url": url}
    refusals = [
        meta.http.post("/_simulator/callbacks", json={"webhook_url": url}),
        meta.http.post("/_simulator/webhooks/deliveries", json=webhook),
        meta.http.post("/_simulator/webhooks/handshake", json={"url": url}),
        meta.http.post("/_simulator/privacy/data_deletion", json=deletion),
    ]

    assert [refused.status_code for refused in refusals] == [422] * 4
    assert "URL" in refusals[0].text or "loopback" in refusals[0].text
    assert meta.control("GET", "/callbacks") == NONE_SET
    assert endpoint.received == []
    with pytest.raises(ValidationError):
        callbacks_from_environment({"WEBHOOK_URL": url or "x"})


def test_the_handshake_is_verified_when_the_challenge_comes_back(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    endpoint.answer = echo_challenge

    answer = meta.control("POST", "/webhooks/handshake", {})

    (received,) = endpoint.received
    assert (received.method, received.body) == ("GET", b"")
    assert received.query == {
        "hub.mode": "subscribe",
        "hub.verify_token": "the-verify-token",
        "hub.challenge": answer["challenge"],
    }
    assert answer["challenge"].isdecimal()
    assert answer.pop("milliseconds") > 0
    assert answer == {
        "verified": True,
        "challenge": answer["challenge"],
        "status": 200,
        "problem": None,
        "content_type": "text/plain; charset=utf-8",
        "body": answer["challenge"],
    }


def test_a_handshake_can_be_any_other(meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    endpoint.answer = echo_challenge
    wanted = {"verify_token": "wrong é", "challenge": "<b>1</b>", "mode": "unsubscribe", "url": f"{URL}?mine=1"}

    answer = meta.control("POST", "/webhooks/handshake", wanted)

    assert endpoint.received[0].query == {
        "mine": "1",
        "hub.mode": "unsubscribe",
        "hub.verify_token": "wrong é",
        "hub.challenge": "<b>1</b>",
    }
    assert answer["verified"] is True


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (PlainTextResponse("1158201444", status_code=201), 201),
        (PlainTextResponse("1158201444\n"), 200),
        (PlainTextResponse('"1158201444"'), 200),
        (JSONResponse(1158201444), 200),
        (Response("1158201444"), 200),
        (PlainTextResponse("forbidden", status_code=403), 403),
    ],
)
def test_an_answer_that_is_not_exact_does_not_verify(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint, answer: Response, status: int
) -> None:
    endpoint.answer = lambda _: answer

    told = meta.control("POST", "/webhooks/handshake", {"challenge": "1158201444"})

    assert (told["verified"], told["status"]) == (False, status)


def test_a_long_answer_is_cut(meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    endpoint.answer = lambda _: PlainTextResponse("x" * 1_000_000)

    told = meta.control("POST", "/webhooks/handshake", {})

    assert len(told["body"]) == MAX_RESPONSE_BYTES


def test_nobody_listening_does_not_verify(meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    endpoint.answer = refuse

    told = meta.control("POST", "/webhooks/handshake", {})

    assert (told["verified"], told["status"], told["problem"]) == (False, None, "no_answer")
