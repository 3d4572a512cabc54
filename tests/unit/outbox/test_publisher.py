"""Events are published at least once: whatever the bus rejects stays in storage."""

import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from instagram_connect.errors import StorageError
from instagram_connect.outbox import publisher
from instagram_connect.outbox.publisher import (
    CONCURRENT_CALLS,
    EVENTS_PER_ROUND,
    LEASE_S,
    MAX_BYTES_PER_CALL,
    MAX_ENTRIES_PER_CALL,
    MIN_REMAINING_S,
    SOURCE,
    EventPublisher,
)
from instagram_connect.outbox.repository import OutboxRepository
from instagram_connect.runtime.deadline import Deadline
from tests.support.fakes import NOW
from tests.support.refreshing import STORAGE_DOWN, FakeStorage

BUS = "instagram-connect"
NEEDS_REAUTH = "instagram.connection.needs_reauth"
MESSAGE = "instagram.webhook.message"
# The total size of a call's entries, as EventBridge counts it.
LIMIT_BYTES = 256 * 1024


class Outbox:
    """The events pending in storage, with leases and deletion."""

    def __init__(self, count: int) -> None:
        self.storage = FakeStorage(answers={"take_events": self._take, "delete_events": self._delete})
        self.waiting = [self._event(number) for number in range(count)]
        self.leased: set[str] = set()

    def _take(self, payload: dict[str, Any]) -> list[dict[str, Any]]:
        free = [event for event in self.waiting if event["id"] not in self.leased][: payload["limit"]]
        self.leased |= {event["id"] for event in free}
        return free

    def _delete(self, payload: dict[str, Any]) -> int:
        self.waiting = [event for event in self.waiting if event["id"] not in payload["ids"]]
        return len(payload["ids"])

    @staticmethod
    def _event(number: int) -> dict[str, Any]:
        return {"id": f"event-{number}", "type": NEEDS_REAUTH, "detail": {"businessAccountId": f"account-{number}"}}


class Bus:
    """EventBridge, stubbed with a response for each call."""

    def __init__(self, events: EventPublisher) -> None:
        client = boto3.client("events")
        events.__dict__["_client"] = client
        self.stub = Stubber(client)

    def takes(self, count: int, *, refusing: tuple[int, ...] = ()) -> None:
        results = [
            {"ErrorCode": "InternalFailure", "ErrorMessage": "m"} if place in refusing else {"EventId": f"e-{place}"}
            for place in range(count)
        ]
        answer = {"FailedEntryCount": len(refusing), "Entries": results}
        self.stub.add_response("put_events", answer, {"Entries": [ANY] * count})

    def fails(self) -> None:
        self.stub.add_client_error("put_events", "InternalException")


class FakeEventBridge:
    """EventBridge for concurrent calls, whose order does not matter.

    Rejects calls that are too large, fails calls with an event in `failing`, and rejects events in `refusing`. A call
    takes `takes_s` and returns only once `together` calls are in progress.
    """

    def __init__(self, events: EventPublisher) -> None:
        events.__dict__["_client"] = self
        self.calls: list[list[dict[str, Any]]] = []
        self.failing: set[str] = set()
        self.refusing: set[str] = set()
        self.takes_s = 0.0
        self.now_s = 0.0
        self.together: threading.Barrier | None = None
        self._lock = threading.Lock()

    def deadline(self, seconds: float) -> Deadline:
        """A deadline whose clock advances only by these calls."""
        return Deadline(seconds, monotonic=lambda: self.now_s)

    def put_events(self, **arguments: Any) -> dict[str, Any]:
        entries: list[dict[str, Any]] = arguments["Entries"]
        with self._lock:
            self.calls.append(entries)
            self.now_s += self.takes_s
        if self.together:
            self.together.wait(timeout=10)
        size = sum(len(f"{entry['Source']}{entry['DetailType']}{entry['Detail']}".encode()) for entry in entries)
        ids = [json.loads(entry["Detail"])["id"] for entry in entries]
        if len(entries) > 10 or size > LIMIT_BYTES:
            raise ClientError({"Error": {"Code": "ValidationException", "Message": "m"}}, "PutEvents")
        if self.failing & set(ids):
            raise ClientError({"Error": {"Code": "InternalException", "Message": "m"}}, "PutEvents")
        results = [{"ErrorCode": "ThrottlingException"} if name in self.refusing else {"EventId": name} for name in ids]
        return {"FailedEntryCount": len(self.refusing & set(ids)), "Entries": results}

    @property
    def told(self) -> dict[str, dict[str, Any]]:
        """The details of all published events by id, each published once."""
        details = [json.loads(entry["Detail"]) for entries in self.calls for entry in entries]
        assert len({detail["id"] for detail in details}) == len(details)
        return {detail["id"]: detail for detail in details}


