"""How many calls each caller made in the last hour, relative to its limit."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

WINDOW = timedelta(hours=1)
# Only this many calls are counted per caller, so no limit may be higher.
MAX_COUNTED_CALLS = 10_000


@dataclass(frozen=True)
class Usage:
    """A caller's usage, the current call included. `regain_minutes` is 0 below 100 percent."""

    percent: int
    regain_minutes: int
    is_exceeded: bool


class RecentCalls:
    """The times of the latest calls, by caller."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, ...], deque[datetime]] = {}

    def add(self, caller: tuple[str, ...], now: datetime, limit: int) -> Usage:
        """Count a call and return the usage.

        Rejected calls count too and so extend the block, as at Meta.
        """
        times = self._times.setdefault(caller, deque(maxlen=MAX_COUNTED_CALLS))
        while times and times[0] <= now - WINDOW:
            times.popleft()
        is_exceeded = len(times) >= limit
        times.append(now)
        regain_minutes = 0
        if len(times) >= limit:
            # The limit is no longer reached once this call leaves the window.
            oldest_counted = times[len(times) - limit]
            regain_minutes = ceil((oldest_counted + WINDOW - now) / timedelta(minutes=1))
        return Usage(len(times) * 100 // limit, regain_minutes, is_exceeded)

    def clear(self) -> None:
        """Forget all calls."""
        self._times.clear()
