"""The simulated clock: the system's time plus an offset that tests control."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def system_time() -> datetime:
    """Return the machine's time as an aware UTC datetime."""
    return datetime.now(UTC)


class Clock:
    """A ticking clock that can be moved, so that 60 days pass in one call."""

    def __init__(self, read_system_time: Callable[[], datetime] = system_time) -> None:
        self._read_system_time = read_system_time
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the simulated time as an aware UTC datetime."""
        return self._read_system_time() + self._offset

    def advance(self, by: timedelta) -> None:
        """Move the clock forward, or back if the span is negative."""
        self._offset += by

    def move_to(self, moment: datetime) -> None:
        """Set the clock to an aware datetime, from which it keeps ticking."""
        self._offset = moment - self._read_system_time()

    def reset(self) -> None:
        """Return to the machine's time."""
        self._offset = timedelta()
