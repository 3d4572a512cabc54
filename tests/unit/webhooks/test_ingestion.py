"""From messages to stored events: each is stored or buried, and one that cannot be stored holds up no other."""

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from instagram_connect.errors import StorageError
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import metrics
from instagram_connect.storage import diagnosis
from instagram_connect.storage.diagnosis import Diagnosis
from instagram_connect.webhooks import parser
from instagram_connect.webhooks.events import EventKind
from instagram_connect.webhooks.ingestion import (
    ATTEMPTS_IF_UNSURE,
    EVENT_ERRORS,
    EVENTS_PER_TRANSACTION,
    MAX_REFUSED,
    POSSIBLE_EVENT_ERRORS,
    QueuedWebhook,
)
from instagram_connect.webhooks.maintenance import EVENTS_PER_ROUND, MIN_ROUND_S, PURGE_LIMIT
from instagram_connect.webhooks.queue import BASE64
from tests.support.counting import counts
from tests.support.fakes import NOW
from tests.support.ingesting import CAFE, CUSTOMER, REFUSED, STRANGER, STUDIO, TEXT, Ingesting, delivery, queued, stored
from tests.support.refreshing import STORAGE_DOWN

# What may be a server's trouble as well as an event's.
DOUBTFUL = [
    *(StorageError(reason=reason) for reason in sorted(POSSIBLE_EVENT_ERRORS)),
    StorageError(reason="DATA_API_UNREACHABLE", recoverable=True, log_context={"storage_status": 500}),
]
REASONS = {value.reason for value in vars(diagnosis).values() if isinstance(value, Diagnosis)}


@pytest.fixture
def world() -> Ingesting:
    return Ingesting()


def keys(count: int, start: int = 0) -> list[str]:
    return [f"msg:m-{number}" for number in range(start, start + count)]


def mids(count: int, start: int = 0) -> list[str]:
    return [f"m-{number}" for number in range(start, start + count)]


def slow(code: str | None) -> StorageError:
    """As storage fails when a call takes too long, or for another reason that passes."""
    context = {"storage_operation": "store_webhook_events"} | ({"storage_code": code} if code else {})
    reason = "DATA_API_UNREACHABLE" if code is None or code.isalpha() else "DATABASE_BUSY"
    return StorageError(reason=reason, recoverable=True, log_context=context)


def slow_beyond(most: int, world: Ingesting, code: str) -> Callable[[dict[str, Any]], Any]:
    """Storage that takes no more events at once than these."""
    store = world.storage.answers["store_webhook_events"]

    def answer(payload: dict[str, Any]) -> Any:
        if len(payload["events"]) > most:
            raise slow(code)
        return store(payload)

    return answer


def test_all_events_of_all_messages_are_stored_in_one_call_and_published(
    world: Ingesting, counted: dict[str, Any]
) -> None:
    again = world.ingest(queued("a", "m-0", "m-1"), queued("b", "m-2", entry_id=STUDIO), queued("c", "m-3"))

    assert again == set()
    assert world.storage.batches == [4]
    assert [row["entry_id"] for row in world.storage.kept.values()] == [CAFE, CAFE, STUDIO, CAFE]
    assert world.bus.published == [keys(4)]
    assert counts(counted) == {"EventsReceived": 4, "EventsStored": 4}


def test_nothing_is_asked_and_counted_without_messages(world: Ingesting, counted: dict[str, Any]) -> None:
    assert world.ingest() == set()

    assert (world.storage.calls, world.bus.published, world.bus.looked) == ([], [], 0)
    assert counts(counted) == {}


def test_events_of_an_account_that_nobody_connected_are_counted_apart(
    world: Ingesting, counted: dict[str, Any]
) -> None:
    assert world.ingest(queued("a", "m-0", entry_id=STRANGER), queued("b", "m-1")) == set()

    assert set(world.storage.kept) == {"msg:m-0", "msg:m-1"}
    assert world.bus.published == [["msg:m-1"]]
    assert counts(counted) == {"EventsReceived": 2, "EventsStored": 1, "EventsUnknown": 1}


def test_the_bus_is_left_alone_where_there_is_nothing_to_publish(world: Ingesting) -> None:
    world.ingest(queued("a", "m-0", entry_id=STRANGER))

    assert (world.bus.published, world.bus.looked) == ([], 0)


