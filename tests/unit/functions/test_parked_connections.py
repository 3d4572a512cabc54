"""The parking queue's worker: which messages are retried, when, and what is logged."""

import copy
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from functions.parked_connections.app import LEAST_WAIT_S, MOST_WAIT_S, RESERVED_FOR_ANSWERING_S, Dependencies, handle
from instagram_connect.connections.parking import Parked, ParkedLogin
from instagram_connect.errors import (
    ConfigurationError,
    InstagramConnectError,
    MetaRateLimitedError,
    MetaUnavailableError,
    StorageError,
    TokenEncryptionError,
)
from instagram_connect.runtime.deadline import Deadline
from tests.support.counting import counts
from tests.support.fakes import NOW, USER_ID
from tests.support.lambda_context import FakeLambdaContext
from tests.support.routes import LoadEvent

RECEIPT = "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a"
MESSAGE_ID = "059f36b4-87a3-44ab-83d2-661975830a7d"
COMES_AGAIN = {"batchItemFailures": [{"itemIdentifier": MESSAGE_ID}]}
DONE: dict[str, Any] = {"batchItemFailures": []}

Invoke = Callable[..., Any]


class FakeLate:
    """Keeps what it was given to complete; fails with `error` if there is one."""

    def __init__(self) -> None:
        self.completed: list[Parked] = []
        self.deadlines: list[Deadline] = []
        self.error: Exception | None = None

    def complete(self, parked: Parked, deadline: Deadline) -> None:
        self.deadlines.append(deadline)
        if self.error:
            raise self.error
        self.completed.append(parked)


class FakeParking:
    """Records when messages were postponed to."""

    def __init__(self) -> None:
        self.postponed: list[tuple[str, int]] = []

    def postpone(self, receipt_handle: str, seconds: int) -> None:
        self.postponed.append((receipt_handle, seconds))


@pytest.fixture
def late() -> FakeLate:
    return FakeLate()


@pytest.fixture
def parking() -> FakeParking:
    return FakeParking()


@pytest.fixture
def deps(late: FakeLate, parking: FakeParking) -> Dependencies:
    return Dependencies(late, parking, time=NOW.timestamp)  # type: ignore[arg-type]


@pytest.fixture
def invoke(deps: Dependencies, load_event: LoadEvent, lambda_context: FakeLambdaContext) -> Invoke:
    """Delivers the recorded message with changed fields, the given seconds after it was sent."""

    def deliver(waited_s: float = 0, **changes: Any) -> Any:
        event = load_event("parked_connections")
        event["Records"][0].update(changes)
        now = NOW.timestamp() + waited_s
        return handle(event, lambda_context, lambda: replace(deps, time=lambda: now))  # type: ignore[arg-type]

    return deliver


def test_completed_message_is_deleted(invoke: Invoke, late: FakeLate, parking: FakeParking) -> None:
    assert invoke() == DONE

    (parked,) = late.completed
    assert isinstance(parked, ParkedLogin)
    assert (parked.user_id, parked.issued_at) == (USER_ID, NOW)
    assert parking.postponed == []


def test_message_deadline_leaves_time_to_postpone(
    invoke: Invoke, late: FakeLate, lambda_context: FakeLambdaContext
) -> None:
    invoke()

    (deadline,) = late.deadlines
    left_s = lambda_context.remaining_s - RESERVED_FOR_ANSWERING_S
    assert left_s - 1 < deadline.remaining_s() <= left_s


@pytest.mark.parametrize(
    "error",
    [
        StorageError(reason="PERMISSION_DENIED"),
        MetaUnavailableError(),
        TokenEncryptionError(),
        ConfigurationError(log_context={"setting": "FACEBOOK_APP_ID"}),
    ],
)
def test_incomplete_message_is_reported_and_postponed(
    invoke: Invoke, late: FakeLate, parking: FakeParking, log: io.StringIO, error: InstagramConnectError
) -> None:
    late.error = error

    assert invoke() == COMES_AGAIN

    assert parking.postponed == [(RECEIPT, LEAST_WAIT_S)]
    assert f'"code":"{error.code}"' in log.getvalue()
    assert "ciphertext" not in log.getvalue()


