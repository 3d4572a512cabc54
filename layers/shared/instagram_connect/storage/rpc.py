"""Calls database functions for the repositories: heals the schema cache, keeps deadlines, raises StorageError."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from instagram_connect.errors import StorageError
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.data_api import ATTEMPT_S, DataApi, DataApiError
from instagram_connect.storage.diagnosis import STALE, diagnose, storage_error
from instagram_connect.storage.direct_connection import Database
from instagram_connect.storage.schema_cache import SchemaCache
from instagram_connect.storage.schema_contract import rpc_name

MAX_ATTEMPTS = 5
# Do not start another attempt without time for its response.
LEAST_ATTEMPT_S = 2.0


class Rpcs:
    """Calls functions of the schema contract, one transaction for each call. Safe to use from several threads.

    With a database URL a stale schema cache can be healed even if the Data API does not know the reload function.
    """

    def __init__(
        self, data_api: DataApi, database_url: str | None = None, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._data_api = data_api
        database = Database(database_url) if database_url else None
        self._schema_cache = SchemaCache(data_api, database, sleep=sleep)
        self._sleep = sleep

    def call(
        self,
        function: str,
        payload: Any,
        deadline: Deadline,
        *,
        request_id: str | None = None,
        details: str | None = None,
    ) -> Any:
        """Call a function with a payload, healing the schema cache if necessary. Raises StorageError."""

        name = rpc_name(function)

        def call() -> Any:
            limit_s = deadline.within(ATTEMPT_S).remaining_s()
            return self._data_api.call(name, {"payload": payload}, limit_s=limit_s, request_id=request_id)

        try:
            try:
                return call()
            except DataApiError as error:
                if not (diagnose(error).reload_helps and self._schema_cache.heal(name, deadline)):
                    raise
                return call()
        except DataApiError as error:
            raise storage_error(error, name, details) from None

    def call_patiently(self, function: str, payload: Any, deadline: Deadline, *, request_id: str | None = None) -> Any:
        """Like `call`, for idempotent functions: retried within the deadline while waiting can help."""
        retrying = Retrying(
            retry=retry_if_exception(_may_pass_by_itself),
            stop=lambda state: stop_after_attempt(MAX_ATTEMPTS)(state) or deadline.remaining_s() < LEAST_ATTEMPT_S,
            wait=wait_random_exponential(multiplier=0.2, max=1),
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(self.call, function, payload, deadline, request_id=request_id)


def _may_pass_by_itself(error: BaseException) -> bool:
    # We waited for a stale cache already.
    return isinstance(error, StorageError) and error.recoverable and error.reason != STALE.reason


class RpcCaller(Protocol):
    """`Rpcs`, or a stand-in with which tests call Postgres directly."""

    def call(self, function: str, payload: Any, deadline: Deadline) -> Any:
        """Call a function."""

    def call_patiently(self, function: str, payload: Any, deadline: Deadline) -> Any:
        """The same, retried while waiting can help."""
