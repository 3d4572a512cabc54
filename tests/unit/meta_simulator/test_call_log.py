import hashlib
from typing import Any

import pytest

from meta_simulator.connection import ConnectionDroppedError
from tests.support.instagram_client import EXCHANGE, InstagramClient
from tests.support.meta_client import GRAPH, VERSION, MetaClient


def _calls(meta: MetaClient, query: str = "") -> list[dict[str, Any]]:
    return list(meta.control("GET", f"/calls{query}"))


def test_facebook_calls_are_logged_by_operation(meta: MetaClient) -> None:
    token = meta.long_token()
    pages = meta.accounts(token)
    page_id, page_token = pages[0]["id"], pages[0]["access_token"]
    meta.debug(token)
    meta.get("/me/permissions", access_token=token)
    meta.get(f"/{page_id}", access_token=token)
    meta.get("/17841400000000001", access_token=token)
    meta.get("/10220000000000001", access_token=token)
    meta.get("/1", access_token=token)
    meta.get("/me/nope", access_token=token)
    meta.call("POST", f"/{page_id}/subscribed_apps", access_token=page_token, subscribed_fields="feed")
    meta.get(f"/{page_id}/subscribed_apps", access_token=page_token)
    meta.call("DELETE", f"/{page_id}/subscribed_apps", access_token=page_token)
    meta.call("DELETE", "/me/permissions/email", access_token=token)
    meta.call("DELETE", "/me/permissions", access_token=token)

    calls = _calls(meta)

    assert [call["operation"] for call in calls] == [
        "exchange_code",
        "extend_token",
        "list_accounts",
        "debug_token",
        "permissions",
        "read_page",
        "read_instagram_account",
        "read_user",
        "read_node",
        "unknown",
        "subscribe_page",
        "list_page_subscriptions",
        "unsubscribe_page",
        "revoke_permission",
        "revoke_app",
    ]
    assert [call["sequence"] for call in calls] == list(range(1, 16))


def test_instagram_calls_are_logged_by_operation(meta: MetaClient, instagram: InstagramClient) -> None:
    token = instagram.long_token()
    edge = "/v25.0/me/subscribed_apps"
    instagram.get("/me", access_token=token)
    instagram.refresh(token)
    for method in ("POST", "GET", "DELETE"):
        instagram.call(method, edge, access_token=token, subscribed_fields="messages")
    meta.http.get(EXCHANGE)

    calls = _calls(meta)

    assert [(call["host"], call["operation"]) for call in calls] == [
        ("api.instagram.com", "exchange_instagram_code"),
        ("graph.instagram.com", "extend_instagram_token"),
        ("graph.instagram.com", "read_instagram_me"),
        ("graph.instagram.com", "refresh_instagram_token"),
        ("graph.instagram.com", "subscribe_instagram"),
        ("graph.instagram.com", "list_instagram_subscriptions"),
        ("graph.instagram.com", "unsubscribe_instagram"),
        ("api.instagram.com", "unknown"),
    ]
    assert token not in meta.http.get("/_simulator/calls").text
    assert calls[0]["path"] == "/oauth/access_token"
    assert set(calls[0]["fingerprints"]) == {"client_secret", "code"}


def test_entry_describes_the_call_and_its_result(meta: MetaClient) -> None:
    meta.get("/me", access_token="EAAnope", fields="id")

    entry = _calls(meta)[0]

    assert (entry["method"], entry["host"], entry["path"]) == ("GET", "graph.facebook.com", "/v25.0/me")
    assert (entry["status"], entry["error_code"], entry["error_subcode"]) == (400, 190, None)
    assert entry["parameters"] == ["access_token", "fields"]
    assert entry["time"] == "2026-11-22T12:15:00+00:00"
    assert isinstance(entry["started"], float)
    assert isinstance(entry["ended"], float)
    assert entry["started"] <= entry["ended"]


def test_concurrent_calls_overlap_in_the_log(meta: MetaClient) -> None:
    token = meta.short_token()
    meta.control("DELETE", "/calls")
    meta.control("POST", "/faults", {"operation": "read_me", "latency_ms": 20, "times": None})

    meta.at_once([f"{GRAPH}/{VERSION}/me?access_token={token}"] * 10)

    calls = _calls(meta)
    assert max(float(str(call["started"])) for call in calls) < min(float(str(call["ended"])) for call in calls)


def test_secrets_appear_only_as_fingerprints(meta: MetaClient) -> None:
    code = meta.authorize()
    short = meta.exchange(code).json()["access_token"]
    token = meta.extend(short).json()["access_token"]
    meta.debug(token)
    meta.http.get(f"{GRAPH}/{VERSION}/{token}")
    meta.http.get(f"{GRAPH}/{VERSION}/{meta.app_token}/accounts")

    text = meta.http.get("/_simulator/calls").text

    for secret in (code, short, token, meta.app_secret):
        assert secret not in text
    assert hashlib.sha256(token.encode()).hexdigest()[:12] in text


def test_dropped_call_has_no_status_and_names_the_fault(meta: MetaClient) -> None:
    meta.control("POST", "/faults", {"operation": "read_me", "disconnect": True})

    with pytest.raises(ConnectionDroppedError):
        meta.get("/me")

    entry = _calls(meta)[0]
    assert (entry["status"], entry["fault"]) == (None, "disconnect")
    assert entry["ended"] is not None


def test_log_can_be_filtered_and_cleared(meta: MetaClient) -> None:
    meta.long_token()

    assert len(_calls(meta, "?operation=extend_token")) == 1

    meta.control("DELETE", "/calls")

    assert _calls(meta) == []
