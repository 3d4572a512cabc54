"""What every event is made of, whichever shape it came in."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from instagram_connect.webhooks.events import Kind, WebhookEvent
from instagram_connect.webhooks.received_json import digest

# Above it a time is in milliseconds: in seconds that would be the year 5138.
MOST_SECONDS = 1e11
# Meta's message ids have up to some two hundred characters; an index of Postgres takes 2,704 bytes.
MAX_ID_BYTES = 500


@dataclass(frozen=True)
class Parts:
    """The surroundings of one event: whose it is, the body with it alone, when it was sent."""

    entry_id: str
    payload: dict[str, Any]
    sent_at: Any

    def event(
        self,
        kind: Kind,
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
        """The event; a time of None is that of the sending. What is None in `data` is left out."""
        return WebhookEvent(
            entry_id=self.entry_id,
            key=key if len(key.encode()) <= 2 * MAX_ID_BYTES else f"{kind}:{digest(key)}",
            field=field if len(field.encode()) <= MAX_ID_BYTES else f"{kind}:{digest(field)}",
            kind=kind,
            payload=self.payload,
            occurred_at=moment(at) or moment(self.sent_at),
            message_id=message_id,
            participant_id=participant_id,
            other_end_id=other_end_id,
            is_from_us=is_from_us,
            data={name: value for name, value in (data or {}).items() if value is not None},
        )


def text_id(value: Any) -> str | None:
    """One of Meta's ids, which come as texts and as numbers; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and 0 < len(value.encode("utf-8", "surrogatepass")) <= MAX_ID_BYTES else None


def text(value: Any) -> str | None:
    """The value if it is a text."""
    return value if isinstance(value, str) else None


def moment(value: Any) -> datetime | None:
    """A time of Meta's: seconds or milliseconds since 1970, as a number or a text of one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number) or number <= 0:
        return None
    try:
        return datetime.fromtimestamp(number / 1000 if number > MOST_SECONDS else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def whole_number(value: Any) -> int | None:
    """A count, which may come as text; None for anything else, and for what no database column holds."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        number = int(value)
    except ValueError:
        return None
    return number if 0 <= number < 2**31 else None
