"""Sends each ERROR line of the log to Sentry as one event that holds the line's fields and nothing else.

Our log lines hold no secrets. Everything that Sentry's SDK would collect itself (stack frames with variables,
breadcrumbs, requests, the environment) is off, because it holds tokens and rows. If Sentry does not respond, a function
waits FLUSH_S now and then; nothing fails.

Loaded only if a DSN is set: importing the SDK takes longer than everything else that a function starts with.
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

# Enough to open a connection and deliver the first event.
FLUSH_S = 2.0
# While Sentry is down, a function waits for it every five minutes only.
PAUSE_AFTER_FAILURE_S = 300.0
# Searchable in Sentry.
TAGS = ("service", "code", "reason", "actor", "correlation_id")
# Powertools adds these fields for an exception; its text may quote a URL, a row or a token.
TEXTS_OF_EXCEPTIONS = ("exception", "exception_notes", "stack_trace")


class ErrorReports(logging.Handler):
    """Passes ERROR lines to Sentry's SDK, which sends them in its own thread. Never raises."""

    def __init__(self, client: sentry_sdk.Client, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.ERROR)
        self._client = client
        self._monotonic = monotonic
        self._is_pending = False
        self._silent_until = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        """Start sending a line. Ignores failures: the line is in the log."""
        if self._monotonic() < self._silent_until:
            return
        with suppress(Exception):
            self._client.capture_event(_event(json.loads(self.format(record))))
            self._is_pending = True

    def flush(self, limit_s: float = FLUSH_S) -> None:
        """Wait until pending events are sent, for at most `limit_s` and FLUSH_S seconds."""
        limit_s = min(limit_s, FLUSH_S)
        if not self._is_pending or limit_s <= 0:
            return
        started = self._monotonic()
        with suppress(Exception):
            self._client.flush(timeout=limit_s)
        # The SDK does not report success, and may return some milliseconds before its time-out.
        is_sent = self._monotonic() - started < 0.95 * limit_s
        if is_sent:
            self._is_pending = False
        elif limit_s == FLUSH_S:
            self._is_pending = False
            self._silent_until = self._monotonic() + PAUSE_AFTER_FAILURE_S


def attach(
    logger: "Logger", dsn: str, *, release: str | None = None, transport: "Transport | None" = None
) -> ErrorReports | None:
    """Make a logger report its ERROR lines; None, and a warning in the log, if the DSN is invalid."""
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
            # By default the SDK asks git for the one and the network for the other.
            release=release or "unknown",
            server_name="lambda",
        )
    except BadDsn:
        # Without chaining or text: an invalid DSN may be a secret in the wrong place.
        logger.warning("SENTRY_DSN is not a valid DSN: errors are not reported")
        return None
    reports = ErrorReports(client)
    # The logger's formatter, so that events have the keys that were appended to the logger.
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
        # One issue per cause, for any number of users and requests.
        "fingerprint": [str(line.get(name, "")) for name in ("service", "message", "code", "reason")],
        "tags": {name: str(line[name]) for name in TAGS if name in line},
        # Not `extra`: the SDK keeps only ten of its fields.
        "contexts": {"log": line},
    }
