"""Events that storage refuses: isolated by halving the batch, moved to the dead-letter queue, counted."""

import base64
import io
import json
from typing import Any

import pytest

from instagram_connect.errors import StorageError
from instagram_connect.webhooks import parser
from instagram_connect.webhooks.ingestion import (
    ATTEMPTS_IF_UNSURE,
    EVENT_ERRORS,
    MAX_REFUSED,
    QueuedWebhook,
)
from instagram_connect.webhooks.queue import BASE64
from tests.support.counting import counts
from tests.support.ingesting import CAFE, CUSTOMER, DOUBTFUL, REFUSED, TEXT, Ingesting, delivery, keys, mids, queued
from tests.support.refreshing import STORAGE_DOWN


@pytest.mark.parametrize("reason", sorted(EVENT_ERRORS))
@pytest.mark.parametrize("place", [0, 7, 15])
def test_rejected_event_is_isolated_by_halving_and_dead_lettered(
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
def test_suspect_event_is_retried_alone_and_dead_lettered_after_repeated_failures(
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


def test_rejection_without_a_code_is_dead_lettered_with_its_reason(world: Ingesting) -> None:
    world.storage.refusals = {"msg:m-0": StorageError(reason="DATA_REJECTED")}

    assert world.ingest(queued("a", "m-0")) == set()

    ((_, told),) = world.dead_letters.buried
    assert told == "DATA_REJECTED"


@pytest.mark.parametrize("places", [(0, 1), (7, 8), (3, 12)])
def test_two_rejected_events_are_both_isolated(
    world: Ingesting, counted: dict[str, Any], places: tuple[int, int]
) -> None:
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
def test_dead_lettered_event_parses_to_the_same_event(world: Ingesting, name: str) -> None:
    body = bodies()[name]
    (event,) = parser.parse(body)
    world.storage.refusals = {event.key: REFUSED}

    assert world.ingest(QueuedWebhook("a", base64.b64encode(body).decode(), BASE64)) == set()

    ((buried, _),) = world.dead_letters.buried
    assert parser.parse(buried) == [event]


def test_failed_dead_lettering_retries_only_its_message(
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


def test_failed_counting_retries_only_its_message(world: Ingesting, counted: dict[str, Any]) -> None:
    world.storage.refusals = {"msg:m-2": REFUSED}
    world.storage.failures = {"note_failed_webhook_events": STORAGE_DOWN}
    webhooks = [queued("a", "m-0"), queued("b", "m-1", "m-2"), queued("c", "m-3")]
    assert world.ingest(*webhooks) == {"b"}
    assert "EventsFailed" not in counts(counted)

    world.storage.failures = {}

    assert world.ingest(webhooks[1]) == set()
    assert world.storage.failed == [CAFE]
    assert counts(counted)["EventsFailed"] == 1


def test_many_rejected_events_without_a_stored_one_are_not_dead_lettered(
    world: Ingesting, counted: dict[str, Any]
) -> None:
    """That points to a defect of the schema, not to a bad event."""
    bad = MAX_REFUSED + 1
    world.storage.refusals = dict.fromkeys(keys(bad), StorageError(reason="DATABASE_DEFECT"))

    again = world.ingest(*(queued(str(number), f"m-{number}") for number in range(bad)))

    assert again == {str(number) for number in range(bad)}
    assert (world.dead_letters.buried, world.storage.failed) == ([], [])
    assert counts(counted) == {"WebhooksPostponed": bad}


def test_few_rejected_events_are_dead_lettered(world: Ingesting) -> None:
    world.storage.refusals = dict.fromkeys(keys(MAX_REFUSED), REFUSED)

    assert world.ingest(queued("a", *mids(MAX_REFUSED))) == set()

    assert len(world.dead_letters.buried) == MAX_REFUSED


def test_many_rejected_events_are_dead_lettered_while_others_are_stored(world: Ingesting) -> None:
    bad = 3 * MAX_REFUSED
    world.storage.refusals = dict.fromkeys(keys(bad), REFUSED)

    assert world.ingest(queued("a", *mids(bad)), queued("b", "m-good")) == set()

    assert sorted(event.key for body, _ in world.dead_letters.buried for event in parser.parse(body)) == sorted(
        keys(bad)
    )
    assert list(world.storage.kept) == ["msg:m-good"]
