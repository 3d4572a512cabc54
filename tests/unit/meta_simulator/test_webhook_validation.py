"""Control requests that are rejected before anything is sent."""

import pytest

from tests.support.app_endpoint import AppEndpoint
from tests.support.instagram_client import CAFE
from tests.support.meta_client import MetaClient
from tests.support.webhook_sender import WebhookSender, message

EXCESSIVE = [
    ({"events": [message(count=100_001)]}, "100000"),
    ({"events": [message(count=60_000), message(count=40_001)]}, "100001 updates"),
    ({"events": [message(count=1001)], "repeat": 100}, "100100 updates"),
    ({"raw_text": "{}", "repeat": 100_001}, "100000"),
    ({"events": [message()], "updates_per_post": 1001}, "1000"),
    ({"events": [message()], "at_once": 51}, "50"),
]
INVALID: list[dict[str, object]] = [
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


@pytest.mark.parametrize(("body", "limit"), EXCESSIVE)
def test_excessive_request_is_rejected_with_the_limit(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint, body: dict[str, object], limit: str
) -> None:
    rejected = meta.http.post("/_simulator/webhooks/deliveries", json=body)

    assert rejected.status_code == 422
    assert limit in rejected.json()["problems"][0]["msg"]
    assert endpoint.received == []


@pytest.mark.parametrize("body", INVALID)
def test_invalid_request_is_rejected(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint, body: dict[str, object]
) -> None:
    assert meta.http.post("/_simulator/webhooks/deliveries", json=body).status_code == 422
    assert endpoint.received == []


def test_unknown_account_is_rejected_and_nothing_is_sent(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    events = [message(), {"type": "message", "account": "nobody"}]

    rejected = meta.http.post("/_simulator/webhooks/deliveries", json={"events": events})

    assert (rejected.status_code, "nobody" in rejected.json()["error"]) == (404, True)
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
def test_request_without_a_url_is_rejected(meta: MetaClient, path: str, body: dict[str, object], missing: str) -> None:
    rejected = meta.http.post(f"/_simulator{path}", json=body)

    assert (rejected.status_code, missing in rejected.json()["error"]) == (409, True)


@pytest.mark.parametrize("path", ["/callbacks", "/webhooks/handshake", "/webhooks/deliveries", "/privacy/deauthorize"])
def test_non_object_body_is_rejected(meta: MetaClient, path: str) -> None:
    not_json = meta.http.post(f"/_simulator{path}", content=b"{")
    a_list = meta.http.post(f"/_simulator{path}", json=[])

    assert (not_json.status_code, a_list.status_code in (400, 422)) == (400, True)


def test_unknown_callback_setting_is_rejected(meta: MetaClient) -> None:
    assert meta.http.post("/_simulator/callbacks", json={"webhook": "http://localhost/"}).status_code == 422


@pytest.mark.parametrize("seconds", [0, 61])
def test_timeout_out_of_range_is_rejected(meta: MetaClient, seconds: int) -> None:
    assert meta.http.post("/_simulator/settings", json={"webhook_timeout_seconds": seconds}).status_code == 422
