"""JSON as Meta sends it, made into values that PostgreSQL's jsonb holds, and that come back from it the same.

jsonb refuses what JSON allows: the character U+0000, halves of surrogate pairs, numbers without an end. Messages that
were cut in the middle of an emoji do hold such halves. Source: PostgreSQL, "JSON Types".
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

# Far beyond what Meta nests, far within what every parser on the way takes.
MAX_DEPTH = 60
_NOT_FOR_JSONB = re.compile("[\x00\ud800-\udfff]")


class UnreadableJsonError(Exception):
    """The text is no JSON, or none that can be kept as it is."""


def read(text: bytes, room: int = 0) -> Any:
    """The value of a JSON text, which may be nested so much deeper than usual. Raises UnreadableJsonError."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise UnreadableJsonError from None
    return keepable(value, -room)


def keepable(value: Any, depth: int = 0) -> Any:
    """The value with U+FFFD for what jsonb does not take, and numbers as they come back from it.

    Raises UnreadableJsonError for what is nested too deeply.
    """
    if isinstance(value, str):
        return _NOT_FOR_JSONB.sub("�", value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnreadableJsonError
        return int(value) if value.is_integer() else value
    if isinstance(value, list | dict):
        if depth > MAX_DEPTH:
            raise UnreadableJsonError
        if isinstance(value, list):
            return [keepable(item, depth + 1) for item in value]
        return {keepable(name): keepable(item, depth + 1) for name, item in value.items()}
    return value


def digest(value: Any) -> str:
    """The same for equal values, whatever the order of their names: a SHA-256 in hexadecimal."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def _refuse(_: str) -> None:
    raise UnreadableJsonError  # NaN and Infinity are Python's, not JSON's
