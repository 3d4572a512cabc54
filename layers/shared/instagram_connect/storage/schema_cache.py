"""Heals the Data API's schema cache: requests a reload and waits until the cache knows what the code needs.

PostgREST reads the schema at its start and when it is notified. If the notification of a migration was lost, it does
not know functions that exist; a reload takes a tenth of a second. Source: PostgREST, "Schema Cache".
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics
from instagram_connect.storage.data_api import DataApi, DataApiError
from instagram_connect.storage.diagnosis import diagnose
from instagram_connect.storage.direct_connection import Database, DatabaseError
from instagram_connect.storage.schema_contract import FUNCTIONS, RELOAD_FUNCTION

# A reload takes a tenth of a second, or seconds for a schema of thousands of tables.
WAITING_S = 2.0
PROBE_INTERVAL_S = 0.1
# A notification can be lost, above all while the listener reconnects, so it is repeated.
RELOAD_INTERVAL_S = 1.0
# A burst of failing calls must not become a burst of reloads.
PAUSE_AFTER_FAILURE_S = 5.0
# The Data API responded a moment ago, even if with an error.
PROBE_S = 1.0


class SchemaCache:
    """Heals the Data API's schema cache from outside. Safe to use from several threads."""

    def __init__(
        self,
        data_api: DataApi,
        database: Database | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._data_api = data_api
        self._database = database
        self._monotonic = monotonic
        self._sleep = sleep
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="database")
        self._healing = Lock()
        self._healed_at = self._failed_at = float("-inf")

    def heal(self, function: str, deadline: Deadline) -> bool:
        """Heal the cache; return whether it knows the function now. Takes up to two seconds, and needs that much time
        left.

        Concurrent callers in this process share one reload.
        """
        if deadline.remaining_s() < WAITING_S:
            return False
        came_at = self._monotonic()
        with self._healing:
            if self._healed_at >= came_at:
                return True
            if self._monotonic() - self._failed_at < PAUSE_AFTER_FAILURE_S:
                return False
            started = self._monotonic()
            metrics.add_metric("SchemaCacheStale", MetricUnit.Count, 1)
            is_healed = self._reload_until_known(function, deadline)
            healing_ms = round((self._monotonic() - started) * 1000)
            if is_healed:
                self._healed_at = self._monotonic()
                metrics.add_metric("SchemaCacheHealed", MetricUnit.Count, 1)
                logger.warning("Healed the schema cache", storage_operation=function, healing_ms=healing_ms)
            else:
                self._failed_at = self._monotonic()
                logger.error(
                    "A reload did not heal the schema cache", storage_operation=function, healing_ms=healing_ms
                )
            return is_healed

    def ask_for_reload(self) -> bool:
        """Request a reload through the Data API, or else through Postgres; return whether one accepted it."""
        try:
            self._data_api.call(RELOAD_FUNCTION, {}, limit_s=PROBE_S)
        except DataApiError as error:
            # The cache may not know that function either.
            logger.warning("The Data API could not be asked for a reload", reason=diagnose(error).reason)
            return self._notify()
        return True

    def _notify(self) -> bool:
        if self._database is None:
            return False
        notified = self._threads.submit(self._database.reload_schema_cache, limit_s=PROBE_S)
        try:
            # A limit for the whole: name lookup, connecting and each statement have only their own limits.
            notified.result(timeout=PROBE_S)
        except (DatabaseError, TimeoutError) as error:
            logger.warning("Postgres could not be asked for a reload", storage_code=str(error))
            return False
        return True

    def _reload_until_known(self, function: str, deadline: Deadline) -> bool:
        # A hanging call takes a little longer than its limit.
        end = Deadline(min(WAITING_S, deadline.remaining_s()), monotonic=self._monotonic)
        reload_at = self._monotonic()
        while end.remaining_s() > 0:
            if self._monotonic() >= reload_at:
                self.ask_for_reload()
                reload_at += RELOAD_INTERVAL_S
            self._sleep(PROBE_INTERVAL_S)
            if self._knows(function):
                return True
        return False

    def _knows(self, function: str) -> bool:
        try:
            call_with_nothing(self._data_api, function, limit_s=PROBE_S)
        except DataApiError as error:
            diagnosis = diagnose(error)
            # A permanent refusal, such as a missing grant, proves that the function is cached; a time-out proves
            # nothing.
            return not (diagnosis.reload_helps or diagnosis.waiting_helps)
        return True


def call_with_nothing(data_api: DataApi, function: str, *, limit_s: float) -> None:
    """Call a function with null: it does nothing, but is looked up and checked for grants like any other call.

    Raises DataApiError.
    """
    nothing: dict[str, Any] = dict.fromkeys(FUNCTIONS[function])
    data_api.call(function, nothing, limit_s=limit_s)