def test_a_message_that_comes_again_publishes_what_its_first_worker_may_have_left(
    world: Ingesting, counted: dict[str, Any]
) -> None:
    world.ingest(queued("a", "m-0"))

    assert world.ingest(queued("a", "m-0")) == set()

    assert len(world.storage.kept) == 1
    assert (world.bus.published, world.bus.looked) == ([["msg:m-0"]], 1)
    assert counts(counted) == {"EventsReceived": 2, "EventsStored": 1, "EventsDuplicate": 1}


@pytest.mark.parametrize("reason", sorted(REASONS - EVENT_ERRORS - POSSIBLE_EVENT_ERRORS))
def test_while_storage_takes_nothing_every_message_comes_again_and_none_is_buried(
    world: Ingesting, counted: dict[str, Any], log: io.StringIO, reason: str
) -> None:
    world.storage.refusals = dict.fromkeys(keys(4), StorageError(reason=reason))

    again = world.ingest(queued("a", "m-0", "m-1"), queued("b", "m-2"), queued("c", "m-3"))

    assert again == {"a", "b", "c"}
    assert world.storage.batches == [4]
    assert (world.dead_letters.buried, world.storage.failed, world.bus.published) == ([], [], [])
    assert counts(counted) == {"WebhooksPostponed": 3}
    assert f'"reason":"{reason}"' in log.getvalue()


@pytest.mark.parametrize("reason", sorted(EVENT_ERRORS))
@pytest.mark.parametrize("place", [0, 7, 15])
def test_an_event_that_storage_refuses_is_found_by_halving_and_holds_up_no_other(
    world: Ingesting, counted: dict[str, Any], log: io.StringIO, place: int, reason: str
) -> None:
    world.storage.refusals = {
        f"msg:m-{place}": StorageError(reason=reason, log_context={"storage_code": "22P05"}),
    }

    again = world.ingest(queued("a", *mids(5)), queued("b", *mids(6, 5)), queued("c", *mids(5, 11)))

    assert again == set()
    assert len(world.storage.batches) == 9  # all, and twice for each of four halvings
    others = [key for key in keys(16) if key != f"msg:m-{place}"]
    assert sorted(world.storage.kept) == sorted(others)
    assert sorted(key for published in world.bus.published for key in published) == sorted(others)
    ((body, told),) = world.dead_letters.buried
    assert parser.parse(body) == parser.parse(json.dumps(delivery(f"m-{place}")).encode())
    assert told == f"{reason} 22P05"
    assert world.storage.failed == [CAFE]
    assert counts(counted) == {"EventsReceived": 15, "EventsStored": 15, "EventsFailed": 1}
    assert '"event_kind":"message"' in log.getvalue()


@pytest.mark.parametrize("failure", DOUBTFUL, ids=str)
def test_an_event_that_may_be_the_cause_comes_again_alone_and_is_buried_when_it_has_failed_often(
    world: Ingesting, counted: dict[str, Any], failure: StorageError
) -> None:
    world.storage.refusals = {"msg:m-2": failure}
    others = [queued("a", "m-0", "m-1"), queued("c", "m-3")]

    for attempt in range(1, ATTEMPTS_IF_UNSURE):
        assert world.ingest(*others, queued("b", "m-2", attempt=attempt)) == {"b"}

    assert (sorted(world.storage.kept), world.dead_letters.buried) == (["msg:m-0", "msg:m-1", "msg:m-3"], [])
    assert "EventsFailed" not in counts(counted)

    assert world.ingest(queued("b", "m-2", attempt=ATTEMPTS_IF_UNSURE)) == set()

    ((body, told),) = world.dead_letters.buried
    assert [event.key for event in parser.parse(body)] == ["msg:m-2"]
    assert told.startswith(str(failure.reason))
    assert counts(counted)["EventsFailed"] == 1


@pytest.mark.parametrize("failure", DOUBTFUL, ids=str)
def test_storage_that_takes_nothing_at_all_is_in_trouble_itself_however_often_that_was(
    world: Ingesting, failure: StorageError
) -> None:
    world.storage.failures = {"store_webhook_events": failure}

    again = world.ingest(queued("a", "m-0", "m-1", attempt=100), queued("b", "m-2", attempt=100))

    assert again == {"a", "b"}
    assert world.dead_letters.buried == []


