"""A stale schema cache is healed once for all concurrent calls, with a limited number of reloads."""

import io
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import StorageError
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.direct_connection import Database, DatabaseError
from instagram_connect.storage.schema_cache import PAUSE_AFTER_FAILURE_S, RELOAD_INTERVAL_S, WAITING_S, SchemaCache
from tests.support.fakes import data_api, refusal

UNKNOWN = refusal(404, "PGRST202")
# Responses of PostgREST 12 and of a gateway for something missing from the cache.
EMPTY = httpx.Response(404, json={})
NEVER = float("inf")


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

    def __init__(
        self, reloads_needed: float, unknown: httpx.Response = UNKNOWN, *, knows_how_to_reload: bool = True
    ) -> None:
        self.reloads_needed = reloads_needed
        self.unknown = unknown
        self.knows_how_to_reload = knows_how_to_reload
        self.reloads = 0
        self.calls: list[object] = []
        self.lock = threading.Lock()

    def client(self) -> DataApi:
        return data_api(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            if request.url.path.endswith("/rpc/instagram_connect_reload_schema_cache") and self.knows_how_to_reload:
                self.reloads += 1
                return httpx.Response(204)
            if self.reloads < self.reloads_needed:
                return httpx.Response(self.unknown.status_code, content=self.unknown.content)
            payload = json.loads(request.content)["payload"]
            if payload is not None:
                self.calls.append(payload)
            return httpx.Response(200, json=[] if payload else None)


class ListenedDatabase(Database):
    """A database whose notifications a Data API hears, or one that refuses to send any."""

    def __init__(self, listener: StaleDataApi, failure: DatabaseError | None = None) -> None:
        super().__init__("postgresql://postgres@db.example.com/postgres")
        self._listener = listener
        self._failure = failure
        self.notifications = 0

    def reload_schema_cache(self, *, limit_s: float) -> None:
        if self._failure is not None:
            raise self._failure
        self.notifications += 1
        self._listener.reloads += 1


def schema_cache(stale: StaleDataApi, clock: Clock, database: Database | None = None) -> SchemaCache:
    return SchemaCache(stale.client(), database, monotonic=clock.monotonic, sleep=clock.sleep)


@pytest.mark.parametrize("unknown", [UNKNOWN, EMPTY])
def test_stale_cache_delays_a_call_by_a_tenth_of_a_second(unknown: httpx.Response) -> None:
    stale = StaleDataApi(reloads_needed=1, unknown=unknown)
    waited: list[float] = []

    accounts = ConnectionRepository(stale.client(), sleep=waited.append).list_accounts("u", Deadline(20))

    assert accounts == ()
    assert (stale.reloads, stale.calls) == (1, [{"user_id": "u"}])
    assert sum(waited) <= 0.2


def test_missed_reload_is_sent_again() -> None:
    stale, clock = StaleDataApi(reloads_needed=2), Clock()

    assert schema_cache(stale, clock).heal("instagram_connect_list_accounts", Deadline(20))

    assert clock.now - 1000 == pytest.approx(RELOAD_INTERVAL_S, abs=0.3)


def test_healing_stops_after_two_seconds() -> None:
    stale, clock = StaleDataApi(reloads_needed=NEVER), Clock()

    assert not schema_cache(stale, clock).heal("instagram_connect_list_accounts", Deadline(20))

    assert clock.now - 1000 == pytest.approx(WAITING_S, abs=0.2)
    assert stale.reloads == 2


def test_thousand_failing_calls_cause_a_handful_of_reloads() -> None:
    stale, clock = StaleDataApi(reloads_needed=NEVER), Clock()
    cache = schema_cache(stale, clock)

    for _ in range(1000):
        assert not cache.heal("instagram_connect_list_accounts", Deadline(20))

    assert stale.reloads == 2
    clock.sleep(PAUSE_AFTER_FAILURE_S)
    stale.reloads_needed = 3
    assert cache.heal("instagram_connect_list_accounts", Deadline(20))


def test_concurrent_calls_share_one_reload() -> None:
    stale = StaleDataApi(reloads_needed=1)
    cache = SchemaCache(stale.client())
    together = threading.Barrier(8)

    def heal(_: int) -> bool:
        together.wait()
        return cache.heal("instagram_connect_store_connection", Deadline(20))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(heal, range(8)))
    assert stale.reloads == 1


def test_postgres_is_notified_when_the_data_api_cannot_reload() -> None:
    stale, clock = StaleDataApi(reloads_needed=1, knows_how_to_reload=False), Clock()
    database = ListenedDatabase(stale)

    assert schema_cache(stale, clock, database).heal("instagram_connect_store_connection", Deadline(20))

    assert database.notifications == 1
    assert clock.now - 1000 <= 0.2


def test_postgres_is_not_notified_when_the_data_api_reloads() -> None:
    stale, clock = StaleDataApi(reloads_needed=1), Clock()
    database = ListenedDatabase(stale)

    assert schema_cache(stale, clock, database).heal("instagram_connect_store_connection", Deadline(20))

    assert (stale.reloads, database.notifications) == (1, 0)


@pytest.mark.parametrize(
    ("database_of", "said"),
    [
        (lambda _: None, '"reason":"SCHEMA_CACHE_STALE"'),
        (lambda stale: ListenedDatabase(stale, DatabaseError("28P01")), '"storage_code":"28P01"'),
        (lambda stale: ListenedDatabase(stale, DatabaseError(None)), "Postgres could not be asked for a reload"),
    ],
)
def test_reload_is_not_reported_when_both_ways_fail(
    database_of: Callable[[StaleDataApi], Database | None], said: str, log: io.StringIO
) -> None:
    stale, clock = StaleDataApi(reloads_needed=1, knows_how_to_reload=False), Clock()
    cache = schema_cache(stale, clock, database_of(stale))

    assert not cache.ask_for_reload()
    assert not cache.heal("instagram_connect_store_connection", Deadline(20))

    assert stale.reloads == 0
    assert said in log.getvalue()
    assert "Healed" not in log.getvalue()


@pytest.mark.parametrize("way", ["data api", "postgres"])
def test_accepted_reload_is_reported(way: str) -> None:
    stale = StaleDataApi(reloads_needed=1, knows_how_to_reload=way == "data api")

    assert schema_cache(stale, Clock(), ListenedDatabase(stale)).ask_for_reload()

    assert stale.reloads == 1


def test_only_stale_cache_errors_cause_a_reload() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path.rsplit("/", 1)[-1])
        return refusal(403, "42501")

    with pytest.raises(StorageError) as caught:
        ConnectionRepository(data_api(answer)).list_accounts("u", Deadline(20))
    assert caught.value.reason == "PERMISSION_DENIED"
    assert asked == ["instagram_connect_list_accounts"]


def test_cache_that_stays_stale_raises_its_error_without_more_attempts() -> None:
    stale, clock = StaleDataApi(reloads_needed=NEVER), Clock()
    repository = ConnectionRepository(stale.client(), sleep=clock.sleep)
    repository._rpcs._schema_cache = schema_cache(stale, clock)

    with pytest.raises(StorageError) as caught:
        repository.disconnect_account("a", user_id="u", request_id="r", deadline=Deadline(20))
    assert caught.value.reason == "SCHEMA_CACHE_STALE"


def test_no_healing_without_enough_time() -> None:
    data_api, clock = StaleDataApi(reloads_needed=1), Clock()

    assert not schema_cache(data_api, clock).heal("instagram_connect_list_accounts", Deadline(WAITING_S - 0.5))

    assert (data_api.reloads, clock.now) == (0, 1000.0)
