"""While storage is down or slow: messages are retried, oversized batches divided, and nothing is dead-lettered."""

import io
from collections.abc import Callable
from typing import Any

import pytest

from instagram_connect.errors import StorageError
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage import diagnosis
from instagram_connect.storage.diagnosis import Diagnosis
from instagram_connect.webhooks.ingestion import (
    ATTEMPTS_IF_UNSURE,
    EVENT_ERRORS,
    EVENTS_PER_TRANSACTION,
    POSSIBLE_EVENT_ERRORS,
)
from tests.support.counting import counts
from tests.support.ingesting import CUSTOMER, DOUBTFUL, REFUSED, Ingesting, keys, mids, queued
from tests.support.refreshing import STORAGE_DOWN

REASONS = {value.reason for value in vars(diagnosis).values() if isinstance(value, Diagnosis)}


def slow(code: str | None) -> StorageError:
    """The error of a call that took too long or failed for another transient reason."""
    context = {"storage_operation": "store_webhook_events"} | ({"storage_code": code} if code else {})
    reason = "DATA_API_UNREACHABLE" if code is None or code.isalpha() else "DATABASE_BUSY"
    return StorageError(reason=reason, recoverable=True, log_context=context)


def slow_beyond(most: int, world: Ingesting, code: str) -> Callable[[dict[str, Any]], Any]:
    """Storage that accepts at most this many events per call."""
    store = world.storage.answers["store_webhook_events"]

    def answer(payload: dict[str, Any]) -> Any:
        if len(payload["events"]) > most:
            raise slow(code)
        return store(payload)

    return answer


@pytest.mark.parametrize("reason", sorted(REASONS - EVENT_ERRORS - POSSIBLE_EVENT_ERRORS))
def test_outage_retries_every_message_and_dead_letters_none(
    world: Ingesting, counted: dict[str, Any], log: io.StringIO, reason: str
) -> None:
    world.storage.refusals = dict.fromkeys(keys(4), StorageError(reason=reason))

    again = world.ingest(queued("a", "m-0", "m-1"), queued("b", "m-2"), queued("c", "m-3"))

    assert again == {"a", "b", "c"}
    assert world.storage.batches == [4]
    assert (world.dead_letters.buried, world.storage.failed, world.bus.published) == ([], [], [])
    assert counts(counted) == {"WebhooksPostponed": 3}
    assert f'"reason":"{reason}"' in log.getvalue()


@pytest.mark.parametrize("failure", DOUBTFUL, ids=str)
def test_outage_of_doubtful_cause_never_dead_letters(world: Ingesting, failure: StorageError) -> None:
    world.storage.failures = {"store_webhook_events": failure}

    again = world.ingest(queued("a", "m-0", "m-1", attempt=100), queued("b", "m-2", attempt=100))

    assert again == {"a", "b"}
    assert world.dead_letters.buried == []


@pytest.mark.parametrize("status", [None, 429, 502, 503, 504])
def test_gateway_errors_do_not_blame_the_event(world: Ingesting, status: int | None) -> None:
    failure = StorageError(reason="DATA_API_UNREACHABLE", recoverable=True, log_context={"storage_status": status})
    world.storage.refusals = {"msg:m-0": failure}

    assert world.ingest(queued("a", "m-0", attempt=100), queued("b", "m-1", attempt=100)) == {"a", "b"}

    assert (world.storage.batches, world.dead_letters.buried) == ([2], [])


@pytest.mark.parametrize("answer", [None, "", [], {}])
def test_meaningless_probe_response_retries_the_messages(world: Ingesting, answer: Any) -> None:
    """The probe whether storage works returns nonsense."""

    def fail(payload: dict[str, Any]) -> Any:
        if payload["events"]:
            raise StorageError(reason="UNEXPECTED_ANSWER")
        return answer

    world.storage.answers["store_webhook_events"] = fail

    assert world.ingest(queued("a", "m-0", attempt=100), queued("b", "m-1", attempt=100)) == {"a", "b"}

    assert world.dead_letters.buried == []


def test_only_messages_of_the_failed_call_are_retried(world: Ingesting) -> None:
    """One of them also had events in the call before."""
    size = EVENTS_PER_TRANSACTION // 4 * 3
    webhooks = [queued(name, *mids(size, number * size)) for number, name in enumerate("abcd")]
    world.storage.refusals = {f"msg:m-{EVENTS_PER_TRANSACTION}": STORAGE_DOWN}

    assert world.ingest(*webhooks) == {"b", "c"}

    assert len(world.storage.kept) == 2 * EVENTS_PER_TRANSACTION


def test_expired_deadline_retries_messages_and_dead_letters_none(world: Ingesting) -> None:
    world.storage.refusals = {"msg:m-0": REFUSED}

    assert world.ingest(queued("a", "m-0"), queued("b", "m-1"), deadline=Deadline(0)) == {"a", "b"}

    assert (world.dead_letters.buried, world.storage.kept) == ([], {})


