"""The connection to Supabase's Data API (PostgREST), as the backend's own role.

`postgrest` is the part of supabase-py for the Data API; the rest (realtime, storage, auth) is not needed here and would
double the time to start. Every call ends within its time limit. A DataApiError has the codes that distinguish causes
and none of the texts: `details` of a constraint violation is the whole row.
"""

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from postgrest import APIError, ReturnMethod, SyncPostgrestClient

from instagram_connect.runtime import tls

# With connecting and sending, at most 7 s for one attempt.
TIMEOUT = httpx.Timeout(connect=1.5, write=1.5, read=4.0, pool=0.5)
ATTEMPT_S = 7.0
# A frozen Lambda keeps sockets that the server has long closed, so idle ones are replaced.
KEEPALIVE_EXPIRY_S = 10.0
THREADS = 40

# Hints of these codes name tables, functions, grants and schemas; other hints may quote values.
CODES_WITH_SAFE_HINTS = re.compile(r"PGRST\d+|42\w{3}")
_SQLSTATE_OR_PGRST = re.compile(r"PGRST\w{1,3}|[0-9A-Z]{5}")


class DataApiError(Exception):
    """A call that failed.

    `code` is PostgREST's or Postgres's, None if something else or nothing responded; `status` is the HTTP status, None
    without a response; `network` then says why: DNS, TLS, TIMEOUT, REFUSED or BROKEN. `hint` is safe to log;
    `is_empty` marks a response without any content.
    """

    def __init__(
        self,
        *,
        code: str | None = None,
        status: int | None = None,
        hint: str | None = None,
        network: str | None = None,
        is_empty: bool = False,
    ) -> None:
        super().__init__(code or network or f"HTTP {status}")
        self.code = code
        self.status = status
        self.hint = hint
        self.network = network
        self.is_empty = is_empty


class DataApi:
    """Calls the Data API. Safe to use from several threads. Does no I/O until the first call."""

    def __init__(self, supabase_url: str, secret_key: str, transport: httpx.BaseTransport | None = None) -> None:
        """The Data API at `<supabase_url>/rest/v1`.

        New keys (`sb_secret_…`) are opaque and go into the apikey header only; legacy keys are JWTs and must be the
        bearer token too. Source: Supabase, "Understanding API keys".
        """
        headers = {"apikey": secret_key}
        if not secret_key.startswith("sb_"):
            headers["Authorization"] = f"Bearer {secret_key}"
        self._last = threading.local()
        self._http = httpx.Client(
            verify=tls.context(),
            timeout=TIMEOUT,
            limits=httpx.Limits(keepalive_expiry=KEEPALIVE_EXPIRY_S),
            transport=transport,
            # The client drops the status of a response with a JSON body.
            event_hooks={"response": [self._remember_status]},
        )
        self._client = SyncPostgrestClient(
            f"{supabase_url.rstrip('/')}/rest/v1", headers=headers, http_client=self._http, retry_enabled=False
        )
        # httpx limits connecting, sending and each chunk separately; waiting for a thread limits the whole call.
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="data-api")

    def call(
        self,
        function: str,
        arguments: Mapping[str, Any],
        *,
        limit_s: float = ATTEMPT_S,
        request_id: str | None = None,
    ) -> Any:
        """Call a function. Raises DataApiError; after a TIMEOUT the function may still run and commit."""
        call = self._client.rpc(function, dict(arguments))
        if request_id:
            call.request.headers["X-Request-Id"] = request_id
        return self._within(limit_s, call.execute)

    def insert_nothing(self, relation: str, columns: Sequence[str], *, limit_s: float = ATTEMPT_S) -> None:
        """Insert no rows, naming columns: refused for the same reasons as a real insert. Raises DataApiError.

        Unlike a GET this is reliable in every PostgREST version.
        """
        insert = self._client.from_(relation).insert([], returning=ReturnMethod.minimal)
        insert.request.params = insert.request.params.add("columns", ",".join(columns))
        self._within(limit_s, insert.execute)

    def read_nothing(self, relation: str, columns: Sequence[str], *, limit_s: float = ATTEMPT_S) -> None:
        """Read no rows. Postgres looks the columns up itself, regardless of the cache. Raises DataApiError."""
        self._within(limit_s, self._client.from_(relation).select(*columns).limit(0).execute)

    def close(self) -> None:
        """Close the connections, for callers that do not live as long as their process."""
        self._threads.shutdown(wait=False)
        self._http.close()

    def _within(self, limit_s: float, execute: Callable[[], Any]) -> Any:
        try:
            return self._threads.submit(self._translated, execute).result(timeout=max(0.1, limit_s))
        except TimeoutError:
            raise DataApiError(network="TIMEOUT") from None

    def _translated(self, execute: Callable[[], Any]) -> Any:
        self._last.status = None
        try:
            answer = execute().data
        except APIError as error:
            raise _refusal(error, self._last.status) from None
        except httpx.RequestError as error:
            raise DataApiError(network=_network_cause(error)) from None
        except UnicodeError:  # an invalid host name, noticed by the lookup
            raise DataApiError(network="DNS") from None
        if answer and isinstance(answer, str):  # a web page: this is not a Data API
            raise DataApiError(status=self._last.status)
        return answer

    def _remember_status(self, response: httpx.Response) -> None:
        self._last.status = response.status_code


def _refusal(error: APIError, status: int | None) -> DataApiError:
    code = str(error.code or "")
    # Without a JSON body the client sets the HTTP status as the code.
    if not _SQLSTATE_OR_PGRST.fullmatch(code):
        # The client then derives the message from the status.
        is_empty = not error.details and (code.isdigit() or not error.message)
        return DataApiError(status=status, is_empty=is_empty)
    hint = str(error.hint) if error.hint and CODES_WITH_SAFE_HINTS.fullmatch(code) else None
    return DataApiError(code=code, status=status, hint=hint)


def _network_cause(error: BaseException) -> str:
    causes = list(_chain(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "DNS"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "TLS"
    if any(isinstance(cause, httpx.TimeoutException) for cause in causes):
        return "TIMEOUT"
    if any(isinstance(cause, httpx.ConnectError) for cause in causes):
        return "REFUSED"
    return "BROKEN"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