def test_postponed_messages_are_counted(invoke: Invoke, late: FakeLate, counted: dict[str, Any]) -> None:
    """ApproximateAgeOfOldestMessage leaves out messages received more than three times."""
    invoke()
    assert counts(counted) == {}

    late.error = StorageError(reason="DATABASE_UNAVAILABLE", recoverable=True)
    invoke()
    late.error = MetaRateLimitedError(retry_after_s=40)
    invoke()

    assert counts(counted) == {"ConnectionsPostponed": 2}


@pytest.mark.parametrize(
    ("waited_s", "wait_s"),
    [(0, 15), (59, 15), (64, 16), (200, 50), (480, 120), (3_600, 120), (1_000_000, 120), (-30, 15)],
)
def test_delay_grows_up_to_a_limit(
    invoke: Invoke, late: FakeLate, parking: FakeParking, waited_s: float, wait_s: int
) -> None:
    late.error = StorageError(reason="DATABASE_UNAVAILABLE", recoverable=True)

    invoke(waited_s)

    assert (LEAST_WAIT_S, MOST_WAIT_S) == (15, 120)
    assert parking.postponed == [(RECEIPT, wait_s)]


@pytest.mark.parametrize(("retry_after_s", "wait_s"), [(1, 1), (40, 40), (3600, 3600), (80000, 3600), (None, 3600)])
def test_delay_follows_metas_retry_after_up_to_a_limit(
    invoke: Invoke, late: FakeLate, parking: FakeParking, retry_after_s: int | None, wait_s: int
) -> None:
    late.error = MetaRateLimitedError(retry_after_s=retry_after_s)

    invoke(400)

    assert parking.postponed == [(RECEIPT, wait_s)]


@pytest.mark.parametrize("body", ["", "EAAtoken", "{}", '{"kind": "connection", "payload": "EAAtoken"}'])
def test_unreadable_message_is_retried_without_being_quoted(
    invoke: Invoke, late: FakeLate, parking: FakeParking, log: io.StringIO, body: str
) -> None:
    assert invoke(body=body) == COMES_AGAIN

    assert (late.completed, parking.postponed) == ([], [])
    assert '"level":"ERROR"' in log.getvalue()
    assert '"cause":"UnreadableMessageError"' in log.getvalue()
    assert "EAAtoken" not in log.getvalue()


def test_unexpected_exception_is_logged_with_its_location_only(
    invoke: Invoke, late: FakeLate, parking: FakeParking, log: io.StringIO
) -> None:
    late.error = RuntimeError("https://graph.facebook.com/?access_token=EAAsecret")

    assert invoke() == COMES_AGAIN

    assert '"level":"ERROR"' in log.getvalue()
    assert '"cause":"RuntimeError"' in log.getvalue()
    assert "functions/parked_connections/app.py" in log.getvalue()
    assert "EAAsecret" not in log.getvalue()


def test_missing_setting_retries_the_messages_and_is_logged(
    load_event: LoadEvent, lambda_context: FakeLambdaContext, log: io.StringIO
) -> None:
    def not_configured() -> Dependencies:
        raise ConfigurationError(log_context={"setting": "PARKING_QUEUE_URL"})

    answer = handle(load_event("parked_connections"), lambda_context, not_configured)  # type: ignore[arg-type]

    assert answer == COMES_AGAIN
    assert '"setting":"PARKING_QUEUE_URL"' in log.getvalue()


def test_only_failed_messages_are_retried(
    deps: Dependencies, late: FakeLate, load_event: LoadEvent, lambda_context: FakeLambdaContext
) -> None:
    event = load_event("parked_connections")
    broken = {**copy.deepcopy(event["Records"][0]), "messageId": "another", "body": "{}"}
    event["Records"].append(broken)

    answer = handle(event, lambda_context, lambda: deps)  # type: ignore[arg-type]

    assert answer == {"batchItemFailures": [{"itemIdentifier": "another"}]}
    assert len(late.completed) == 1