def test_halving_stops_at_the_deadline(world: Ingesting) -> None:
    now_s = 0.0

    def refuse(_: dict[str, Any]) -> dict[str, Any]:
        nonlocal now_s
        now_s += 8
        raise REFUSED

    world.storage.answers["store_webhook_events"] = refuse
    webhooks = [queued(str(number), f"m-{number}") for number in range(16)]

    again = world.ingest(*webhooks, deadline=Deadline(20, monotonic=lambda: now_s))

    assert again == {webhook.id for webhook in webhooks}
    assert world.storage.batches == [16, 8, 4]
    assert world.dead_letters.buried == []


@pytest.mark.parametrize("code", ["TIMEOUT", "57014"])
def test_batch_too_large_for_storage_is_split_after_repeated_failures(
    world: Ingesting, counted: dict[str, Any], code: str
) -> None:
    world.storage.answers["store_webhook_events"] = slow_beyond(4, world, code)

    for attempt in range(1, ATTEMPTS_IF_UNSURE):
        assert world.ingest(queued("a", *mids(10), attempt=attempt), queued("b", *mids(6, 10), attempt=9)) == {"a", "b"}

    assert (world.storage.batches, world.storage.kept) == ([16] * (ATTEMPTS_IF_UNSURE - 1), {})
    assert counts(counted) == {"WebhooksPostponed": 2 * (ATTEMPTS_IF_UNSURE - 1)}
    world.storage.calls.clear()

    attempt = ATTEMPTS_IF_UNSURE
    assert world.ingest(queued("a", *mids(10), attempt=attempt), queued("b", *mids(6, 10), attempt=9)) == set()

    assert world.storage.batches == [16, 8, 4, 4, 8, 4, 4]
    assert list(world.storage.kept) == keys(16)
    assert [key for published in world.bus.published for key in published] == keys(16)
    assert world.dead_letters.buried == []
    assert counts(counted)["EventsStored"] == 16


def test_single_event_that_times_out_is_retried_alone_and_never_dead_lettered(world: Ingesting) -> None:
    world.storage.refusals = {"msg:m-2": slow("TIMEOUT")}
    webhooks = [queued(str(number), f"m-{number}", attempt=100) for number in range(4)]

    assert world.ingest(*webhooks) == {"2"}

    assert sorted(world.storage.kept) == ["msg:m-0", "msg:m-1", "msg:m-3"]
    assert world.dead_letters.buried == []


@pytest.mark.parametrize("code", [None, "DNS", "REFUSED", "BROKEN", "53300", "57P03", "40P01"])
def test_other_transient_failures_do_not_split_the_batch(world: Ingesting, code: str | None) -> None:
    world.storage.refusals = {"msg:m-0": slow(code)}

    assert world.ingest(queued("a", *mids(8), attempt=100)) == {"a"}

    assert world.storage.batches == [8]


def test_batch_is_not_split_after_the_deadline(world: Ingesting) -> None:
    """The client also reports TIMEOUT when no time is left, which says nothing about the batch."""
    slow = StorageError(reason="DATA_API_UNREACHABLE", recoverable=True, log_context={"storage_code": "TIMEOUT"})
    world.storage.refusals = dict.fromkeys(keys(64), slow)
    seconds = iter([0.0, 0.0, 0.0, 30.0])
    deadline = Deadline(30, monotonic=lambda: next(seconds, 30.0))

    assert world.ingest(queued("a", *mids(64), attempt=ATTEMPTS_IF_UNSURE), deadline=deadline) == {"a"}

    assert len(world.storage.batches) <= 2


@pytest.mark.parametrize("count", [1, 3])
def test_each_retried_message_is_counted_once(world: Ingesting, counted: dict[str, Any], count: int) -> None:
    world.storage.failures = {"store_webhook_events": STORAGE_DOWN}
    size = EVENTS_PER_TRANSACTION  # each of them in two batches

    world.ingest(queued("first", "m-0"), *(queued(str(number), *mids(size, number * size)) for number in range(count)))

    assert counts(counted) == {"WebhooksPostponed": count + 1}


def test_unexpected_exception_retries_its_messages_and_is_logged_with_its_location(
    world: Ingesting, counted: dict[str, Any], log: io.StringIO
) -> None:
    world.storage.refusals = {f"msg:m-{EVENTS_PER_TRANSACTION}": RuntimeError(f"a defect at {CUSTOMER}")}

    again = world.ingest(queued("a", *mids(EVENTS_PER_TRANSACTION)), queued("b", f"m-{EVENTS_PER_TRANSACTION}"))

    assert again == {"b"}
    assert len(world.storage.kept) == EVENTS_PER_TRANSACTION
    assert world.dead_letters.buried == []
    assert counts(counted) == {
        "EventsReceived": EVENTS_PER_TRANSACTION,
        "EventsStored": EVENTS_PER_TRANSACTION,
        "WebhooksPostponed": 1,
    }
    assert '"cause":"RuntimeError"' in log.getvalue()
    assert "webhooks/ingestion.py" in log.getvalue()
    assert CUSTOMER not in log.getvalue()


@pytest.mark.parametrize("answer", [None, "", [], {}])
def test_empty_storage_response_is_a_failure(world: Ingesting, answer: Any) -> None:
    world.storage.answers["store_webhook_events"] = answer

    assert world.ingest(queued("a", "m-0")) == {"a"}
