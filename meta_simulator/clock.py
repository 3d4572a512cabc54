"""The time that the simulator lives in: the system's, moved by whoever tests against it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def system_time() -> datetime:
    """Return the machine's time as an aware UTC datetime."""
    return datetime.now(UTC)


class Clock:
    """A clock that keeps ticking and can be moved, so that 60 days pass in one call."""

    def __init__(self, read_system_time: Callable[[], datetime] = system_time) -> None:
        self._read_system_time = read_system_time
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the simulated time, aware, UTC."""
        return self._read_system_time() + self._offset

    def advance(self, by: timedelta) -> None:
        """Move forward (or, with a negative span, back) from where the clock stands."""
        self._offset += by

    def move_to(self, moment: datetime) -> None:
        """Continue ticking from an aware moment."""
        self._offset = moment - self._read_system_time()

    def reset(self) -> None:
        """Return to the machine's time."""
        self._offset = timedelta()
