"""Sends each ERROR line of the log to Sentry as one event, which holds what the line holds and nothing else.

The line is made by us and holds no secret, so it is all that leaves. Everything that Sentry's SDK gathers by itself
(stack frames with their variables, breadcrumbs, requests, the environment) stays off: those hold tokens and rows. A
Sentry that does not answer costs FLUSH_S once in a while, and fails nothing.

Loaded only where a DSN is set: importing the SDK takes longer than everything else that a function starts with.
"""

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk.utils import BadDsn

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from sentry_sdk.transport import Transport
    from sentry_sdk.types import Event

# From sending the first event over a new connection to its acceptance.
FLUSH_S = 2.0
# While Sentry is down, one function in five minutes waits for it and not each.
PAUSE_AFTER_FAILURE_S = 300.0
# They can be searched for in Sentry.
TAGS = ("service", "code", "reason", "actor", "correlation_id")
# What Powertools adds to a line that is logged with an exception: its text may quote a URL, a row or a token.
TEXTS_OF_EXCEPTIONS = ("exception", "exception_notes", "stack_trace")


class ErrorReports(logging.Handler):
    """Hands ERROR lines to Sentry's SDK, which sends them in a thread of its own. Raises nothing."""

    def __init__(self, client: sentry_sdk.Client, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.ERROR)
        self._client = client
        self._monotonic = monotonic
        self._is_pending = False
        self._silent_until = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        """Begins to send a line. Says nothing where that fails: the line itself is in the log."""
        if self._monotonic() < self._silent_until:
            return
        with suppress(Exception):
            self._client.capture_event(_event(json.loads(self.format(record))))
            self._is_pending = True

    def flush(self, limit_s: float = FLUSH_S) -> None:
        """Waits until what was reported is sent, within the limit and FLUSH_S."""
        limit_s = min(limit_s, FLUSH_S)
        if not self._is_pending or limit_s <= 0:
            return
        started = self._monotonic()
        with suppress(Exception):
            self._client.flush(timeout=limit_s)
        # The SDK does not tell whether it got through. It may come back some milliseconds before its time-out.
        is_sent = self._monotonic() - started < 0.95 * limit_s
        if is_sent:
            self._is_pending = False
        elif limit_s == FLUSH_S:
            self._is_pending = False
            self._silent_until = self._monotonic() + PAUSE_AFTER_FAILURE_S


def attach(
    logger: "Logger", dsn: str, *, release: str | None = None, transport: "Transport | None" = None
) -> ErrorReports | None:
    """Makes a logger report its ERROR lines from now on; None, and a warning, when the DSN is not one."""
    try:
        client = sentry_sdk.Client(
            dsn=dsn,
            transport=transport,
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            include_source_context=False,
            max_breadcrumbs=0,
            max_request_body_size="never",
            auto_session_tracking=False,
            send_client_reports=False,
            enable_backpressure_handling=False,
            # Left to itself the SDK asks git for one and the network for the other.
            release=release or "unknown",
            server_name="lambda",
        )
    except BadDsn:
        # Without chaining or text: a DSN that is none may be a secret that was put in the wrong place.
        logger.warning("SENTRY_DSN is no DSN: errors are not reported")
        return None
    reports = ErrorReports(client)
    # The formatter of the log, so that an event has the keys that were appended to the logger too.
    reports.setFormatter(logger.registered_formatter)
    logger.addHandler(reports)
    return reports


def _event(line: dict[str, Any]) -> "Event":
    for name in TEXTS_OF_EXCEPTIONS:
        line.pop(name, None)
    message = str(line.get("message"))
    return {
        "level": "error",
        "message": message,
        # One issue for each cause, however many users and requests meet it.
        "fingerprint": [str(line.get(name, "")) for name in ("service", "message", "code", "reason")],
        "tags": {name: str(line[name]) for name in TAGS if name in line},
        # Not as `extra`, of which the SDK keeps ten fields.
        "contexts": {"log": line},
    }