@pytest.mark.parametrize("status", [None, 429, 502, 503, 504])
def test_a_gateway_that_reaches_nobody_says_nothing_of_an_event(world: Ingesting, status: int | None) -> None:
    failure = StorageError(reason="DATA_API_UNREACHABLE", recoverable=True, log_context={"storage_status": status})
    world.storage.refusals = {"msg:m-0": failure}

    assert world.ingest(queued("a", "m-0", attempt=100), queued("b", "m-1", attempt=100)) == {"a", "b"}

    assert (world.storage.batches, world.dead_letters.buried) == ([2], [])


@pytest.mark.parametrize("answer", [None, "", [], {}])
def test_whoever_answers_for_storage_while_it_fails_brings_the_messages_back(world: Ingesting, answer: Any) -> None:
    """Asked whether it works, it says nothing that makes sense."""

    def fail(payload: dict[str, Any]) -> Any:
        if payload["events"]:
            raise StorageError(reason="UNEXPECTED_ANSWER")
        return answer

    world.storage.answers["store_webhook_events"] = fail

    assert world.ingest(queued("a", "m-0", attempt=100), queued("b", "m-1", attempt=100)) == {"a", "b"}

    assert world.dead_letters.buried == []


def test_a_refusal_without_a_code_is_buried_with_its_reason_alone(world: Ingesting) -> None:
    world.storage.refusals = {"msg:m-0": StorageError(reason="DATA_REJECTED")}

    assert world.ingest(queued("a", "m-0")) == set()

    ((_, told),) = world.dead_letters.buried
    assert told == "DATA_REJECTED"


@pytest.mark.parametrize("places", [(0, 1), (7, 8), (3, 12)])
def test_two_such_events_are_both_found(world: Ingesting, counted: dict[str, Any], places: tuple[int, int]) -> None:
    world.storage.refusals = {f"msg:m-{place}": REFUSED for place in places}

    assert world.ingest(queued("a", *mids(8)), queued("b", *mids(8, 8))) == set()

    buried = [event.key for body, _ in world.dead_letters.buried for event in parser.parse(body)]
    assert sorted(buried) == sorted(world.storage.refusals)
    assert sorted(world.storage.kept) == sorted(set(keys(16)) - set(buried))
    assert world.storage.failed == [CAFE, CAFE]
    assert counts(counted)["EventsFailed"] == 2


def bodies() -> dict[str, bytes]:
    """One event of each shape."""
    comment = {"id": "1799", "text": TEXT, "from": {"id": CUSTOMER, "username": "anna"}, "media": {"id": "1800"}}
    entry = {"id": CAFE, "time": 1795348701}
    entries: dict[str, Any] = {
        "a change": {**entry, "changes": [{"field": "comments", "value": comment}]},
        "a flat change": {**entry, "field": "comments", "value": comment},
        "a standby message": {**entry, "standby": delivery("m-1")["entry"][0]["messaging"]},
        "a kind that nobody knows": {**entry, "messaging": [{"sender": {"id": CUSTOMER}, "surprise": {"a": 1.5}}]},
        "an entry without events": entry,
    }
    return {name: json.dumps({"object": "instagram", "entry": [entry]}).encode() for name, entry in entries.items()} | {
        "a message": json.dumps(delivery("m-1")).encode(),
        "of another object": json.dumps({**delivery("m-1"), "object": "page"}).encode(),
        "an object without entries": b'{"object": "instagram"}',
        "no JSON": '{"text": "Está ab'.encode(),
        "no text": b"\xff\xfe\x00{",
    }


@pytest.mark.parametrize("name", bodies())
def test_what_is_buried_is_read_as_the_same_event_when_it_is_moved_back(world: Ingesting, name: str) -> None:
    body = bodies()[name]
    (event,) = parser.parse(body)
    world.storage.refusals = {event.key: REFUSED}

    assert world.ingest(QueuedWebhook("a", base64.b64encode(body).decode(), BASE64)) == set()

    ((buried, _),) = world.dead_letters.buried
    assert parser.parse(buried) == [event]


