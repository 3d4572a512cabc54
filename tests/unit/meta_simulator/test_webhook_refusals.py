"""Requests for webhooks that are refused before anything is sent."""

import pytest

from tests.support.app_endpoint import AppEndpoint
from tests.support.instagram_client import CAFE
from tests.support.meta_client import MetaClient
from tests.support.webhook_sender import WebhookSender, message

TOO_MUCH = [
    ({"events": [message(count=100_001)]}, "100000"),
    ({"events": [message(count=60_000), message(count=40_001)]}, "100001 updates"),
    ({"events": [message(count=1001)], "repeat": 100}, "100100 updates"),
    ({"raw_text": "{}", "repeat": 100_001}, "100000"),
    ({"events": [message()], "updates_per_post": 1001}, "1000"),
    ({"events": [message()], "at_once": 51}, "50"),
]
UNCLEAR: list[dict[str, object]] = [
    {},
    {"events": []},
    {"events": [message()], "raw_text": "{}"},
    {"raw_text": "{}", "raw_base64": "e30="},
    {"raw_base64": "e3"},
    {"raw_base64": "é"},
    {"events": [{"type": "message"}]},
    {"events": [{"type": "dashboard_message", "account": CAFE}]},
    {"events": [message(type="nope")]},
    {"events": [message(count=0)]},
    {"events": [message(surprise=1)]},
    {"events": [message()], "at_once": 0},
    {"events": [message()], "updates_per_post": 0},
    {"events": [message()], "repeat": 0},
    {"events": [message()], "signature": "nope"},
    {"events": [message()], "signed_by": "nobody"},
    {"events": [message()], "product": "whatsapp"},
    {"events": [message()], "top_level": "string"},
]


@pytest.mark.parametrize(("body", "words"), TOO_MUCH)
def test_what_is_too_much_is_refused_with_the_limit(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint, body: dict[str, object], words: str
) -> None:
    refused = meta.http.post("/_simulator/webhooks/deliveries", json=body)

    assert refused.status_code == 422
    assert words in refused.json()["problems"][0]["msg"]
    assert endpoint.received == []


@pytest.mark.parametrize("body", UNCLEAR)
def test_what_is_unclear_is_refused(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint, body: dict[str, object]
) -> None:
    assert meta.http.post("/_simulator/webhooks/deliveries", json=body).status_code == 422
    assert endpoint.received == []


def test_an_account_that_nobody_has_is_refused_and_nothing_sent(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    events = [message(), {"type": "message", "account": "nobody"}]

    refused = meta.http.post("/_simulator/webhooks/deliveries", json={"events": events})

    assert (refused.status_code, "nobody" in refused.json()["error"]) == (404, True)
    assert endpoint.received == []


@pytest.mark.parametrize(
    ("path", "body", "missing"),
    [
        ("/webhooks/deliveries", {"events": [message()]}, "webhook_url"),
        ("/webhooks/handshake", {}, "webhook_url"),
        ("/privacy/deauthorize", {"person": "Ana Souza"}, "deauthorize_url"),
        ("/privacy/data_deletion", {"person": "Ana Souza"}, "data_deletion_url"),
    ],
)
def test_without_a_url_there_is_nowhere_to_send(
    meta: MetaClient, path: str, body: dict[str, object], missing: str
) -> None:
    refused = meta.http.post(f"/_simulator{path}", json=body)

    assert (refused.status_code, missing in refused.json()["error"]) == (409, True)


@pytest.mark.parametrize("path", ["/callbacks", "/webhooks/handshake", "/webhooks/deliveries", "/privacy/deauthorize"])
def test_a_body_that_is_not_an_object_is_refused(meta: MetaClient, path: str) -> None:
    not_json = meta.http.post(f"/_simulator{path}", content=b"{")
    a_list = meta.http.post(f"/_simulator{path}", json=[])

    assert (not_json.status_code, a_list.status_code in (400, 422)) == (400, True)


def test_an_unknown_setting_of_the_callbacks_is_refused(meta: MetaClient) -> None:
    assert meta.http.post("/_simulator/callbacks", json={"webhook": "http://localhost/"}).status_code == 422


@pytest.mark.parametrize("seconds", [0, 61])
def test_a_timeout_that_cannot_be_played_is_refused(meta: MetaClient, seconds: int) -> None:
    assert meta.http.post("/_simulator/settings", json={"webhook_timeout_seconds": seconds}).status_code == 422
