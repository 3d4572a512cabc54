"""One HTTP call to Meta: timeouts, repetition, and errors in our taxonomy.

Meta wants tokens, codes and the app secret in query strings, so no URL may reach a log, an exception text or a trace;
calls are logged by operation name.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from instagram_connect.errors import InstagramConnectError, LoginOutcomeUnknownError, MetaUnavailableError
from instagram_connect.meta import usage
from instagram_connect.meta.graph_errors import GraphFailure, error_for, error_for_code_exchange, read_failure
from instagram_connect.runtime import tls
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger

# Spread over about ten seconds: Meta's hiccups last longer than a moment, and a spent code cannot wait for another day.
MAX_ATTEMPTS = 8
CONNECT_TIMEOUT_S = 3.0
CALL_TIMEOUT_S = 8.0
# A page with 120 subscriptions in parallel must not open connections without end.
MAX_CONNECTIONS = 100
# Enough for calls after one another. With each request httpcore compares every idle connection with all others: a
# hundred of them took two thirds of the processor time of a hundred subscriptions.
MAX_IDLE_CONNECTIONS = 10

# The request never left: certain to be repeatable, even for a code.
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def http_client() -> httpx.Client:
    """The client for calls to Meta. Redirects are not followed: they would carry secrets to another address."""
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_IDLE_CONNECTIONS)
    return httpx.Client(verify=tls.context(), limits=limits, follow_redirects=False)


class GraphClient:
    """Calls Graph-shaped APIs. Safe to use from several threads."""

    def __init__(
        self, http: httpx.Client, *, max_attempts: int = MAX_ATTEMPTS, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """A client that makes a call `max_attempts` times at most."""
        self._http = http
        self._max_attempts = max_attempts
        self._sleep = sleep
        # httpx times connecting, sending and each chunk one by one; only a thread can be waited for as a whole.
        self._calls = ThreadPoolExecutor(MAX_CONNECTIONS, thread_name_prefix="meta")

    def exchange_code(self, method: str, url: str, *, params: Mapping[str, str], deadline: Deadline) -> dict[str, Any]:
        """Exchanges an authorization code: sent to Meta at most once. With POST, `params` are the form.

        A code is single use. When the answer is lost, Meta may have spent it, and a second exchange could only tell
        the user "already used"; so only a connection that was never made is tried again.
        Raises LoginError; MetaError.
        """

        def attempt() -> dict[str, Any]:
            try:
                return self._send(
                    "exchange_code", method, url, params, deadline, error_for_code_exchange, as_form=method == "POST"
                )
            except NEVER_SENT as error:
                raise MetaUnavailableError(log_context={"cause": type(error).__name__}) from error
            except httpx.HTTPError as error:
                raise LoginOutcomeUnknownError(log_context={"cause": type(error).__name__}) from error

        return self._repeated(attempt, deadline)

    def call(
        self, operation: str, method: str, url: str, *, params: Mapping[str, str], deadline: Deadline
    ) -> dict[str, Any]:
        """Makes a call that may be repeated, and repeats it on transient failures while there is time.

        Raises MetaError: MetaUnavailableError once the attempts or the time are used up, any other kind at once.
        """

        def attempt() -> dict[str, Any]:
            try:
                return self._send(operation, method, url, params, deadline, error_for)
            except httpx.HTTPError as error:
                raise MetaUnavailableError(
                    log_context={"meta_operation": operation, "cause": type(error).__name__}
                ) from error

        return self._repeated(attempt, deadline)

    def _repeated(self, attempt: Callable[[], dict[str, Any]], deadline: Deadline) -> dict[str, Any]:
        retrying = Retrying(
            # Only this kind is transient; a dead token or a throttled app gets worse by asking again.
            retry=retry_if_exception_type(MetaUnavailableError),
            # Another attempt must leave time for its answer.
            stop=lambda state: stop_after_attempt(self._max_attempts)(state) or deadline.remaining_s() < 1.0,
            wait=wait_random_exponential(multiplier=0.2, max=2),
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(attempt)

    def _send(
        self,
        operation: str,
        method: str,
        url: str,
        params: Mapping[str, str],
        deadline: Deadline,
        translate: Callable[[GraphFailure], InstagramConnectError],
        *,
        as_form: bool = False,
    ) -> dict[str, Any]:
        limit_s = max(0.1, min(CALL_TIMEOUT_S, deadline.remaining_s()))
        timeout = httpx.Timeout(limit_s, connect=min(CONNECT_TIMEOUT_S, limit_s))
        started = time.monotonic()
        sent: dict[str, Any] = {"data" if as_form else "params": dict(params)}
        answer = self._calls.submit(self._http.request, method, url, timeout=timeout, **sent)
        try:
            response = answer.result(timeout=limit_s)
        except TimeoutError:
            raise httpx.ReadTimeout("Meta did not finish its answer in time") from None
        logger.info(
            "Called Meta",
            meta_operation=operation,
            meta_http_status=response.status_code,
            duration_ms=round((time.monotonic() - started) * 1000),
        )
        usage.note(response.headers)
        body = _json(response)
        if response.is_success and body is True:  # how Meta's documentation shows the answer of a DELETE
            return {"success": True}
        if response.is_success and isinstance(body, dict) and not body.keys() & {"error", "error_type"}:
            return body
        error = translate(read_failure(response, body))
        error.log_context["meta_operation"] = operation
        raise error


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):  # HTML or nothing, from a proxy on the way; or nonsense
        return None
