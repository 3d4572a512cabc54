"""Webhook bodies: described events become updates, updates become entries, entries a JSON body."""

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from meta_simulator.meta_apps import MetaApp, Product
from meta_simulator.webhooks.events import EventType, WebhookEvent
from meta_simulator.webhooks.payloads import EventContext, Place, render_update

MAX_UPDATES_PER_POST = 1000
DASHBOARD_ENTRY = "0"
TopLevel = Literal["object", "list"]


class Update(NamedTuple):
    """One event occurrence.

    `number` counts within its event, `position` within the request. `happened_at` is in Unix milliseconds.
    """

    event: WebhookEvent
    entry_id: str
    number: int
    position: int
    happened_at: int


def expand_events(events: Sequence[WebhookEvent], entry_ids: Mapping[str, str], now_ms: int) -> Iterator[Update]:
    """Yield the updates, one millisecond apart and the last one now. `entry_ids` are keyed by `account`."""
    position, start_ms = 0, now_ms - sum(event.count for event in events)
    for event in events:
        entry_id = DASHBOARD_ENTRY if event.account is None else entry_ids[event.account]
        for number in range(1, event.count + 1):
            position += 1
            happened_at = start_ms + position if event.timestamp is None else event.timestamp
            yield Update(event, entry_id, number, position, happened_at)


def split_into_batches(updates: Iterable[Update], size: int) -> list[list[Update]]:
    """Split the updates into lists of at most `size`, one per POST."""
    given = list(updates)
    return [given[start : start + size] for start in range(0, len(given), size)]


class BatchWriter:
    """Builds the bodies of one control request. The same batch always gives the same body."""

    def __init__(self, product: Product, app: MetaApp, now_ms: int, top_level: TopLevel = "object") -> None:
        self._product = product
        self._app_id = app.id
        self._now_ms = now_ms
        self._top_level = top_level
        # Long and opaque, as at Meta. Numbered, because generating random ids would dominate the run time.
        self._mids = f"aWdfZAG1{secrets.token_urlsafe(120)}"
        self._numbers = f"17{secrets.randbelow(10**10):010d}"

    def body(self, batch: Sequence[Update]) -> bytes:
        """Return the compact, ASCII-only body. Entry times are in seconds for changes, else milliseconds."""
        entries: dict[object, dict[str, Any]] = {}
        for index, update in enumerate(batch):
            place, content = self._write(update)
            if place == "entry":
                entries[index] = {**self._entry(update.entry_id, place), **content}
                continue
            key = (update.entry_id, place)
            if key not in entries:
                entries[key] = {**self._entry(update.entry_id, place), place: []}
            entries[key][place].append(content)
        body: object = {"object": "instagram", "entry": list(entries.values())}
        return json.dumps([body] if self._top_level == "list" else body, separators=(",", ":")).encode("ascii")

    def _entry(self, entry_id: str, place: Place) -> dict[str, Any]:
        is_in_seconds = place in ("changes", "entry")
        return {"id": entry_id, "time": self._now_ms // 1000 if is_in_seconds else self._now_ms}

    def _write(self, update: Update) -> tuple[Place, dict[str, Any]]:
        event = update.event
        context = EventContext(
            account_id=update.entry_id,
            customer=event.customer,
            id=self._id_of(update),
            text=event.text,
            timestamp=update.happened_at,
            product=self._product,
            app_id=self._app_id,
        )
        return render_update(event.type, context, event.overrides)

    def _id_of(self, update: Update) -> str:
        event = update.event
        if event.id is not None:
            return event.id if event.count == 1 else f"{event.id}{update.number}"
        return f"{self._numbers if event.type in _WITH_NUMBERS else self._mids}{update.position:06d}"


_WITH_NUMBERS = frozenset(
    {
        EventType.COMMENT,
        EventType.FLAT_COMMENT,
        EventType.LIVE_COMMENT,
        EventType.MENTION,
        EventType.STORY_INSIGHTS,
    }
)
