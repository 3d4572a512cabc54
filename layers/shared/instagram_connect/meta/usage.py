"""Reads Meta's usage headers: how much of each rate limit is used, and when calls are allowed again.

Source: Meta, "Rate Limits". X-App-Usage counts the app's calls, X-Page-Usage a Page's, X-Business-Use-Case-Usage an
account's; the first two hold percentages, the last one also minutes. A missing or malformed header counts as absent.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from instagram_connect.meta.json_values import to_text

APP = "app"
_PERCENTAGES = ("call_count", "total_time", "total_cputime")
_MOST_PERCENT = 32_767  # smallint; a throttled app exceeds 100
_MOST_REGAIN_S = 7 * 86_400  # Meta's limits cover a day at most; a larger value is nonsense


@dataclass(frozen=True)
class Usage:
    """One rate limit. `usage_type` is `app`, `page`, or a business use case such as `instagram`; 0 s: not blocked."""

    usage_type: str
    used_percent: int
    regain_access_s: int = 0


_seen: ContextVar[list[Usage] | None] = ContextVar("seen_usage", default=None)


@contextmanager
def observed() -> Iterator[list[Usage]]:
    """Collect the usage headers of all calls that this thread makes inside the block."""
    seen: list[Usage] = []
    token = _seen.set(seen)
    try:
        yield seen
    finally:
        _seen.reset(token)


def note(headers: Mapping[str, str]) -> None:
    """Add an answer's usage headers to the list that `observed` returned in this thread, if any."""
    if (seen := _seen.get()) is not None:
        seen.extend(read_usage(headers))


def read_usage(headers: Mapping[str, str]) -> tuple[Usage, ...]:
    """All limits of an answer; for several objects with the same limit, the highest values."""
    found: dict[str, Usage] = {}
    for usage in _entries(headers):
        known = found.get(usage.usage_type, usage)
        found[usage.usage_type] = Usage(
            usage.usage_type,
            max(usage.used_percent, known.used_percent),
            max(usage.regain_access_s, known.regain_access_s),
        )
    return tuple(found.values())


def _entries(headers: Mapping[str, str]) -> Iterator[Usage]:
    for name, usage_type in (("x-app-usage", APP), ("x-page-usage", "page")):
        entry = _json(headers.get(name))
        if isinstance(entry, dict) and entry:
            yield Usage(usage_type, _percent(entry))
    objects = _json(headers.get("x-business-use-case-usage"))
    for entries in objects.values() if isinstance(objects, dict) else ():
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict):
                minutes = _number(entry.get("estimated_time_to_regain_access"))
                usage_type = (to_text(entry.get("type")) or "unknown")[:64]
                yield Usage(usage_type, _percent(entry), int(min(minutes * 60, _MOST_REGAIN_S)))


def _percent(entry: Mapping[str, Any]) -> int:
    return min(int(max(_number(entry.get(name)) for name in _PERCENTAGES)), _MOST_PERCENT)


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
