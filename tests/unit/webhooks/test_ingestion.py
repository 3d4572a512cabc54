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
    EVENTS_PER_TRANSACTION,
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


def test_batch_is_stored_in_one_call_and_published(world: Ingesting, counted: dict[str, Any]) -> None:
    again = world.ingest(queued("a", "m-0", "m-1"), queued("b", "m-2", entry_id=STUDIO), queued("c", "m-3"))

    assert again == set()
    assert world.storage.batches == [4]
    assert [row["entry_id"] for row in world.storage.kept.values()] == [CAFE, CAFE, STUDIO, CAFE]
    assert world.bus.published == [keys(4)]
    assert counts(counted) == {"EventsReceived": 4, "EventsStored": 4}


def test_empty_batch_makes_no_calls(world: Ingesting, counted: dict[str, Any]) -> None:
    assert world.ingest() == set()

    assert (world.storage.calls, world.bus.published, world.bus.looked) == ([], [], 0)
    assert counts(counted) == {}


def test_events_of_unknown_accounts_are_stored_but_not_published(world: Ingesting, counted: dict[str, Any]) -> None:
    assert world.ingest(queued("a", "m-0", entry_id=STRANGER), queued("b", "m-1")) == set()

    assert set(world.storage.kept) == {"msg:m-0", "msg:m-1"}
    assert world.bus.published == [["msg:m-1"]]
    assert counts(counted) == {"EventsReceived": 2, "EventsStored": 1, "EventsUnknown": 1}


def test_bus_is_not_called_with_nothing_to_publish(world: Ingesting) -> None:
    world.ingest(queued("a", "m-0", entry_id=STRANGER))

    assert (world.bus.published, world.bus.looked) == ([], 0)


def test_redelivered_message_publishes_what_the_first_worker_left(world: Ingesting, counted: dict[str, Any]) -> None:
    world.ingest(queued("a", "m-0"))

    assert world.ingest(queued("a", "m-0")) == set()

    assert len(world.storage.kept) == 1
    assert (world.bus.published, world.bus.looked) == ([["msg:m-0"]], 1)
    assert counts(counted) == {"EventsReceived": 2, "EventsStored": 1, "EventsDuplicate": 1}


def test_large_batch_is_stored_in_several_calls(world: Ingesting, counted: dict[str, Any]) -> None:
    half = EVENTS_PER_TRANSACTION // 2
    webhooks = [queued(str(number), *mids(half, number * half)) for number in range(5)]

    assert world.ingest(*webhooks) == set()

    assert world.storage.batches == [EVENTS_PER_TRANSACTION, EVENTS_PER_TRANSACTION, half]
    assert len(world.storage.kept) == 5 * half
    assert counts(counted)["EventsStored"] == 5 * half


def test_slow_bus_does_not_prevent_storing(world: Ingesting) -> None:
    """Stored events can be published later; others have to be redelivered."""
    world.bus.takes_s = 100
    size = 2 * EVENTS_PER_TRANSACTION

    assert world.ingest(queued("a", *mids(size)), queued("b", "m-last"), deadline=world.bus.deadline(40)) == set()

    assert len(world.storage.kept) == size + 1


def test_events_stored_before_an_exception_are_published(world: Ingesting) -> None:
    world.storage.refusals = {"msg:m-2": REFUSED, "msg:m-7": RuntimeError("a defect")}
    webhooks = [queued(str(number), f"m-{number}") for number in range(8)]

    assert world.ingest(*webhooks) == set("01234567")

    assert list(world.storage.kept) == ["msg:m-0", "msg:m-1", "msg:m-3"]
    assert [key for published in world.bus.published for key in published] == list(world.storage.kept)


def test_unavailable_bus_retries_no_message(world: Ingesting, log: io.StringIO) -> None:
    world.bus.error = STORAGE_DOWN

    assert world.ingest(queued("a", "m-0")) == set()
    assert world.ingest(queued("a", "m-0")) == set()

    assert set(world.storage.kept) == {"msg:m-0"}
    assert log.getvalue().count("Could not publish events") == 2


def test_exception_in_the_bus_retries_no_message(world: Ingesting, log: io.StringIO) -> None:
    """Stored events are published within minutes; a retry would not be faster."""
    world.bus.error = RuntimeError(TEXT)

    assert world.ingest(queued("a", "m-0")) == set()

    assert set(world.storage.kept) == {"msg:m-0"}
    assert TEXT not in log.getvalue()


def test_base64_body_is_decoded(world: Ingesting) -> None:
    body = json.dumps(delivery("m-0"), ensure_ascii=False).encode()

    assert world.ingest(QueuedWebhook("a", base64.b64encode(body).decode(), BASE64), queued("b", "m-1")) == set()

    assert [row["data"] for row in world.storage.kept.values()] == [{"text": TEXT}, {"text": TEXT}]


@pytest.mark.parametrize("message", ["no base64!", "abc", "é"])
def test_invalid_base64_is_stored_as_unparsed(world: Ingesting, log: io.StringIO, message: str) -> None:
    assert world.ingest(QueuedWebhook("a", message, BASE64), queued("b", "m-1")) == set()

    unreadable, _ = world.storage.kept.values()
    assert unreadable["kind"] == EventKind.UNPARSED
    assert unreadable["payload"] == {"unparsed_text": message}
    assert '"level":"ERROR"' in log.getvalue()


def test_body_that_is_no_webhook_is_stored_and_not_published(world: Ingesting, counted: dict[str, Any]) -> None:
    assert world.ingest(QueuedWebhook("a", '{"hello": "world"}'), QueuedWebhook("b", "<html>")) == set()

    assert [row["payload"] for row in world.storage.kept.values()] == [
        {"unparsed": {"hello": "world"}},
        {"unparsed_text": "<html>"},
    ]
    assert world.bus.published == []
    assert counts(counted) == {"EventsReceived": 2, "EventsUnknown": 2}


def test_logs_and_metrics_contain_no_personal_data(world: Ingesting, counted: dict[str, Any], log: io.StringIO) -> None:
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


def test_storage_gets_the_current_time(world: Ingesting) -> None:
    world.ingest(queued("a", "m-0"))
    world.maintenance.run(Deadline(58))

    assert {payload["now"] for _, payload in world.storage.calls} == {NOW.isoformat()}