def webhook_event(number: int, text: str = "Olá") -> dict[str, Any]:
    """An event as ingestion hands it to the publisher."""
    detail = {"eventKey": f"msg:{number}", "businessAccountId": "account-1", "data": {"text": text}}
    return {"id": f"event-{number}", "type": MESSAGE, "detail": detail}


def bus_of(outbox: Outbox) -> EventPublisher:
    return EventPublisher(BUS, OutboxRepository(outbox.storage, lambda: NOW))


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(3)


@pytest.fixture
def events(outbox: Outbox) -> EventPublisher:
    return bus_of(outbox)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call to the bus after the other."""
    monkeypatch.setattr(publisher, "CONCURRENT_CALLS", 1)


@pytest.fixture
def bus(events: EventPublisher) -> Iterator[Bus]:
    bus = Bus(events)
    with bus.stub:
        yield bus
        bus.stub.assert_no_pending_responses()


def test_pending_events_are_published_and_deleted(outbox: Outbox, events: EventPublisher, bus: Bus) -> None:
    bus.takes(3)

    assert events.publish_pending(Deadline(20)) == 3

    assert outbox.waiting == []
    assert outbox.storage.asked("take_events")[0] == {
        "now": NOW.isoformat(),
        "limit": EVENTS_PER_ROUND,
        "lease_s": LEASE_S,
    }


def test_entry_has_bus_source_type_and_id(events: EventPublisher) -> None:
    bus = Bus(events)
    detail = {"id": "event-0", "businessAccountId": "account-0"}
    first = {
        "Source": SOURCE,
        "DetailType": NEEDS_REAUTH,
        "Detail": json.dumps(detail),
        "EventBusName": BUS,
    }
    bus.stub.add_response(
        "put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "e"}] * 3}, {"Entries": [first, ANY, ANY]}
    )

    with bus.stub:
        assert events.publish_pending(Deadline(20)) == 3


def test_nothing_pending_makes_no_client_and_no_call() -> None:
    events = bus_of(Outbox(0))

    assert events.publish_pending(Deadline(20)) == 0
    assert "_client" not in events.__dict__


def test_rejected_events_stay_and_the_rest_is_deleted(outbox: Outbox, events: EventPublisher, bus: Bus) -> None:
    bus.takes(3, refusing=(1,))

    assert events.publish_pending(Deadline(20)) == 2

    assert [event["id"] for event in outbox.waiting] == ["event-1"]


def test_unreachable_bus_loses_no_event(outbox: Outbox, events: EventPublisher, bus: Bus) -> None:
    bus.fails()

    assert events.publish_pending(Deadline(20)) == 0

    assert len(outbox.waiting) == 3
    assert outbox.storage.asked("delete_events") == []


def test_calls_take_ten_events_and_fail_independently() -> None:
    outbox = Outbox(2 * MAX_ENTRIES_PER_CALL + 5)
    events = bus_of(outbox)
    bridge = FakeEventBridge(events)
    bridge.failing, bridge.together = {"event-14"}, threading.Barrier(3)

    assert events.publish_pending(Deadline(20)) == MAX_ENTRIES_PER_CALL + 5

    assert sorted(map(len, bridge.calls)) == [5, 10, 10]
    assert [event["id"] for event in outbox.waiting] == [f"event-{number}" for number in range(10, 20)]


def test_events_beyond_one_claim_are_published_in_one_run() -> None:
    outbox = Outbox(EVENTS_PER_ROUND + 1)
    events = bus_of(outbox)
    bus = Bus(events)
    for _ in range(EVENTS_PER_ROUND // MAX_ENTRIES_PER_CALL):
        bus.takes(MAX_ENTRIES_PER_CALL)
    bus.takes(1)

    with bus.stub:
        assert events.publish_pending(Deadline(20)) == EVENTS_PER_ROUND + 1

    assert outbox.waiting == []


def test_claiming_stops_while_the_bus_rejects_events() -> None:
    outbox = Outbox(EVENTS_PER_ROUND + 1)
    events = bus_of(outbox)
    bridge = FakeEventBridge(events)
    bridge.failing = {event["id"] for event in outbox.waiting}

    assert events.publish_pending(Deadline(20)) == 0

    assert len(outbox.storage.asked("take_events")) == 1


def test_unreachable_bus_is_awaited_once(outbox: Outbox, events: EventPublisher) -> None:
    """A call then takes seconds: only those already in progress are awaited."""
    bridge = FakeEventBridge(events)
    batch = [webhook_event(number) for number in range(1000)]
    bridge.failing = {event["id"] for event in batch}

    assert events.publish(batch, Deadline(40)) == 0

    assert 1 <= len(bridge.calls) <= CONCURRENT_CALLS


def test_events_published_before_an_outage_are_deleted_and_the_rest_stays(
    outbox: Outbox, events: EventPublisher, one_by_one: None
) -> None:
    bridge = FakeEventBridge(events)
    bridge.failing = {"event-14"}

    assert events.publish([webhook_event(number) for number in range(45)], Deadline(20)) == MAX_ENTRIES_PER_CALL

    assert [len(entries) for entries in bridge.calls] == [MAX_ENTRIES_PER_CALL, MAX_ENTRIES_PER_CALL]
    assert forgotten(outbox) == [f"event-{number}" for number in range(MAX_ENTRIES_PER_CALL)]


def test_rejected_events_do_not_stop_later_calls(outbox: Outbox, events: EventPublisher, one_by_one: None) -> None:
    bridge = FakeEventBridge(events)
    bridge.refusing = {f"event-{number}" for number in range(MAX_ENTRIES_PER_CALL)}

    assert events.publish([webhook_event(number) for number in range(12)], Deadline(20)) == 2

    assert forgotten(outbox) == ["event-10", "event-11"]


def test_unreachable_bus_is_tried_again_on_the_next_run(outbox: Outbox, events: EventPublisher) -> None:
    bridge = FakeEventBridge(events)
    bridge.failing = {"event-1"}
    assert events.publish([webhook_event(1)], Deadline(20)) == 0
    bridge.failing = set()

    assert events.publish([webhook_event(1)], Deadline(20)) == 1


def test_no_call_is_started_without_enough_time(outbox: Outbox, events: EventPublisher, one_by_one: None) -> None:
    bridge = FakeEventBridge(events)
    bridge.takes_s = 4

    taken = events.publish([webhook_event(number) for number in range(45)], bridge.deadline(MIN_REMAINING_S + 5))

    assert (taken, len(bridge.calls)) == (2 * MAX_ENTRIES_PER_CALL, 2)
    assert forgotten(outbox) == [f"event-{number}" for number in range(2 * MAX_ENTRIES_PER_CALL)]


@pytest.mark.parametrize(
    ("left_s", "published"), [(MIN_REMAINING_S - 0.5, 0), (MIN_REMAINING_S, 1), (MIN_REMAINING_S + 0.5, 1)]
)
def test_single_event_is_published_only_within_the_deadline(
    outbox: Outbox, events: EventPublisher, left_s: float, published: int
) -> None:
    bridge = FakeEventBridge(events)

    assert events.publish([webhook_event(1)], bridge.deadline(left_s)) == published

    assert (len(bridge.calls), len(forgotten(outbox))) == (published, published)


def test_nothing_is_claimed_without_time_to_publish(outbox: Outbox, events: EventPublisher) -> None:
    """Claimed events are leased for a minute."""
    bridge = FakeEventBridge(events)

    assert events.publish_pending(bridge.deadline(MIN_REMAINING_S - 0.5)) == 0
    assert outbox.storage.calls == []

    assert events.publish_pending(bridge.deadline(MIN_REMAINING_S + 0.5)) == 3


def test_claiming_continues_only_while_time_remains(one_by_one: None) -> None:
    outbox = Outbox(3 * EVENTS_PER_ROUND)
    events = bus_of(outbox)
    bridge = FakeEventBridge(events)
    bridge.takes_s = 1
    calls = EVENTS_PER_ROUND // MAX_ENTRIES_PER_CALL

    assert events.publish_pending(bridge.deadline(MIN_REMAINING_S + calls)) == EVENTS_PER_ROUND

    assert (len(bridge.calls), len(outbox.storage.asked("take_events"))) == (calls, 1)
    assert outbox.leased == set(forgotten(outbox))


def test_event_that_cannot_be_deleted_is_published_again(outbox: Outbox, events: EventPublisher, bus: Bus) -> None:
    bus.takes(3)
    outbox.storage.failures["delete_events"] = STORAGE_DOWN
    with pytest.raises(StorageError):
        events.publish_pending(Deadline(20))

    outbox.storage.failures.clear()
    outbox.leased.clear()  # their time is over
    bus.takes(3)

    assert events.publish_pending(Deadline(20)) == 3
    assert outbox.waiting == []


def test_events_leased_by_another_publisher_are_skipped(outbox: Outbox, events: EventPublisher, bus: Bus) -> None:
    outbox.leased = {"event-0"}
    bus.takes(2)

    assert events.publish_pending(Deadline(20)) == 2

    assert [event["id"] for event in outbox.waiting] == ["event-0"]


def forgotten(outbox: Outbox) -> list[str]:
    return [event_id for payload in outbox.storage.asked("delete_events") for event_id in payload["ids"]]


def test_publish_claims_nothing_itself(outbox: Outbox, events: EventPublisher) -> None:
    bridge = FakeEventBridge(events)

    assert events.publish([webhook_event(7)], Deadline(20)) == 1

    ((entry,),) = bridge.calls
    assert (entry["Source"], entry["DetailType"], entry["EventBusName"]) == (SOURCE, MESSAGE, BUS)
    assert bridge.told == {"event-7": {"id": "event-7", **webhook_event(7)["detail"]}}
    assert [name for name, _ in outbox.storage.calls] == ["delete_events"]
    assert forgotten(outbox) == ["event-7"]


def test_publish_with_no_events_makes_no_call(outbox: Outbox, events: EventPublisher) -> None:
    assert events.publish([], Deadline(20)) == 0

    assert outbox.storage.calls == []
    assert "_client" not in events.__dict__


@pytest.mark.parametrize("count", [1, 10, 11, 25, 100])
def test_many_events_use_the_fewest_calls(outbox: Outbox, events: EventPublisher, count: int) -> None:
    bridge = FakeEventBridge(events)
    batch = [webhook_event(number) for number in range(count)]

    assert events.publish(batch, Deadline(20)) == count

    assert len(bridge.calls) == -(-count // MAX_ENTRIES_PER_CALL)
    assert set(bridge.told) == {event["id"] for event in batch}
    assert forgotten(outbox) == [event["id"] for event in batch]


@pytest.mark.parametrize(
    ("text", "together"),
    [
        pytest.param("x" * 60_000, 3, id="of ASCII"),
        pytest.param("é" * 10_000, 3, id="of six bytes each"),
        pytest.param("🚀" * 5_000, 3, id="of twelve bytes each"),
        pytest.param('"' * 40_000, 2, id="of quotes"),
    ],
)
def test_events_too_large_together_are_sent_separately(
    outbox: Outbox, events: EventPublisher, text: str, together: int
) -> None:
    bridge = FakeEventBridge(events)
    batch = [webhook_event(number, text) for number in range(6)]

    assert events.publish(batch, Deadline(20)) == 6

    assert [len(entries) for entries in bridge.calls] == [together] * (6 // together)
    assert {detail["data"]["text"] for detail in bridge.told.values()} == {text}
    assert forgotten(outbox) == [event["id"] for event in batch]


def test_oversized_event_is_published_without_its_data(outbox: Outbox, events: EventPublisher) -> None:
    """Consumers read the rest from storage; other events of its batch stay whole."""
    bridge = FakeEventBridge(events)
    batch = [webhook_event(0), webhook_event(1, "x" * LIMIT_BYTES), webhook_event(2)]

    assert events.publish(batch, Deadline(20)) == 3

    assert bridge.told == {
        "event-0": {"id": "event-0", **webhook_event(0)["detail"]},
        "event-1": {
            "id": "event-1",
            "eventKey": "msg:1",
            "businessAccountId": "account-1",
            "data": {},
            "isTruncated": True,
        },
        "event-2": {"id": "event-2", **webhook_event(2)["detail"]},
    }
    assert forgotten(outbox) == ["event-0", "event-1", "event-2"]


@pytest.mark.parametrize(("more", "is_truncated"), [(0, False), (1, True)])
def test_event_at_the_size_limit_is_published_whole(events: EventPublisher, more: int, is_truncated: bool) -> None:
    bridge = FakeEventBridge(events)
    around = len(json.dumps({"id": "event-1", **webhook_event(1, "")["detail"]}))
    text = "x" * (MAX_BYTES_PER_CALL - len(MESSAGE) - len(SOURCE) - around + more)

    assert events.publish([webhook_event(1, text)], Deadline(20)) == 1

    assert bridge.told["event-1"]["data"] == ({} if is_truncated else {"text": text})
    assert ("isTruncated" in bridge.told["event-1"]) is is_truncated


def test_only_published_events_are_deleted(outbox: Outbox, events: EventPublisher) -> None:
    bridge = FakeEventBridge(events)
    bridge.refusing = {"event-0", "event-12", "event-19", "event-41"}
    bridge.failing, bridge.together = {"event-25"}, threading.Barrier(5)
    batch = [webhook_event(number) for number in range(42)]
    waiting = bridge.refusing | {f"event-{number}" for number in range(20, 30)}

    assert events.publish(batch, Deadline(20)) == 28

    assert len(bridge.calls) == 5
    assert forgotten(outbox) == [event["id"] for event in batch if event["id"] not in waiting]


def test_nothing_is_deleted_when_nothing_was_published(outbox: Outbox, events: EventPublisher) -> None:
    bridge = FakeEventBridge(events)
    bridge.refusing = {f"event-{number}" for number in range(10)}
    bridge.failing = {"event-10"}

    assert events.publish([webhook_event(number) for number in range(12)], Deadline(20)) == 0

    assert outbox.storage.calls == []


def test_failed_deletion_is_raised_after_publishing(outbox: Outbox, events: EventPublisher) -> None:
    bridge = FakeEventBridge(events)
    outbox.storage.failures["delete_events"] = STORAGE_DOWN

    with pytest.raises(StorageError):
        events.publish([webhook_event(1)], Deadline(20))

    assert set(bridge.told) == {"event-1"}


def test_logs_contain_no_message_text(outbox: Outbox, events: EventPublisher, log: io.StringIO) -> None:
    bridge = FakeEventBridge(events)
    bridge.refusing, bridge.failing, bridge.together = {"event-0"}, {"event-10"}, threading.Barrier(2)

    events.publish([webhook_event(number, "a secret") for number in range(11)], Deadline(20))

    assert "The event bus rejected events" in log.getvalue()
    assert "Could not publish events" in log.getvalue()
    assert "secret" not in log.getvalue()