def test_an_event_that_cannot_be_buried_brings_back_its_message_alone(
    world: Ingesting, counted: dict[str, Any], log: io.StringIO
) -> None:
    world.storage.refusals = {"msg:m-2": REFUSED}
    world.dead_letters.is_down = True

    again = world.ingest(queued("a", "m-0"), queued("b", "m-1", "m-2"), queued("c", "m-3"))

    assert again == {"b"}
    assert sorted(world.storage.kept) == ["msg:m-0", "msg:m-1", "msg:m-3"]
    assert world.storage.failed == []
    assert counts(counted) == {"EventsReceived": 3, "EventsStored": 3, "WebhooksPostponed": 1}
    assert '"cause":"EndpointConnectionError"' in log.getvalue()


def test_an_event_that_cannot_be_counted_brings_back_its_message_alone_until_it_is(
    world: Ingesting, counted: dict[str, Any]
) -> None:
    world.storage.refusals = {"msg:m-2": REFUSED}
    world.storage.failures = {"note_failed_webhook_events": STORAGE_DOWN}
    webhooks = [queued("a", "m-0"), queued("b", "m-1", "m-2"), queued("c", "m-3")]
    assert world.ingest(*webhooks) == {"b"}
    assert "EventsFailed" not in counts(counted)

    world.storage.failures = {}

    assert world.ingest(webhooks[1]) == set()
    assert world.storage.failed == [CAFE]
    assert counts(counted)["EventsFailed"] == 1


def test_more_events_than_storage_takes_at_once_go_in_several_calls(world: Ingesting, counted: dict[str, Any]) -> None:
    half = EVENTS_PER_TRANSACTION // 2
    webhooks = [queued(str(number), *mids(half, number * half)) for number in range(5)]

    assert world.ingest(*webhooks) == set()

    assert world.storage.batches == [EVENTS_PER_TRANSACTION, EVENTS_PER_TRANSACTION, half]
    assert len(world.storage.kept) == 5 * half
    assert counts(counted)["EventsStored"] == 5 * half


def test_only_messages_of_the_call_that_failed_come_again(world: Ingesting) -> None:
    """One of which also had a part in the call before."""
    size = EVENTS_PER_TRANSACTION // 4 * 3
    webhooks = [queued(name, *mids(size, number * size)) for number, name in enumerate("abcd")]
    world.storage.refusals = {f"msg:m-{EVENTS_PER_TRANSACTION}": STORAGE_DOWN}

    assert world.ingest(*webhooks) == {"b", "c"}

    assert len(world.storage.kept) == 2 * EVENTS_PER_TRANSACTION


def test_once_the_time_is_over_messages_come_again_and_nothing_is_buried(world: Ingesting) -> None:
    world.storage.refusals = {"msg:m-0": REFUSED}

    assert world.ingest(queued("a", "m-0"), queued("b", "m-1"), deadline=Deadline(0)) == {"a", "b"}

    assert (world.dead_letters.buried, world.storage.kept) == ([], {})


