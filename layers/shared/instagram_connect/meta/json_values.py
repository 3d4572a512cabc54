"""Reads JSON that Meta sent, in answers and in webhooks. A value of an unexpected type counts as absent.

Text is made storable on the way: PostgreSQL's jsonb and text refuse U+0000 and lone surrogates (PostgreSQL, "JSON
Types"), and Meta does send messages that were cut in the middle of an emoji.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from instagram_connect.errors import InstagramConnectError, MetaRequestRejectedError
from instagram_connect.models import UserToken

# Far deeper than anything Meta nests, far shallower than the limits of the parsers on the way.
MAX_DEPTH = 60
# Meta's message ids have about 200 characters; a PostgreSQL index entry holds at most 2,704 bytes.
MAX_ID_BYTES = 500
MAX_COUNT = 2**63 - 1  # bigint
# A number above this is a time in milliseconds: in seconds it would be the year 5138.
MAX_SECONDS = 1e11
YEAR_3000 = 32_503_680_000  # Unix seconds; a later time or a longer lifetime is not a real value
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")


class UnreadableJsonError(Exception):
    """The text is not JSON, or is nested too deeply, or holds a number without an end."""


def read_json(text: bytes, extra_depth: int = 0) -> Any:
    """Parse JSON and make it storable. Raises UnreadableJsonError."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise UnreadableJsonError from None
    return storable(value, -extra_depth)


def storable(value: Any, depth: int = 0) -> Any:
    """The value as it comes back from jsonb: U+FFFD for characters it refuses, whole floats as integers.

    Raises UnreadableJsonError for a value that is nested too deeply.
    """
    if isinstance(value, str):
        return _NOT_STORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnreadableJsonError
        return int(value) if value.is_integer() else value
    if isinstance(value, list | dict):
        if depth > MAX_DEPTH:
            raise UnreadableJsonError
        if isinstance(value, list):
            return [storable(item, depth + 1) for item in value]
        return {storable(name): storable(item, depth + 1) for name, item in value.items()}
    return value


def digest(value: Any) -> str:
    """SHA-256 of the value in hexadecimal, independent of the order of an object's names."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def to_object(value: Any) -> dict[str, Any]:
    """The JSON object, or an empty one."""
    return value if isinstance(value, dict) else {}


def to_list(value: Any) -> list[Any]:
    """The JSON array, or an empty one."""
    return value if isinstance(value, list) else []


def to_objects(value: Any) -> list[dict[str, Any]]:
    """The JSON objects of an array."""
    return [item for item in to_list(value) if isinstance(item, dict)]


def unwrapped(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The object itself: Meta documents `{"data": [object]}` for Instagram Login and often sends the object."""
    wrapped = to_objects(answer.get("data"))
    return wrapped[0] if wrapped else dict(answer)


def to_id(value: Any) -> str | None:
    """An id as text; Meta sends the same id as a number or as a string."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = to_text(value)
    return text if text and text == value and len(text.encode()) <= MAX_ID_BYTES else None


def to_text(value: Any) -> str | None:
    """Text that PostgreSQL can store; None if it is empty."""
    return value.replace("\0", "").encode("utf-8", "replace").decode() or None if isinstance(value, str) else None


def to_texts(values: Any) -> tuple[str, ...]:
    """The texts of an array, or of a string separated by commas."""
    if isinstance(values, str):
        values = [value.strip() for value in values.split(",")]
    return tuple(filter(None, map(to_text, to_list(values))))


def to_count(value: Any, most: int = MAX_COUNT) -> int | None:
    """A whole number from 0 to `most`, given as a number or as text."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        number = int(value)
    except ValueError:
        return None
    return number if 0 <= number <= most else None


def to_seconds(value: Any) -> int:
    """A positive number of seconds, or 0."""
    try:
        seconds = int(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return seconds if 0 < seconds < YEAR_3000 else 0


def to_moment(value: Any) -> datetime | None:
    """A time in Unix seconds or milliseconds, given as a number or as text; None for 0, Meta's "never"."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    seconds = number / 1000 if number > MAX_SECONDS else number
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < YEAR_3000 else None


def to_token(
    answer: Mapping[str, Any],
    requested_at: datetime,
    *,
    granted_scopes: tuple[str, ...] | None = None,
    missing: type[InstagramConnectError] = MetaRequestRejectedError,
) -> UserToken:
    """The token of an answer. Raises `missing` if there is none."""
    value = answer.get("access_token")
    if not isinstance(value, str) or not value:
        raise missing(log_context={"cause": "answer without access_token"})
    lifetime_s = to_seconds(answer.get("expires_in"))
    # Counted from before the call, so that we never take the token to live longer than it does.
    expires_at = requested_at + timedelta(seconds=lifetime_s) if lifetime_s else None
    return UserToken(value, requested_at, expires_at, granted_scopes)


def require_success(answer: Mapping[str, Any]) -> None:
    """Raises MetaRequestRejectedError if Meta says, with status 200, that it refused."""
    if answer.get("success") is False:
        raise MetaRequestRejectedError(log_context={"cause": "answer without success"})


def _refuse(_: str) -> None:
    raise UnreadableJsonError  # Python's json accepts NaN and Infinity, JSON does not
