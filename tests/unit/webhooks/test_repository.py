"""What each ingestion method sends, and how it handles the response."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from instagram_connect.errors import StorageError
from instagram_connect.outbox.publisher import LEASE_S
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.rpc import Rpcs
from instagram_connect.webhooks.events import EventKind, WebhookEvent
from instagram_connect.webhooks.repository import (
    COUNT_DAYS,
    IDS_AT_ONCE,
    KNOWN_DAYS,
    REPORTED_DAYS,
    UNKNOWN_DAYS,
    KeptEvent,
    Stored,
    WebhookRepository,
)
from tests.support.fakes import NOW, FakeDataApi, refusal
from tests.support.refreshing import STORAGE_DOWN, FakeStorage

ASKED = {"now": NOW.isoformat(), "lease_s": LEASE_S}
ENTRY = {"id": "17841400000000001", "messaging": [{"message": {"mid": "m-1", "text": "Olá ☕"}}]}
EVENT = WebhookEvent(
    entry_id="17841400000000001",
    key="msg:m-1",
    field="messages",
    kind=EventKind.MESSAGE,
    payload={"object": "instagram", "entry": [ENTRY]},
    occurred_at=NOW,
    message_id="m-1",
    participant_id="900100",
    other_end_id="17841400000000001",
    is_from_us=True,
    data={"text": "Olá ☕"},
)
ROW = {
    "entry_id": "17841400000000001",
    "event_key": "msg:m-1",
    "field": "messages",
    "kind": "message",
    "occurred_at": NOW.isoformat(),
    "message_id": "m-1",
    "participant_id": "900100",
    "other_end_id": "17841400000000001",
    "is_from_us": True,
    "data": {"text": "Olá ☕"},
    "payload": {"object": "instagram", "entry": [ENTRY]},
}
OUTGOING = [{"id": "e-1", "type": "instagram.webhook.message", "detail": {"eventKey": "msg:m-1"}}]
ANSWER = {"stored": 3, "unknown": 2, "duplicate": 1, "outgoing": OUTGOING}
STORED = Stored(stored=3, unknown=2, duplicate=1, outgoing=OUTGOING)


@pytest.fixture
def storage() -> FakeStorage:
    return FakeStorage()


@pytest.fixture
def repository(storage: FakeStorage) -> WebhookRepository:
    return WebhookRepository(storage, lambda: NOW)


def test_events_are_sent_with_every_known_field(repository: WebhookRepository, storage: FakeStorage) -> None:
    storage.answers["store_webhook_events"] = ANSWER

    assert repository.store([EVENT], Deadline(20)) == STORED

    assert storage.calls == [("store_webhook_events", {**ASKED, "events": [ROW]})]


def test_unknown_fields_of_an_event_are_sent_blank(repository: WebhookRepository, storage: FakeStorage) -> None:
    storage.answers["store_webhook_events"] = ANSWER
    bare = WebhookEvent("", "raw:1", "unparsed", EventKind.UNPARSED, {"unparsed": None})

    repository.store([bare], Deadline(20))

    ((_, payload),) = storage.calls
    assert payload["events"] == [
        {
            "entry_id": "",
            "event_key": "raw:1",
            "field": "unparsed",
            "kind": "unparsed",
            "occurred_at": None,
            "message_id": None,
            "participant_id": None,
            "other_end_id": None,
            "is_from_us": False,
            "data": {},
            "payload": {"unparsed": None},
        }
    ]


def test_adopting_returns_the_same_counts_as_storing(repository: WebhookRepository, storage: FakeStorage) -> None:
    storage.answers["adopt_webhook_events"] = ANSWER

    assert repository.adopt(50, Deadline(20)) == STORED

    assert storage.calls == [("adopt_webhook_events", {**ASKED, "limit": 50})]


def test_failed_events_are_counted_for_their_accounts(repository: WebhookRepository, storage: FakeStorage) -> None:
    nobodys = WebhookEvent("", "raw:1", "unparsed", EventKind.UNPARSED, {"unparsed": None})

    repository.note_failed([EVENT, nobodys, EVENT], Deadline(20))

    entry_ids = [EVENT.entry_id, "", EVENT.entry_id]
    assert storage.calls == [("note_failed_webhook_events", {**ASKED, "entry_ids": entry_ids})]


def test_stored_events_are_paged_with_their_arrival_time(repository: WebhookRepository, storage: FakeStorage) -> None:
    row = {"id": 8, "event_key": "msg:m-1", "payload": EVENT.payload, "received_at": "2026-11-22T13:00:00.25+01:00"}
    storage.answers["kept_webhook_events"] = {"events": [row], "until_id": 9}

    kept, until_id = repository.kept(after_id=7, until_id=9, limit=100, deadline=Deadline(20))

    received_at = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)
    assert kept == (KeptEvent(8, "msg:m-1", EVENT.payload, received_at),)
    assert until_id == 9
    asked = {"after_id": 7, "until_id": 9, "limit": 100, "kind": None, "entry_id": None, "since": None}
    assert storage.calls == [("kept_webhook_events", {**asked, "window": IDS_AT_ONCE})]


def test_stored_events_can_be_filtered_by_kind_account_and_time(
    repository: WebhookRepository, storage: FakeStorage
) -> None:
    """A scanned page may have no match while later pages do."""
    storage.answers["kept_webhook_events"] = {"events": [], "until_id": IDS_AT_ONCE}

    found = repository.kept(
        after_id=0, until_id=900_000, limit=5, deadline=Deadline(20), kind="unparsed", entry_id="1784", since=NOW
    )

    assert found == ((), IDS_AT_ONCE)
    asked = {
        "after_id": 0,
        "until_id": 900_000,
        "window": IDS_AT_ONCE,
        "limit": 5,
        "kind": "unparsed",
        "entry_id": "1784",
        "since": NOW.isoformat(),
    }
    assert storage.calls == [("kept_webhook_events", asked)]


def test_replayed_event_keeps_its_arrival_time(repository: WebhookRepository, storage: FakeStorage) -> None:
    storage.answers["replay_webhook_events"] = ANSWER
    received_at = datetime(2026, 11, 22, 9, tzinfo=timezone(timedelta(hours=-3)))

    assert repository.replay([8, 2**53 + 1], [(EVENT, received_at)], Deadline(20)) == STORED

    row = {**ROW, "received_at": "2026-11-22T09:00:00-03:00"}
    # As text: parsers that treat JSON numbers as floats round numbers of this size.
    asked = {**ASKED, "ids": ["8", "9007199254740993"], "events": [row]}
    assert storage.calls == [("replay_webhook_events", asked)]


def test_events_of_unknown_accounts_are_purged_sooner(repository: WebhookRepository, storage: FakeStorage) -> None:
    storage.answers["purge_webhook_events"] = 17

    assert repository.purge(1_000, Deadline(20)) == 17

    asked = {**ASKED, "unknown_days": 30, "known_days": 90, "count_days": 400, "limit": 1_000}
    assert (UNKNOWN_DAYS, KNOWN_DAYS, COUNT_DAYS) == (30, 90, 400)
    assert storage.calls == [("purge_webhook_events", asked)]


def test_report_is_returned_unchanged(repository: WebhookRepository, storage: FakeStorage) -> None:
    answer = {"days": [], "newest_id": 9, "waiting_to_be_published": 0, "found": []}
    storage.answers["webhook_report"] = answer

    assert repository.report(7, Deadline(20)) == answer
    assert repository.report(1, Deadline(20), entry_id="1784", event_id="m-1") == answer

    assert storage.asked("webhook_report") == [
        {**ASKED, "days": 7, "limit": REPORTED_DAYS, "entry_id": None, "id": None},
        {**ASKED, "days": 1, "limit": REPORTED_DAYS, "entry_id": "1784", "id": "m-1"},
    ]


Verb = Callable[[WebhookRepository], Any]
VERBS: dict[str, Verb] = {
    "store_webhook_events": lambda repository: repository.store([EVENT], Deadline(20)),
    "adopt_webhook_events": lambda repository: repository.adopt(1, Deadline(20)),
    "note_failed_webhook_events": lambda repository: repository.note_failed([EVENT], Deadline(20)),
    "kept_webhook_events": lambda repository: repository.kept(after_id=0, until_id=1, limit=1, deadline=Deadline(20)),
    "replay_webhook_events": lambda repository: repository.replay([1], [(EVENT, NOW)], Deadline(20)),
    "purge_webhook_events": lambda repository: repository.purge(1, Deadline(20)),
    "webhook_report": lambda repository: repository.report(1, Deadline(20)),
}


@pytest.mark.parametrize("function", VERBS)
def test_every_method_raises_storage_failures(
    repository: WebhookRepository, storage: FakeStorage, function: str
) -> None:
    storage.failures = {function: STORAGE_DOWN}

    with pytest.raises(StorageError):
        VERBS[function](repository)


@pytest.mark.parametrize("function", sorted(VERBS.keys() - {"note_failed_webhook_events"}))
def test_calls_that_are_retried_elsewhere_are_made_once(function: str) -> None:
    storage = FakeDataApi()
    storage.failures = [refusal(503, "PGRST001")]

    with pytest.raises(StorageError):
        VERBS[function](WebhookRepository(Rpcs(storage.client(), sleep=lambda _: None), lambda: NOW))

    assert storage.payloads == []


def test_counting_failed_events_is_retried() -> None:
    """An event that is dead-lettered but not counted would be dead-lettered again."""
    storage = FakeDataApi()
    storage.failures = [refusal(503, "PGRST001"), refusal(503, "PGRST001")]

    WebhookRepository(Rpcs(storage.client(), sleep=lambda _: None), lambda: NOW).note_failed([EVENT], Deadline(20))

    assert storage.payloads == [{**ASKED, "entry_ids": [EVENT.entry_id]}]
