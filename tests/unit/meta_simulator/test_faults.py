import asyncio
import json
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from meta_simulator import named_errors
from meta_simulator.connection import CLOSE_TRANSPORT, ConnectionDroppedError, DroppedConnection
from tests.support.meta_client import GRAPH, VERSION, MetaClient, error_of

README = Path(named_errors.__file__).with_name("README.md")


@pytest.fixture
def token(meta: MetaClient) -> str:
    return meta.long_token()


def _plan(meta: MetaClient, **fault: object) -> int:
    return int(meta.control("POST", "/faults", fault)["id"])


def _statuses(meta: MetaClient, token: str, count: int) -> list[int]:
    return [meta.get("/me", access_token=token).status_code for _ in range(count)]


def test_fault_skips_calls_then_fires_the_planned_number_of_times(meta: MetaClient, token: str) -> None:
    _plan(meta, operation="read_me", error="server_error", skip=1, times=2)

    assert _statuses(meta, token, 5) == [200, 500, 500, 200, 200]


def test_unlimited_fault_fires_until_removed(meta: MetaClient, token: str) -> None:
    fault_id = _plan(meta, operation="read_me", error="empty_500", times=None)

    assert _statuses(meta, token, 3) == [500, 500, 500]

    meta.control("DELETE", f"/faults/{fault_id}")

    assert _statuses(meta, token, 1) == [200]


def test_first_remaining_fault_wins(meta: MetaClient, token: str) -> None:
    _plan(meta, operation="read_me", status=418)
    _plan(meta, path="/*/me", status=503, times=2)

    assert _statuses(meta, token, 4) == [418, 503, 503, 200]


@pytest.mark.parametrize(
    ("fault", "is_met"),
    [
        ({"path": "/v25.0/me"}, True),
        ({"path": "*/me"}, True),
        ({"path": "*/accounts"}, False),
        ({"operation": "list_accounts"}, False),
        ({"operation": "read_me", "method": "POST"}, False),
        ({"operation": "read_me", "method": "get"}, True),
    ],
)
def test_fault_matches_by_operation_path_and_method(
    meta: MetaClient, token: str, fault: dict[str, str], is_met: bool
) -> None:
    _plan(meta, status=503, **fault)

    assert _statuses(meta, token, 1) == [503 if is_met else 200]


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("server_error", 500, (2, None)),
        ("unknown_error", 500, (1, None)),
        ("app_rate_limit", 400, (4, None)),
        ("user_rate_limit", 400, (17, None)),
        ("page_rate_limit", 400, (32, None)),
        ("custom_rate_limit", 400, (613, None)),
        ("blocked", 400, (368, None)),
        ("permission_denied", 400, (10, None)),
        ("expired_token", 400, (190, 463)),
        ("password_changed", 400, (190, 460)),
        ("checkpoint", 400, (190, 459)),
        ("lost_page_role", 400, (190, 492)),
        ("object_missing", 400, (100, 33)),
        ("wrong_secret", 400, (1, None)),
    ],
)
def test_named_error_has_metas_code(
    meta: MetaClient, token: str, name: str, status: int, expected: tuple[int, int | None]
) -> None:
    _plan(meta, operation="read_me", error=name)

    response = meta.get("/me", access_token=token)

    assert response.status_code == status
    assert error_of(response) == expected


def test_every_named_error_works_and_is_in_the_readme(meta: MetaClient, token: str) -> None:
    readme = README.read_text(encoding="utf-8")
    for name in named_errors.ERROR_NAMES:
        _plan(meta, operation="read_me", error=name)

        assert meta.get("/me", access_token=token).status_code >= 400, name
        assert f"`{name}`" in readme, name


def test_server_error_is_transient(meta: MetaClient, token: str) -> None:
    _plan(meta, operation="read_me", error="server_error")

    assert meta.get("/me", access_token=token).json()["error"]["is_transient"] is True


def test_business_limit_header_says_when_access_returns(meta: MetaClient, token: str) -> None:
    _plan(meta, operation="read_instagram_account", error="buc_rate_limit", regain_minutes=17)

    response = meta.get("/17841400000000001", access_token=token)

    assert error_of(response) == (80002, None)
    usage = json.loads(response.headers["x-business-use-case-usage"])
    assert usage["17841400000000001"][0]["type"] == "instagram"
    assert usage["17841400000000001"][0]["estimated_time_to_regain_access"] == 17


