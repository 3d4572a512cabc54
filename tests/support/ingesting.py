"""Ingestion in unit tests: messages, and fakes of storage, bus and dead-letter queue."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from instagram_connect.errors import StorageError
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.sqs import QueueError
from instagram_connect.webhooks.ingestion import POSSIBLE_EVENT_ERRORS, Ingestion, QueuedWebhook
from instagram_connect.webhooks.maintenance import Maintenance
from instagram_connect.webhooks.repository import WebhookRepository
from tests.support.fakes import NOW
from tests.support.refreshing import STORAGE_DOWN, FakeStorage

CAFE, STUDIO, STRANGER = "17841400000000001", "17841400000000002", "17841499999999999"
CUSTOMER = "900100"
TEXT = "Está aberto hoje? ☕"
REFUSED = StorageError(
    reason="DATA_REJECTED", log_context={"storage_operation": "store_webhook_events", "storage_code": "22P05"}
)
# May be caused by the event or by the server.
DOUBTFUL = [
    *(StorageError(reason=reason) for reason in sorted(POSSIBLE_EVENT_ERRORS)),
    StorageError(reason="DATA_API_UNREACHABLE", recoverable=True, log_context={"storage_status": 500}),
]


def mids(count: int, start: int = 0) -> list[str]:
    """Ids of that many messages."""
    return [f"m-{number}" for number in range(start, start + count)]


def keys(count: int, start: int = 0) -> list[str]:
    """The keys of the events of those messages."""
    return [f"msg:{mid}" for mid in mids(count, start)]


def delivery(*mids: str, entry_id: str = CAFE) -> dict[str, Any]:
    """A webhook body with a message for each id."""
    messages = [
        {
            "sender": {"id": CUSTOMER},
            "recipient": {"id": entry_id},
            "timestamp": 1795348700123,
            "message": {"mid": mid, "text": TEXT},
        }
        for mid in mids
    ]
    return {"object": "instagram", "entry": [{"id": entry_id, "time": 1795348701000, "messaging": messages}]}


def queued(message_id: str, *mids: str, entry_id: str = CAFE, attempt: int = 1) -> QueuedWebhook:
    """A queue message with such a body."""
    return QueuedWebhook(message_id, json.dumps(delivery(*mids, entry_id=entry_id)), attempt=attempt)


class WebhookStorage(FakeStorage):
    """Stands for `Rpcs`: stores each event once, or nothing of a batch for one event in it, and takes no late calls.

    `refusals` say for which events, by their keys, and with which failure; `accounts` are the known ones.
    """

    def __init__(self) -> None:
        super().__init__(answers={"store_webhook_events": self._store, "purge_webhook_events": 0})
        self.accounts = {CAFE, STUDIO}
        self.refusals: dict[str, Exception] = {}
        self.kept: dict[str, dict[str, Any]] = {}
        # The results of adopting, one round after another.
        self.to_adopt: list[dict[str, Any]] = []
        self.answers["adopt_webhook_events"] = self._adopt

    def call(self, function: str, payload: Any, deadline: Deadline) -> Any:
        if deadline.remaining_s() == 0:
            raise STORAGE_DOWN
        return super().call(function, payload, deadline)

    call_patiently = call

    @property
    def batches(self) -> list[int]:
        """The number of events in each call to storage."""
        return [len(payload["events"]) for payload in self.asked("store_webhook_events")]

    @property
    def failed(self) -> list[str]:
        """The accounts with counted failed events."""
        return [entry_id for payload in self.asked("note_failed_webhook_events") for entry_id in payload["entry_ids"]]

    def _store(self, payload: dict[str, Any]) -> dict[str, Any]:
        rows: list[dict[str, Any]] = payload["events"]
        for row in rows:
            if row["event_key"] in self.refusals:
                raise self.refusals[row["event_key"]]
        fresh = {row["event_key"]: row for row in rows if row["event_key"] not in self.kept}
        self.kept |= fresh
        known = [row for row in fresh.values() if row["entry_id"] in self.accounts]
        return stored(
            len(known),
            unknown=len(fresh) - len(known),
            duplicate=len(rows) - len(fresh),
            outgoing=[row["event_key"] for row in known if row["kind"] != "unparsed"],
        )

    def _adopt(self, _: dict[str, Any]) -> dict[str, Any]:
        return self.to_adopt.pop(0) if self.to_adopt else stored(0)


def stored(count: int, *, unknown: int = 0, duplicate: int = 0, outgoing: Iterable[str] = ()) -> dict[str, Any]:
    """Storage's response to a batch."""
    events = [
        {"id": name, "type": "instagram.webhook.message", "detail": {"data": {"text": TEXT}}} for name in outgoing
    ]
    return {"stored": count, "unknown": unknown, "duplicate": duplicate, "outgoing": events}


class FakeBus:
    """Records the ids of published events and counts the searches for pending ones.

    Each time it is given something it takes `takes_s`.
    """

    def __init__(self) -> None:
        self.published: list[list[str]] = []
        self.looked = 0
        self.error: Exception | None = None
        self.takes_s = 0.0
        self.now_s = 0.0

    def deadline(self, seconds: float) -> Deadline:
        """A deadline whose clock advances only by this bus."""
        return Deadline(seconds, monotonic=lambda: self.now_s)

    def publish(self, events: Sequence[Mapping[str, Any]], deadline: Deadline) -> int:
        self.now_s += self.takes_s
        if self.error:
            raise self.error
        self.published.append([event["id"] for event in events])
        return len(events)

    def publish_pending(self, deadline: Deadline) -> int:
        if self.error:
            raise self.error
        self.looked += 1
        return 0


class FakeDeadLetters:
    """Records dead letters; rejects everything while `is_down`."""

    def __init__(self) -> None:
        self.buried: list[tuple[bytes, str]] = []
        self.is_down = False

    def send_to_dead_letters(self, body: bytes, reason: str) -> None:
        if self.is_down:
            raise QueueError("EndpointConnectionError")
        self.buried.append((body, reason))


class Ingesting:
    """An ingestion with fakes around it."""

    def __init__(self) -> None:
        self.storage = WebhookStorage()
        self.bus = FakeBus()
        self.dead_letters = FakeDeadLetters()
        bus: Any = self.bus
        dead_letters: Any = self.dead_letters
        repository = WebhookRepository(self.storage, lambda: NOW)
        self.ingestion = Ingestion(repository, bus, dead_letters)
        self.maintenance = Maintenance(repository, bus)

    def ingest(self, *webhooks: QueuedWebhook, deadline: Deadline | None = None) -> set[str]:
        """Ingests queue messages and returns the ids of those to retry."""
        return self.ingestion.ingest(webhooks, deadline or Deadline(40))
