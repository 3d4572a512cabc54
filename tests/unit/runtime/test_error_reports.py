"""Sentry gets the ERROR lines' content and nothing else, and a failing Sentry costs next to nothing."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from instagram_connect.runtime import observability
from instagram_connect.runtime.error_reports import FLUSH_S, PAUSE_AFTER_FAILURE_S, ErrorReports, attach
from instagram_connect.runtime.observability import ReportingSettings, logger, report_errors, sends_error_reports

DSN = "https://publickey@o1.ingest.example.com/42"
SECRET = "EAAtoken-of-anna@example.com"


class KeptEnvelopes(Transport):
    """Records what would be sent, and takes as long as a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.envelopes: list[Envelope] = []
        self.now = 1000.0
        self.takes_s = 0.1
        self.failure: Exception | None = None
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def capture_envelope(self, envelope: Envelope) -> None:
        if self.failure:
            raise self.failure
        self.envelopes.append(envelope)

    def flush(self, timeout: float, callback: Any = None) -> None:
        if self.failure:
            raise self.failure
        self.waits.append(timeout)
        self.now += min(timeout, self.takes_s)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(json.dumps(envelope.get_event())) for envelope in self.envelopes]

    @property
    def sent(self) -> str:
        """Everything that would be sent."""
        return b"".join(envelope.serialize() for envelope in self.envelopes).decode()


@pytest.fixture
def sentry() -> KeptEnvelopes:
    return KeptEnvelopes()


@pytest.fixture
def reports(sentry: KeptEnvelopes, log: io.StringIO) -> Iterator[ErrorReports]:
    """A logger that reports, as with SENTRY_DSN set."""
    attached = attach(logger, DSN, release="r1", transport=sentry)
    assert attached is not None
    attached._monotonic = sentry.monotonic
    yield attached
    logger.handlers.remove(attached)


def fail(code: str = "STORAGE_FAILED", reason: str = "SCHEMA_CACHE_STALE", **fields: Any) -> None:
    """Logs a failed request as the API does."""
    logger.error("Request failed", extra={"code": code, "reason": reason, "actor": "operator", **fields})


@pytest.mark.usefixtures("reports")
def test_event_has_exactly_the_log_lines_fields(sentry: KeptEnvelopes, log: io.StringIO) -> None:
    logger.append_keys(correlation_id="r-1")
    fields: dict[str, Any] = {f"storage_{number}": number for number in range(12)}
    try:
        fail(remedy="Run in SQL.", stack=["app.py:1 handle", "app.py:2 call"], **fields)
    finally:
        logger.remove_keys(["correlation_id"])

    (event,) = sentry.events
    assert event["contexts"] == {"log": json.loads(log.getvalue())}
    assert event["contexts"]["log"]["correlation_id"] == "r-1"
    assert (event["message"], event["level"], event["release"]) == ("Request failed", "error", "r1")
    assert event["tags"] == {
        "service": event["contexts"]["log"]["service"],
        "code": "STORAGE_FAILED",
        "reason": "SCHEMA_CACHE_STALE",
        "actor": "operator",
        "correlation_id": "r-1",
    }


@pytest.mark.usefixtures("reports")
def test_event_adds_only_what_sentry_needs(sentry: KeptEnvelopes) -> None:
    fail()

    (event,) = sentry.events
    assert set(event) == {
        "contexts",
        "environment",
        "event_id",
        "fingerprint",
        "level",
        "message",
        "platform",
        "release",
        "sdk",
        "server_name",
        "tags",
        "timestamp",
    }
    assert event["sdk"]["integrations"] == []
    assert [item.type for envelope in sentry.envelopes for item in envelope.items] == ["event"]


@pytest.mark.usefixtures("reports")
def test_secrets_in_exceptions_locals_and_urls_are_not_sent(sentry: KeptEnvelopes) -> None:
    url = f"https://graph.example.com/oauth?client_secret={SECRET}"

    def call(token: str) -> None:
        error = ValueError(f"GET {url} with {token}")
        error.add_note(SECRET)
        raise error

    logging.getLogger("httpx").error("HTTP Request: GET %s", url)
    try:
        call(SECRET)
    except ValueError:
        logger.exception("A defect")
        logger.error("Another", exc_info=True, stack_info=True)

    first, second = sentry.events
    assert SECRET not in sentry.sent
    assert (first["message"], second["message"]) == ("A defect", "Another")
    assert first["contexts"]["log"]["exception_name"] == "ValueError"


@pytest.mark.usefixtures("reports")
def test_only_errors_are_reported(sentry: KeptEnvelopes) -> None:
    logger.debug("x")
    logger.info("x")
    logger.warning("x", extra={"code": "LOGIN_CODE_USED"})

    assert sentry.envelopes == []


