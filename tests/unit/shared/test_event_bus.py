"""Events reach the bus at least once: what it does not take stays where it was written down."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from instagram_connect.deadline import Deadline
from instagram_connect.errors import StorageError
from instagram_connect.event_bus import LEASE_S, MOST_AT_ONCE, MOST_TAKEN, SOURCE, EventBus
from instagram_connect.event_repository import EventRepository
from tests.unit.fakes import NOW
from tests.unit.shared.refreshing import STORAGE_DOWN, FakeStorage

BUS = "instagram-connect"
NEEDS_REAUTH = "instagram.connection.needs_reauth"


class Outbox:
    """The events that wait in storage; what is taken is leased, what is deleted is gone."""

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
    """EventBridge, stubbed: what it answers to one call after the other."""

    def __init__(self, events: EventBus) -> None:
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


def publisher(outbox: Outbox) -> EventBus:
    return EventBus(BUS, EventRepository(outbox.storage, lambda: NOW))


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(3)


@pytest.fixture
def events(outbox: Outbox) -> EventBus:
    return publisher(outbox)


@pytest.fixture
def bus(events: EventBus) -> Iterator[Bus]:
    bus = Bus(events)
    with bus.stub:
        yield bus
        bus.stub.assert_no_pending_responses()


def test_what_waits_is_published_and_forgotten(outbox: Outbox, events: EventBus, bus: Bus) -> None:
    bus.takes(3)

    assert events.publish_pending(Deadline(20)) == 3

    assert outbox.waiting == []
    assert outbox.storage.asked("take_events")[0] == {"now": NOW.isoformat(), "limit": MOST_TAKEN, "lease_s": LEASE_S}


def test_an_entry_names_bus_source_and_type_and_carries_its_id(events: EventBus) -> None:
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


def test_without_events_the_bus_is_not_called_and_no_client_made() -> None:
    events = publisher(Outbox(0))

    assert events.publish_pending(Deadline(20)) == 0
    assert "_client" not in events.__dict__


def test_what_the_bus_refuses_stays_and_the_rest_is_forgotten(outbox: Outbox, events: EventBus, bus: Bus) -> None:
    bus.takes(3, refusing=(1,))

    assert events.publish_pending(Deadline(20)) == 2

    assert [event["id"] for event in outbox.waiting] == ["event-1"]


def test_a_bus_that_does_not_answer_costs_no_event(outbox: Outbox, events: EventBus, bus: Bus) -> None:
    bus.fails()

    assert events.publish_pending(Deadline(20)) == 0

    assert len(outbox.waiting) == 3
    assert outbox.storage.asked("delete_events") == []


def test_a_call_takes_ten_and_one_that_fails_does_not_keep_the_others() -> None:
    outbox = Outbox(2 * MOST_AT_ONCE + 5)
    events = publisher(outbox)
    bus = Bus(events)
    bus.takes(MOST_AT_ONCE)
    bus.fails()
    bus.takes(5)

    with bus.stub:
        assert events.publish_pending(Deadline(20)) == MOST_AT_ONCE + 5
        bus.stub.assert_no_pending_responses()

    assert [event["id"] for event in outbox.waiting] == [f"event-{number}" for number in range(10, 20)]


def test_more_than_are_taken_at_once_are_published_in_one_go() -> None:
    outbox = Outbox(MOST_TAKEN + 1)
    events = publisher(outbox)
    bus = Bus(events)
    for _ in range(MOST_TAKEN // MOST_AT_ONCE):
        bus.takes(MOST_AT_ONCE)
    bus.takes(1)

    with bus.stub:
        assert events.publish_pending(Deadline(20)) == MOST_TAKEN + 1

    assert outbox.waiting == []


def test_while_the_bus_refuses_no_more_are_taken() -> None:
    outbox = Outbox(MOST_TAKEN + 1)
    events = publisher(outbox)
    bus = Bus(events)
    for _ in range(MOST_TAKEN // MOST_AT_ONCE):
        bus.fails()

    with bus.stub:
        assert events.publish_pending(Deadline(20)) == 0

    assert len(outbox.storage.asked("take_events")) == 1


def test_an_event_that_cannot_be_forgotten_is_published_again(outbox: Outbox, events: EventBus, bus: Bus) -> None:
    bus.takes(3)
    outbox.storage.failures["delete_events"] = STORAGE_DOWN
    with pytest.raises(StorageError):
        events.publish_pending(Deadline(20))

    outbox.storage.failures.clear()
    outbox.leased.clear()  # their time is over
    bus.takes(3)

    assert events.publish_pending(Deadline(20)) == 3
    assert outbox.waiting == []


def test_what_somebody_else_is_publishing_is_left_to_them(outbox: Outbox, events: EventBus, bus: Bus) -> None:
    outbox.leased = {"event-0"}
    bus.takes(2)

    assert events.publish_pending(Deadline(20)) == 2

    assert [event["id"] for event in outbox.waiting] == ["event-0"]
