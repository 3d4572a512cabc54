"""The current time, where it is not passed in by a test, and times as JSON has them."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)


def iso(moment: datetime | None) -> str | None:
    """ISO 8601 with its offset, as PostgreSQL reads it; none stays none."""
    return moment.isoformat() if moment else None