def test_a_search_that_runs_out_of_time_stops_and_buries_nothing(world: Ingesting) -> None:
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
def test_a_batch_that_is_too_much_for_storage_is_divided_once_it_has_failed_often(
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


def test_an_event_that_is_too_much_by_itself_comes_again_alone_and_is_never_buried(world: Ingesting) -> None:
    world.storage.refusals = {"msg:m-2": slow("TIMEOUT")}
    webhooks = [queued(str(number), f"m-{number}", attempt=100) for number in range(4)]

    assert world.ingest(*webhooks) == {"2"}

    assert sorted(world.storage.kept) == ["msg:m-0", "msg:m-1", "msg:m-3"]
    assert world.dead_letters.buried == []


@pytest.mark.parametrize("code", [None, "DNS", "REFUSED", "BROKEN", "53300", "57P03", "40P01"])
def test_whatever_else_passes_by_itself_divides_nothing_however_often_it_was(
    world: Ingesting, code: str | None
) -> None:
    world.storage.refusals = {"msg:m-0": slow(code)}

    assert world.ingest(queued("a", *mids(8), attempt=100)) == {"a"}

    assert world.storage.batches == [8]


def test_when_storage_refuses_all_of_many_events_none_is_buried_and_all_wait(
    world: Ingesting, counted: dict[str, Any]
) -> None:
    """That is no bad event but a defect of the schema, which somebody mends."""
    bad = MAX_REFUSED + 1
    world.storage.refusals = dict.fromkeys(keys(bad), StorageError(reason="DATABASE_DEFECT"))

    again = world.ingest(*(queued(str(number), f"m-{number}") for number in range(bad)))

    assert again == {str(number) for number in range(bad)}
    assert (world.dead_letters.buried, world.storage.failed) == ([], [])
    assert counts(counted) == {"WebhooksPostponed": bad}


def test_when_storage_refuses_a_few_events_and_there_are_no_others_they_are_buried(world: Ingesting) -> None:
    world.storage.refusals = dict.fromkeys(keys(MAX_REFUSED), REFUSED)

    assert world.ingest(queued("a", *mids(MAX_REFUSED))) == set()

    assert len(world.dead_letters.buried) == MAX_REFUSED


def test_however_many_events_are_bad_they_are_buried_while_storage_takes_others(world: Ingesting) -> None:
    bad = 3 * MAX_REFUSED
    world.storage.refusals = dict.fromkeys(keys(bad), REFUSED)

    assert world.ingest(queued("a", *mids(bad)), queued("b", "m-good")) == set()

    assert sorted(event.key for body, _ in world.dead_letters.buried for event in parser.parse(body)) == sorted(
        keys(bad)
    )
    assert list(world.storage.kept) == ["msg:m-good"]


def test_a_batch_that_is_too_much_is_not_divided_once_the_time_is_over(world: Ingesting) -> None:
    """The client itself says TIMEOUT for what has no time left: that tells nothing of the batch."""
    slow = StorageError(reason="DATA_API_UNREACHABLE", recoverable=True, log_context={"storage_code": "TIMEOUT"})
    world.storage.refusals = dict.fromkeys(keys(64), slow)
    seconds = iter([0.0, 0.0, 0.0, 30.0])
    deadline = Deadline(30, monotonic=lambda: next(seconds, 30.0))

    assert world.ingest(queued("a", *mids(64), attempt=ATTEMPTS_IF_UNSURE), deadline=deadline) == {"a"}

    assert len(world.storage.batches) <= 2


def test_a_bus_that_takes_all_the_time_keeps_no_event_from_being_stored(world: Ingesting) -> None:
    """What is stored can be published later; what is not has to come again."""
    world.bus.takes_s = 100
    size = 2 * EVENTS_PER_TRANSACTION

    assert world.ingest(queued("a", *mids(size)), queued("b", "m-last"), deadline=world.bus.deadline(40)) == set()

    assert len(world.storage.kept) == size + 1


def test_what_was_stored_before_a_defect_is_published_although_its_message_comes_again(world: Ingesting) -> None:
    world.storage.refusals = {"msg:m-2": REFUSED, "msg:m-7": RuntimeError("a defect")}
    webhooks = [queued(str(number), f"m-{number}") for number in range(8)]

    assert world.ingest(*webhooks) == set("01234567")

    assert list(world.storage.kept) == ["msg:m-0", "msg:m-1", "msg:m-3"]
    assert [key for published in world.bus.published for key in published] == list(world.storage.kept)


@pytest.mark.parametrize("count", [1, 3])
def test_messages_that_come_again_are_counted_once_each_however_many_events_they_hold(
    world: Ingesting, counted: dict[str, Any], count: int
) -> None:
    world.storage.failures = {"store_webhook_events": STORAGE_DOWN}
    size = EVENTS_PER_TRANSACTION  # each of them in two batches

    world.ingest(queued("first", "m-0"), *(queued(str(number), *mids(size, number * size)) for number in range(count)))

    assert counts(counted) == {"WebhooksPostponed": count + 1}


def test_a_bus_that_cannot_be_told_costs_no_message(world: Ingesting, log: io.StringIO) -> None:
    world.bus.error = STORAGE_DOWN

    assert world.ingest(queued("a", "m-0")) == set()
    assert world.ingest(queued("a", "m-0")) == set()

    assert set(world.storage.kept) == {"msg:m-0"}
    assert log.getvalue().count("Could not publish events") == 2


def test_a_defect_of_the_bus_costs_no_message_either(world: Ingesting, log: io.StringIO) -> None:
    """What is stored is published within minutes; coming again would not tell anybody sooner."""
    world.bus.error = RuntimeError(TEXT)

    assert world.ingest(queued("a", "m-0")) == set()

    assert set(world.storage.kept) == {"msg:m-0"}
    assert TEXT not in log.getvalue()


def test_what_nobody_foresaw_brings_the_messages_of_its_call_back_and_is_told_with_its_place(
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
def test_a_success_that_says_nothing_is_no_success(world: Ingesting, answer: Any) -> None:
    world.storage.answers["store_webhook_events"] = answer

    assert world.ingest(queued("a", "m-0")) == {"a"}


def test_a_body_that_travelled_as_base64_is_read_like_any_other(world: Ingesting) -> None:
    body = json.dumps(delivery("m-0"), ensure_ascii=False).encode()

    assert world.ingest(QueuedWebhook("a", base64.b64encode(body).decode(), BASE64), queued("b", "m-1")) == set()

    assert [row["data"] for row in world.storage.kept.values()] == [{"text": TEXT}, {"text": TEXT}]


@pytest.mark.parametrize("message", ["no base64!", "abc", "é"])
def test_base64_that_is_none_is_kept_as_what_cannot_be_read(world: Ingesting, log: io.StringIO, message: str) -> None:
    assert world.ingest(QueuedWebhook("a", message, BASE64), queued("b", "m-1")) == set()

    unreadable, _ = world.storage.kept.values()
    assert unreadable["kind"] == EventKind.UNPARSED
    assert unreadable["payload"] == {"unparsed_text": message}
    assert '"level":"ERROR"' in log.getvalue()


def test_what_is_no_webhook_is_kept_and_published_to_nobody(world: Ingesting, counted: dict[str, Any]) -> None:
    assert world.ingest(QueuedWebhook("a", '{"hello": "world"}'), QueuedWebhook("b", "<html>")) == set()

    assert [row["payload"] for row in world.storage.kept.values()] == [
        {"unparsed": {"hello": "world"}},
        {"unparsed_text": "<html>"},
    ]
    assert world.bus.published == []
    assert counts(counted) == {"EventsReceived": 2, "EventsUnknown": 2}


def test_no_line_and_no_metric_holds_what_people_wrote_or_who_they_are(
    world: Ingesting, counted: dict[str, Any], log: io.StringIO
) -> None:
    world.storage.refusals = {
        "msg:m-poison": REFUSED,
        f"msg:m-{EVENTS_PER_TRANSACTION}": STORAGE_DOWN,
        f"msg:m-{2 * EVENTS_PER_TRANSACTION}": RuntimeError(f"{TEXT} of {CUSTOMER}"),
    }
    broken = QueuedWebhook("b", f"{TEXT} of {CUSTOMER}, m-4", BASE64)

    world.ingest(queued("a", *mids(EVENTS_PER_TRANSACTION)))
    world.ingest(broken, queued("c", "m-0", "m-poison"))
    world.ingest(queued("d", f"m-{EVENTS_PER_TRANSACTION}"))
    world.dead_letters.is_down = True
    world.ingest(queued("e", "m-poison", f"m-{2 * EVENTS_PER_TRANSACTION}"))
    world.bus.error = STORAGE_DOWN
    world.ingest(queued("f", "m-0", "m-new"))

    lines = log.getvalue()
    for told in (
        "Could not parse a webhook",
        "Sent an event that cannot be stored",
        "Could not store events",
        "Could not put an event",
        "Could not store events",
        "Could not publish events",
    ):
        assert told in lines
    for secret in (TEXT, TEXT.split()[0], json.dumps(TEXT)[1:10], CUSTOMER, CAFE, "m-0", "m-poison", "m-4"):
        assert secret not in lines
    assert set(counted) == {
        "EventsReceived",
        "EventsStored",
        "EventsDuplicate",
        "EventsUnknown",
        "EventsFailed",
        "WebhooksPostponed",
    }
    assert metrics.dimension_set.keys() <= {"service"}
    assert metrics.metadata_set == {}


def test_tidying_publishes_then_adopts_until_nothing_is_left_and_purges(
    world: Ingesting, counted: dict[str, Any]
) -> None:
    world.storage.to_adopt = [
        stored(EVENTS_PER_ROUND, outgoing=["one", "two"]),
        stored(3, outgoing=["three"]),
        stored(0, unknown=2, duplicate=1),
        stored(5, outgoing=["not to be reached"]),
    ]
    world.storage.answers["purge_webhook_events"] = 12

    world.maintenance.run(Deadline(58))

    assert [name for name, _ in world.storage.calls] == ["adopt_webhook_events"] * 3 + ["purge_webhook_events"]
    assert [name for published in world.bus.published for name in published] == ["one", "two", "three"]
    assert world.bus.looked == 1
    assert {payload["limit"] for payload in world.storage.asked("adopt_webhook_events")} == {EVENTS_PER_ROUND}
    assert world.storage.asked("purge_webhook_events")[0]["limit"] == PURGE_LIMIT
    assert counts(counted) == {"EventsAdopted": EVENTS_PER_ROUND + 3}


def test_tidying_begins_no_round_without_the_time_for_it_and_still_publishes_and_purges(world: Ingesting) -> None:
    """However many there are to adopt: the next time comes in minutes."""
    now_s = 0.0

    def adopt(_: dict[str, Any]) -> dict[str, Any]:
        nonlocal now_s
        now_s += 15
        return stored(EVENTS_PER_ROUND)

    world.storage.answers["adopt_webhook_events"] = adopt

    world.maintenance.run(Deadline(MIN_ROUND_S + 30, monotonic=lambda: now_s))

    assert [name for name, _ in world.storage.calls] == ["adopt_webhook_events"] * 2 + ["purge_webhook_events"]
    assert world.bus.looked == 1


def test_tidying_in_little_time_adopts_nothing(world: Ingesting) -> None:
    world.maintenance.run(Deadline(MIN_ROUND_S))

    assert [name for name, _ in world.storage.calls] == ["purge_webhook_events"]
    assert world.bus.looked == 1


def test_tidying_publishes_before_it_adopts(world: Ingesting) -> None:
    """Adopting may take all the time there is."""
    looked: list[int] = []

    def adopt(_: dict[str, Any]) -> dict[str, Any]:
        looked.append(world.bus.looked)
        return stored(0)

    world.storage.answers["adopt_webhook_events"] = adopt

    world.maintenance.run(Deadline(58))

    assert (looked, world.bus.looked) == ([1], 1)


@pytest.mark.parametrize("function", ["adopt_webhook_events", "purge_webhook_events"])
def test_tidying_shows_that_storage_is_down_once_it_has_done_the_rest(world: Ingesting, function: str) -> None:
    world.storage.failures = {function: STORAGE_DOWN}

    with pytest.raises(StorageError) as failed:
        world.maintenance.run(Deadline(58))

    assert failed.value is STORAGE_DOWN
    others = {"adopt_webhook_events", "purge_webhook_events"} - {function}
    assert ({name for name, _ in world.storage.calls}, world.bus.looked) == (others, 1)


def test_tidying_adopts_and_purges_while_nothing_can_be_published_and_shows_what_failed_first(
    world: Ingesting,
) -> None:
    world.bus.error = StorageError(reason="DATABASE_BUSY", recoverable=True)
    world.storage.failures = {"adopt_webhook_events": STORAGE_DOWN}

    with pytest.raises(StorageError) as failed:
        world.maintenance.run(Deadline(58))

    assert failed.value is world.bus.error
    assert [name for name, _ in world.storage.calls] == ["purge_webhook_events"]
    assert world.bus.looked == 0

    world.storage.failures = {}
    with pytest.raises(StorageError):
        world.maintenance.run(Deadline(58))

    assert [name for name, _ in world.storage.calls][1:] == ["adopt_webhook_events", "purge_webhook_events"]


def test_storage_is_told_the_time_and_for_how_long_events_are_the_workers(world: Ingesting) -> None:
    world.ingest(queued("a", "m-0"))
    world.maintenance.run(Deadline(58))

    assert {payload["now"] for _, payload in world.storage.calls} == {NOW.isoformat()}
