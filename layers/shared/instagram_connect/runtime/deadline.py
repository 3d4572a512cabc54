"""How much time a request has left, so that every wait inside it ends before Lambda ends the function."""

import time
from collections.abc import Callable


class Deadline:
    """A point in monotonic time. Retries stop and timeouts shrink as it comes nearer."""

    def __init__(self, seconds: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at = monotonic() + seconds

    def earlier(self, seconds: float) -> "Deadline":
        """A deadline this much sooner, to keep time for what comes after."""
        return Deadline(self.remaining_s() - seconds, monotonic=self._monotonic)

    def within(self, seconds: float) -> "Deadline":
        """A deadline at most this far away, for work that may not take all the time there is."""
        return Deadline(min(seconds, self.remaining_s()), monotonic=self._monotonic)

    def remaining_s(self) -> float:
        """Seconds left; 0 when it has passed."""
        return max(0.0, self._at - self._monotonic())
