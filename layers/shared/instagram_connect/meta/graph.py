"""Calls Meta over HTTP, with time-outs, retries, and errors in our taxonomy.

Meta takes tokens, codes and the app secret in query strings, so no URL may reach a log, an exception text or a trace;
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

# Spread over about ten seconds: Meta's hiccups take a while, and a spent code cannot be sent again later.
MAX_ATTEMPTS = 8
CONNECT_TIMEOUT_S = 3.0
CALL_TIMEOUT_S = 8.0
# A login with hundreds of Pages subscribes them in parallel.
MAX_CONNECTIONS = 100
# Enough for sequential calls. httpcore compares all idle connections with each other on every request: keeping a
# hundred took two thirds of the processor time of a hundred subscriptions.
MAX_IDLE_CONNECTIONS = 10

# The request never left, so it can be repeated, even with a code.
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def http_client() -> httpx.Client:
    """The HTTP client for Meta. It follows no redirects: they would carry secrets to another address."""
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_IDLE_CONNECTIONS)
    return httpx.Client(verify=tls.context(), limits=limits, follow_redirects=False)


class GraphClient:
    """Calls Graph-shaped APIs. Safe to use from several threads."""

    def __init__(
        self, http: httpx.Client, *, max_attempts: int = MAX_ATTEMPTS, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """A client that makes each call at most `max_attempts` times."""
        self._http = http
        self._max_attempts = max_attempts
        self._sleep = sleep
        # httpx limits connecting, sending and each chunk separately; waiting for a thread limits the whole call.
        self._calls = ThreadPoolExecutor(MAX_CONNECTIONS, thread_name_prefix="meta")

    def exchange_code(self, method: str, url: str, *, params: Mapping[str, str], deadline: Deadline) -> dict[str, Any]:
        """Exchange an authorization code; it reaches Meta at most once. With POST, `params` are the form.

        A code is single use. If the answer is lost, Meta may have spent it, and a second exchange could only return
        "already used"; so only a request that was never sent is retried. Raises LoginError; MetaError.
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
        """Make an idempotent call and retry it on transient failures until the deadline.

        Raises MetaError: MetaUnavailableError after the last attempt, any other kind at once.
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
            # Only this error is transient; a retry makes a throttled app worse and cannot help a dead token.
            retry=retry_if_exception_type(MetaUnavailableError),
            # Another attempt needs time for its answer.
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
        if response.is_success and body is True:  # the answer to a DELETE in Meta's documentation
            return {"success": True}
        if response.is_success and isinstance(body, dict) and not body.keys() & {"error", "error_type"}:
            return body
        error = translate(read_failure(response, body))
        error.log_context["meta_operation"] = operation
        raise error


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):  # a proxy's HTML, or nothing
        return None