def test_edge_proxy_error_is_html(meta: MetaClient, token: str) -> None:
    _plan(meta, operation="read_me", error="html_502")

    response = meta.get("/me", access_token=token)

    assert response.status_code == 502
    assert response.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("body", "sent"), [("<p>down", b"<p>down"), ({"error": {"code": 9}}, b'{"error": {"code": 9}}')]
)
def test_raw_response_is_sent_unchanged(meta: MetaClient, token: str, body: object, sent: bytes) -> None:
    _plan(meta, operation="read_me", status=503, body=body)

    assert meta.get("/me", access_token=token).content == sent


def test_failed_exchange_leaves_the_code_usable(meta: MetaClient) -> None:
    code = meta.authorize()
    _plan(meta, operation="exchange_code", error="server_error")

    assert meta.exchange(code).status_code == 500
    assert meta.exchange(code).status_code == 200


def test_dropped_exchange_leaves_the_code_usable(meta: MetaClient) -> None:
    code = meta.authorize()
    _plan(meta, operation="exchange_code", disconnect=True)

    with pytest.raises(ConnectionDroppedError):
        meta.exchange(code)

    assert meta.exchange(code).status_code == 200


def test_exchange_dropped_after_taking_effect_redeems_the_code(meta: MetaClient) -> None:
    code = meta.authorize()
    _plan(meta, operation="exchange_code", apply_then_disconnect=True)

    with pytest.raises(ConnectionDroppedError):
        meta.exchange(code)

    assert error_of(meta.exchange(code)) == (100, 36009)


def test_hanging_call_is_dropped_without_effect(meta: MetaClient) -> None:
    code = meta.authorize()
    _plan(meta, operation="exchange_code", hang_seconds=0.01)

    with pytest.raises(ConnectionDroppedError):
        meta.exchange(code)

    assert meta.exchange(code).status_code == 200


def test_hundred_slow_calls_wait_concurrently(meta: MetaClient, token: str) -> None:
    _plan(meta, operation="read_me", latency_ms=200, times=None)
    started = time.monotonic()

    responses = meta.at_once([f"{GRAPH}/{VERSION}/me?access_token={token}"] * 100)

    one_after_the_other = 100 * 0.2
    assert {response.status_code for response in responses} == {200}
    assert time.monotonic() - started < one_after_the_other / 2


def test_faults_are_listed_with_their_counts(meta: MetaClient, token: str) -> None:
    fault_id = _plan(meta, operation="read_me", error="blocked", skip=1)
    _statuses(meta, token, 2)

    listed = meta.control("GET", "/faults")

    assert listed == [{"id": fault_id, "operation": "read_me", "error": "blocked", "skip": 1, "met": 2, "happened": 1}]


def test_all_faults_can_be_removed_at_once(meta: MetaClient, token: str) -> None:
    _plan(meta, operation="read_me", error="blocked")

    meta.control("DELETE", "/faults")

    assert meta.control("GET", "/faults") == []
    assert _statuses(meta, token, 1) == [200]


@pytest.mark.parametrize(
    "fault",
    [
        {"error": "blocked"},
        {"error": "blocked", "method": "GET"},
        {"error": "blocked", "host": "www.instagram.com"},
        {"operation": "read_me"},
        {"operation": "read_me", "error": "nope"},
        {"operation": "read_me", "error": "blocked", "disconnect": True},
        {"operation": "read_me", "errror": "blocked"},
        {"operation": "read_me", "error": "blocked", "times": 0},
    ],
)
def test_invalid_fault_is_rejected(meta: MetaClient, fault: dict[str, object]) -> None:
    assert meta.http.post("/_simulator/faults", json=fault).status_code == 422


def test_dropped_connection_closes_the_transport_and_sends_nothing() -> None:
    closed: list[bool] = []
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "extensions": {CLOSE_TRANSPORT: lambda: closed.append(True)}}
    asyncio.run(DroppedConnection()(scope, receive, send))

    assert closed == [True]
    assert sent == []
