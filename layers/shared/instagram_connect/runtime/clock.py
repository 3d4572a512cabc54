"""The current time, and times in JSON."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The current time as an aware datetime in UTC."""
    return datetime.now(UTC)


def iso(moment: datetime | None) -> str | None:
    """ISO 8601 with the offset, as PostgreSQL reads it; None stays None."""
    return moment.isoformat() if moment else None
