"""Heals the Data API's schema cache: asks for a reload, and waits until the cache knows what the code needs.

PostgREST reads the schema once and again when it is told to. After a migration whose notification was lost it answers
that it does not know functions that exist; a reload takes it a tenth of a second. Source: PostgREST, "Schema Cache".
"""

import time
from collections.abc import Callable
from threading import Lock

import httpx
from aws_lambda_powertools.metrics import MetricUnit
from postgrest import APIError, SyncPostgrestClient

from .observability import logger, metrics
from .schema_contract import RELOAD_FUNCTION
from .storage_health import call_with_nothing, diagnose

# A reload is done in a tenth of a second, or in seconds for a schema of thousands of tables.
WAITING_S = 2.0
PROBE_INTERVAL_S = 0.1
# A notification can be lost, above all while the listener reconnects: it is sent again.
RELOAD_INTERVAL_S = 1.0
# What did not heal will hardly heal a moment later: a burst of failing calls must not become a burst of reloads.
PAUSE_AFTER_FAILURE_S = 5.0


class SchemaCache:
    """The Data API's schema cache, as far as it can be mended from outside. Safe to use from several threads."""

    def __init__(
        self,
        data_api: SyncPostgrestClient,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._data_api = data_api
        self._monotonic = monotonic
        self._sleep = sleep
        self._healing = Lock()
        self._healed_at = self._failed_at = float("-inf")

    def heal(self, function: str) -> bool:
        """Whether the Data API knows the function now. Takes about two seconds at most while the Data API answers.

        Whoever comes while another caller heals waits for that one's reload instead of asking for one more.
        """
        came_at = self._monotonic()
        with self._healing:
            if self._healed_at >= came_at:
                return True
            if self._monotonic() - self._failed_at < PAUSE_AFTER_FAILURE_S:
                return False
            started = self._monotonic()
            metrics.add_metric("SchemaCacheStale", MetricUnit.Count, 1)
            is_healed = self._reload_until_known(function)
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

    def _reload_until_known(self, function: str) -> bool:
        end = self._monotonic() + WAITING_S
        reload_at = self._monotonic()
        while self._monotonic() < end:
            if self._monotonic() >= reload_at:
                self._ask_for_reload()
                reload_at += RELOAD_INTERVAL_S
            self._sleep(PROBE_INTERVAL_S)
            if self._knows(function):
                return True
        return False

    def _ask_for_reload(self) -> None:
        try:
            call_with_nothing(self._data_api, RELOAD_FUNCTION)
        except (APIError, httpx.TransportError) as error:
            logger.warning("Could not ask for a reload", reason=diagnose(error).reason)

    def _knows(self, function: str) -> bool:
        try:
            call_with_nothing(self._data_api, function)
        except (APIError, httpx.TransportError) as error:
            return not diagnose(error).reload_helps
        return True
