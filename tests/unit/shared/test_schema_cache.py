"""A stale schema cache is healed once for everybody who needs it, and not asked for without end."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from postgrest import SyncPostgrestClient

from instagram_connect.errors import StorageError
from instagram_connect.repository import ConnectionRepository
from instagram_connect.schema_cache import PAUSE_AFTER_FAILURE_S, RELOAD_INTERVAL_S, WAITING_S, SchemaCache

UNKNOWN = httpx.Response(404, json={"code": "PGRST202", "message": "m", "details": "d", "hint": None})
# How PostgREST 12 and a gateway answer for something that the cache does not know.
EMPTY = httpx.Response(404, json={})


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class StaleDataApi:
    """A Data API whose cache knows the functions only after `reloads_needed` reloads."""

    def __init__(self, reloads_needed: float, unknown: httpx.Response = UNKNOWN) -> None:
        self.reloads_needed = reloads_needed
        self.unknown = unknown
        self.reloads = 0
        self.calls: list[object] = []
        self.lock = threading.Lock()

    def client(self) -> SyncPostgrestClient:
        http = httpx.Client(transport=httpx.MockTransport(self._answer))
        return SyncPostgrestClient("https://project.example.com/rest/v1", http_client=http, retry_enabled=False)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            if request.url.path.endswith("/rpc/reload_schema_cache"):
                self.reloads += 1
                return httpx.Response(204)
            if self.reloads < self.reloads_needed:
                return httpx.Response(self.unknown.status_code, content=self.unknown.content)
            payload = json.loads(request.content)["payload"]
            if payload is not None:
                self.calls.append(payload)
            return httpx.Response(200, json=[] if payload else None)


def schema_cache(data_api: StaleDataApi, clock: Clock) -> SchemaCache:
    return SchemaCache(data_api.client(), monotonic=clock.monotonic, sleep=clock.sleep)


@pytest.mark.parametrize("unknown", [UNKNOWN, EMPTY])
def test_a_stale_cache_costs_a_call_a_tenth_of_a_second(unknown: httpx.Response) -> None:
    data_api = StaleDataApi(reloads_needed=1, unknown=unknown)
    waited: list[float] = []

    accounts = ConnectionRepository(data_api.client(), sleep=waited.append).list_accounts("u")

    assert accounts == ()
    assert (data_api.reloads, data_api.calls) == (1, [{"user_id": "u"}])
    assert sum(waited) <= 0.2


def test_a_reload_that_nobody_heard_is_sent_again() -> None:
    data_api, clock = StaleDataApi(reloads_needed=2), Clock()

    assert schema_cache(data_api, clock).heal("list_accounts")

    assert clock.now - 1000 == pytest.approx(RELOAD_INTERVAL_S, abs=0.3)


def test_a_cache_that_does_not_heal_is_given_up_after_two_seconds() -> None:
    data_api, clock = StaleDataApi(reloads_needed=float("inf")), Clock()

    assert not schema_cache(data_api, clock).heal("list_accounts")

    assert clock.now - 1000 == pytest.approx(WAITING_S, abs=0.2)
    assert data_api.reloads == 2


def test_a_thousand_failing_calls_ask_for_a_handful_of_reloads() -> None:
    data_api, clock = StaleDataApi(reloads_needed=float("inf")), Clock()
    cache = schema_cache(data_api, clock)

    for _ in range(1000):
        assert not cache.heal("list_accounts")

    assert data_api.reloads == 2
    clock.sleep(PAUSE_AFTER_FAILURE_S)
    data_api.reloads_needed = 3
    assert cache.heal("list_accounts")


def test_one_reload_serves_all_who_need_it_at_once() -> None:
    data_api = StaleDataApi(reloads_needed=1)
    cache = SchemaCache(data_api.client())
    together = threading.Barrier(8)

    def heal(_: int) -> bool:
        together.wait()
        return cache.heal("store_connection")

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(heal, range(8)))
    assert data_api.reloads == 1


def refused(code: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(
        204 if "reload" in request.url.path else 403, json={"code": code, "message": "m"}
    )


def test_only_what_a_reload_can_mend_is_reloaded_for() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path.rsplit("/", 1)[-1])
        return refused("42501")(request)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    client = SyncPostgrestClient("https://project.example.com/rest/v1", http_client=http, retry_enabled=False)

    with pytest.raises(StorageError) as caught:
        ConnectionRepository(client).list_accounts("u")
    assert caught.value.reason == "PERMISSION_DENIED"
    assert asked == ["list_accounts"]


def test_a_cache_that_stays_stale_ends_as_what_it_is_without_further_attempts() -> None:
    data_api, clock = StaleDataApi(reloads_needed=float("inf")), Clock()
    repository = ConnectionRepository(data_api.client(), sleep=clock.sleep)
    repository._schema_cache = schema_cache(data_api, clock)

    with pytest.raises(StorageError) as caught:
        repository.disconnect_account("a", user_id="u", request_id="r")
    assert caught.value.reason == "SCHEMA_CACHE_STALE"
