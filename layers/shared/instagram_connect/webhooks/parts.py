"""The data that every event needs besides its own content."""

from dataclasses import dataclass
from typing import Any

from instagram_connect.meta.json_values import MAX_ID_BYTES, digest, to_moment
from instagram_connect.webhooks.events import EventKind, WebhookEvent


@dataclass(frozen=True)
class Parts:
    """The context of one event: its account, a body with only this event, and the time of sending."""

    entry_id: str
    payload: dict[str, Any]
    sent_at: Any

    def event(
        self,
        kind: EventKind,
        field: str,
        key: str,
        *,
        at: Any = None,
        message_id: str | None = None,
        participant_id: str | None = None,
        other_end_id: str | None = None,
        is_from_us: bool = False,
        data: dict[str, Any] | None = None,
    ) -> WebhookEvent:
        """Make an event. `at` defaults to the time of sending; None values in `data` are dropped."""
        return WebhookEvent(
            entry_id=self.entry_id,
            key=key if len(key.encode()) <= 2 * MAX_ID_BYTES else f"{kind}:{digest(key)}",
            field=field if len(field.encode()) <= MAX_ID_BYTES else f"{kind}:{digest(field)}",
            kind=kind,
            payload=self.payload,
            occurred_at=to_moment(at) or to_moment(self.sent_at),
            message_id=message_id,
            participant_id=participant_id,
            other_end_id=other_end_id,
            is_from_us=is_from_us,
            data={name: value for name, value in (data or {}).items() if value is not None},
        )
