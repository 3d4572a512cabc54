"""Queued webhooks are parsed, stored in batches and published."""

import base64
import io
import json
from typing import Any

import pytest

from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import metrics
from instagram_connect.webhooks.events import EventKind
from instagram_connect.webhooks.ingestion import (
    EVENTS_AT_ONCE,
    QueuedWebhook,
)
from instagram_connect.webhooks.queue import BASE64
from tests.support.counting import counts
from tests.support.fakes import NOW
from tests.support.ingesting import (
    CAFE,
    CUSTOMER,
    REFUSED,
    STRANGER,
    STUDIO,
    TEXT,
    Ingesting,
    delivery,
    keys,
    mids,
    queued,
)
from tests.support.refreshing import STORAGE_DOWN


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


def test_more_events_than_storage_takes_at_once_go_in_several_calls(world: Ingesting, counted: dict[str, Any]) -> None:
    half = EVENTS_PER_TRANSACTION // 2
    webhooks = [queued(str(number), *mids(half, number * half)) for number in range(5)]

    assert world.ingest(*webhooks) == set()

    assert world.storage.batches == [EVENTS_PER_TRANSACTION, EVENTS_PER_TRANSACTION, half]
    assert len(world.storage.kept) == 5 * half
    assert counts(counted)["EventsStored"] == 5 * half


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


def test_storage_is_told_the_time_and_for_how_long_events_are_the_workers(world: Ingesting) -> None:
    world.ingest(queued("a", "m-0"))
    world.ingestion.tidy(Deadline(58))

    assert {payload["now"] for _, payload in world.storage.calls} == {NOW.isoformat()}
