"""How much time a request has left, so that every wait ends before Lambda stops the function."""

import time
from collections.abc import Callable


class Deadline:
    """A point in monotonic time. Retries stop and time-outs shrink as it approaches."""

    def __init__(self, seconds: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at = monotonic() + seconds

    def earlier(self, seconds: float) -> "Deadline":
        """A deadline `seconds` sooner, which reserves time for a later step."""
        return Deadline(self.remaining_s() - seconds, monotonic=self._monotonic)

    def within(self, seconds: float) -> "Deadline":
        """A deadline at most `seconds` away, for a step that must not use up all the time."""
        return Deadline(min(seconds, self.remaining_s()), monotonic=self._monotonic)

    def remaining_s(self) -> float:
        """Seconds left; 0 when it has passed."""
        return max(0.0, self._at - self._monotonic())
