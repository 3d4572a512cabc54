"""Reads Meta's JSON without trusting it: whatever has not the expected type counts as absent."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from instagram_connect.errors import InstagramConnectError, MetaRequestRejectedError
from instagram_connect.models import UserToken

YEAR_3000 = 32_503_680_000  # in Unix seconds: a time or lifetime beyond it is no answer


def to_object(value: Any) -> dict[str, Any]:
    """The JSON object, or an empty one."""
    return value if isinstance(value, dict) else {}


def to_objects(value: Any) -> list[dict[str, Any]]:
    """The JSON objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def unwrapped(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The object itself. Meta's documentation of Instagram Login wraps it in `data[]`; what comes is often flat."""
    wrapped = to_objects(answer.get("data"))
    return wrapped[0] if wrapped else dict(answer)


def to_id(value: Any) -> str | None:
    """An id as text: Meta sends the same one as a JSON number or as a string."""
    return to_text(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def to_text(value: Any) -> str | None:
    """Text that Postgres can store, or None."""
    if value is None:
        return None
    # What Postgres cannot store (NUL) or UTF-8 not express (half an emoji) must not cost the whole connection.
    return str(value).replace("\0", "").encode("utf-8", "replace").decode() or None


def to_texts(values: Any) -> tuple[str, ...]:
    """The texts of a list, or of a string with commas."""
    if isinstance(values, str):
        values = [value.strip() for value in values.split(",")]
    return tuple(filter(None, map(to_text, values))) if isinstance(values, list) else ()


def to_count(value: Any) -> int | None:
    """A number that fits into a bigint, or None."""
    return value if isinstance(value, int) and 0 <= value < 2**63 else None


def to_seconds(value: Any) -> int:
    """A positive number of seconds, or 0."""
    try:
        seconds = int(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return seconds if 0 < seconds < YEAR_3000 else 0


def to_moment(value: Any) -> datetime | None:
    """A time given in Unix seconds; None for 0, which is Meta's "never"."""
    seconds = to_seconds(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def to_token(
    answer: Mapping[str, Any],
    requested_at: datetime,
    *,
    granted_scopes: tuple[str, ...] | None = None,
    missing: type[InstagramConnectError] = MetaRequestRejectedError,
) -> UserToken:
    """The token of an answer. Raises `missing` when there is none."""
    value = answer.get("access_token")
    if not isinstance(value, str) or not value:
        raise missing(log_context={"cause": "answer without access_token"})
    lifetime_s = to_seconds(answer.get("expires_in"))
    # Counted from before the call, so that the token is never believed to live longer than it does.
    expires_at = requested_at + timedelta(seconds=lifetime_s) if lifetime_s else None
    return UserToken(value, requested_at, expires_at, granted_scopes)


def require_success(answer: Mapping[str, Any]) -> None:
    """Raises MetaRequestRejectedError when Meta says, with status 200, that it did not do it."""
    if answer.get("success") is False:
        raise MetaRequestRejectedError(log_context={"cause": "answer without success"})