@pytest.mark.usefixtures("reports")
def test_one_cause_is_grouped_as_one_issue(sentry: KeptEnvelopes) -> None:
    fail(function_request_id="1")
    fail(function_request_id="2")
    fail(reason="PERMISSION_DENIED")
    fail(code="CONFIGURATION_INVALID")

    first, again, *others = [tuple(event["fingerprint"]) for event in sentry.events]
    assert first == again
    assert len({first, *others}) == 3


def test_flush_waits_once_and_only_for_pending_reports(sentry: KeptEnvelopes, reports: ErrorReports) -> None:
    reports.flush()
    assert sentry.waits == []

    fail()
    fail()
    reports.flush()
    reports.flush()

    assert sentry.waits == [FLUSH_S]


def test_unresponsive_sentry_costs_two_seconds_once(sentry: KeptEnvelopes, reports: ErrorReports) -> None:
    sentry.takes_s = 60

    for _ in range(100):
        fail()
        reports.flush()

    assert sentry.now - 1000 == FLUSH_S
    assert len(sentry.envelopes) == 1


def test_reporting_resumes_after_a_pause(sentry: KeptEnvelopes, reports: ErrorReports) -> None:
    sentry.takes_s = 60
    fail()
    reports.flush()

    sentry.takes_s = 0.1
    sentry.now += PAUSE_AFTER_FAILURE_S
    fail()
    reports.flush()

    assert len(sentry.envelopes) == 2


def test_short_flush_time_does_not_pause_reporting(sentry: KeptEnvelopes, reports: ErrorReports) -> None:
    sentry.takes_s = 0.4
    fail()

    reports.flush(0.0)
    reports.flush(-1.0)
    reports.flush(0.3)
    fail()
    reports.flush()

    assert sentry.waits == [0.3, FLUSH_S]
    assert len(sentry.envelopes) == 2


def test_failed_report_is_ignored(
    sentry: KeptEnvelopes, reports: ErrorReports, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    sentry.failure = RuntimeError(SECRET)

    fail()
    reports.flush()

    assert "STORAGE_FAILED" in log.getvalue()
    assert SECRET not in capsys.readouterr().err


@pytest.mark.parametrize("environment", [{}, {"SENTRY_DSN": ""}])
def test_nothing_is_reported_without_a_dsn(environment: dict[str, str]) -> None:
    before = list(logger.handlers)

    assert report_errors(ReportingSettings.from_env(environment)) is None

    assert logger.handlers == before


def test_dsn_enables_reporting() -> None:
    before = list(logger.handlers)
    reports = report_errors(ReportingSettings(DSN, "abc"))
    try:
        assert logger.handlers == [*before, reports]
    finally:
        logger.handlers[:] = before


def test_invalid_dsn_is_logged_without_being_quoted(log: io.StringIO) -> None:
    before = list(logger.handlers)

    assert report_errors(ReportingSettings(SECRET, None)) is None

    assert logger.handlers == before
    assert "SENTRY_DSN is not a valid DSN" in log.getvalue()
    assert SECRET not in log.getvalue()


def test_sentry_is_not_imported_without_a_dsn() -> None:
    code = "import sys, instagram_connect.runtime.observability; sys.exit('sentry_sdk' in sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")


def lambda_context(remaining_s: float) -> Any:
    return SimpleNamespace(get_remaining_time_in_millis=lambda: remaining_s * 1000)


@pytest.mark.parametrize(("remaining_s", "waited_s"), [(20.0, [FLUSH_S]), (1.2, [pytest.approx(1.0)]), (0.1, [])])
def test_reports_are_flushed_within_the_functions_time(
    sentry: KeptEnvelopes,
    reports: ErrorReports,
    monkeypatch: pytest.MonkeyPatch,
    remaining_s: float,
    waited_s: list[float],
) -> None:
    monkeypatch.setattr(observability, "_reports", reports)

    @sends_error_reports
    def handler(event: dict[str, Any], context: Any) -> str:
        fail()
        return "answer"

    assert handler({}, lambda_context(remaining_s)) == "answer"
    assert sentry.waits == waited_s


def test_reports_are_flushed_after_an_exception(
    sentry: KeptEnvelopes, reports: ErrorReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observability, "_reports", reports)

    @sends_error_reports
    def handler(event: dict[str, Any], context: Any) -> str:
        fail()
        raise KeyError("x")

    with pytest.raises(KeyError):
        handler({}, lambda_context(20))
    assert sentry.waits == [FLUSH_S]


def test_function_without_reports_is_not_delayed() -> None:
    @sends_error_reports
    def handler(event: dict[str, Any], context: Any) -> str:
        return "answer"

    assert handler({}, None) == "answer"  # type: ignore[arg-type]
