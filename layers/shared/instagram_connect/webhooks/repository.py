"""Storage of webhook events, one call each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from instagram_connect.outbox.publisher import LEASE_S
from instagram_connect.runtime.clock import iso
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.data_api import DataApiError
from instagram_connect.storage.diagnosis import storage_error
from instagram_connect.storage.rpc import RpcCaller
from instagram_connect.webhooks.events import WebhookEvent

# The account of an unknown event may never be connected, and the event contains personal messages.
UNKNOWN_DAYS = 30
# For raw events, which identify duplicates and can be parsed again. Messages are kept longer.
KNOWN_DAYS = 90
COUNT_DAYS = 400
# Scanned in a second or two with any filter.
IDS_AT_ONCE = 100_000
REPORTED_DAYS = 200


@dataclass(frozen=True)
class Stored:
    """Result of storing a batch. The caller must publish `outgoing`: `{"id", "type", "detail"}`."""

    stored: int
    unknown: int
    duplicate: int
    outgoing: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class KeptEvent:
    """A stored event with its original payload."""

    id: int
    event_key: str
    payload: Mapping[str, Any]
    received_at: datetime


@dataclass(frozen=True)
class WebhookRepository:
    """Stores and reads events. All methods raise StorageError. Safe to use from several threads."""

    rpcs: RpcCaller
    now: Callable[[], datetime]

    def store(self, events: Sequence[WebhookEvent], deadline: Deadline) -> Stored:
        """Store events in one transaction, each once. Safe to repeat."""
        asked = {**self._asked(), "events": [_row(event) for event in events]}
        return _stored(self.rpcs.call("store_webhook_events", asked, deadline))

    def adopt(self, limit: int, deadline: Deadline) -> Stored:
        """Assign events that arrived before their account was stored to that account."""
        return _stored(self.rpcs.call("adopt_webhook_events", {**self._asked(), "limit": limit}, deadline))

    def note_failed(self, events: Iterable[WebhookEvent], deadline: Deadline) -> None:
        """Count events that cannot be stored."""
        asked = {**self._asked(), "entry_ids": [event.entry_id for event in events]}
        self.rpcs.call_patiently("note_failed_webhook_events", asked, deadline)

    def kept(
        self,
        *,
        after_id: int,
        until_id: int,
        limit: int,
        deadline: Deadline,
        kind: str | None = None,
        entry_id: str | None = None,
        since: datetime | None = None,
    ) -> tuple[tuple[KeptEvent, ...], int]:
        """Return stored events ordered by id, and the id to continue after.

        Each call scans a limited range and may find none; all were scanned when the returned id is `until_id`. Unsent
        messages are left out.
        """
        asked = {
            "after_id": after_id,
            "until_id": until_id,
            "window": IDS_AT_ONCE,
            "limit": limit,
            "kind": kind,
            "entry_id": entry_id,
            "since": iso(since),
        }
        answer = self.rpcs.call("kept_webhook_events", asked, deadline)
        events = tuple(
            KeptEvent(row["id"], row["event_key"], row["payload"], datetime.fromisoformat(row["received_at"]))
            for row in answer["events"]
        )
        return events, answer["until_id"]

    def replay(self, ids: Sequence[int], events: Iterable[tuple[WebhookEvent, datetime]], deadline: Deadline) -> Stored:
        """Replace stored events by events with the times they were received, in one transaction."""
        rows = [{**_row(event), "received_at": iso(received_at)} for event, received_at in events]
        asked = {**self._asked(), "ids": [str(event_id) for event_id in ids], "events": rows}
        return _stored(self.rpcs.call("replay_webhook_events", asked, deadline))

    def purge(self, limit: int, deadline: Deadline) -> int:
        """Delete events past their retention time; return how many."""
        asked = {**self._asked(), "unknown_days": UNKNOWN_DAYS, "known_days": KNOWN_DAYS, "count_days": COUNT_DAYS}
        asked["limit"] = limit
        return int(self.rpcs.call("purge_webhook_events", asked, deadline))

    def report(
        self, days: int, deadline: Deadline, *, entry_id: str | None = None, event_id: str | None = None
    ) -> dict[str, Any]:
        """Return statistics of deliveries, as described at the SQL function `webhook_report`."""
        asked = {**self._asked(), "days": days, "limit": REPORTED_DAYS, "entry_id": entry_id, "id": event_id}
        report: dict[str, Any] = self.rpcs.call("webhook_report", asked, deadline)
        return report

    def _asked(self) -> dict[str, Any]:
        return {"now": self.now().isoformat(), "lease_s": LEASE_S}


def _row(event: WebhookEvent) -> dict[str, Any]:
    return {
        "entry_id": event.entry_id,
        "event_key": event.key,
        "field": event.field,
        "kind": event.kind.value,
        "occurred_at": iso(event.occurred_at),
        "message_id": event.message_id,
        "participant_id": event.participant_id,
        "other_end_id": event.other_end_id,
        "is_from_us": event.is_from_us,
        "data": event.data,
        "payload": event.payload,
    }


def _stored(answer: Any) -> Stored:
    # Any other response means that nothing was stored, and queued messages are deleted because of this response.
    if not isinstance(answer, dict) or "outgoing" not in answer:
        raise storage_error(DataApiError(status=200), "store_webhook_events")
    return Stored(answer["stored"], answer["unknown"], answer["duplicate"], answer["outgoing"])
