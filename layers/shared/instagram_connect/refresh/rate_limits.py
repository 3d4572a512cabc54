"""Paces calls to Meta by the usage that its responses report, and stops them when Meta is down.

Source: Meta, "Rate Limits": calling while throttled lengthens the block, so background work stops before the limit.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock

from instagram_connect.errors import MetaRateLimitedError, MetaUnavailableError
from instagram_connect.meta.graph_errors import APP_LIMIT_CODES
from instagram_connect.meta.usage import APP
from instagram_connect.refresh.account_refresh import Attempt

SLOW_PAUSE_S = 0.5
# After this many failures in a row Meta is down, and the rest waits for the next sweep.
MAX_CONSECUTIVE_FAILURES = 10
# Platform limits count a rolling hour, and Meta does not say when they reset.
APP_PAUSE = timedelta(hours=1)


class Pacer:
    """Paces the calls of one batch. Safe to use from several threads."""

    def __init__(
        self, slow_percent: int, stop_percent: int, sleep: Callable[[float], None], *, starts_slow: bool = False
    ) -> None:
        """Create a pacer. It starts slow if `starts_slow`, until Meta reports its usage."""
        self._slow_percent = slow_percent
        self._stop_percent = stop_percent
        self._sleep = sleep
        self._one_by_one = Lock()
        self._regain_s = 0
        self._failures_in_a_row = 0
        self._is_refused = False
        self._begins_slow = starts_slow
        self.app_used_percent: int | None = None

    def learn(self, attempt: Attempt) -> None:
        """Record the usage and the error of one attempt."""
        for entry in attempt.usage:
            if entry.usage_type == APP:
                self.app_used_percent = max(entry.used_percent, self.app_used_percent or 0)
        error = attempt.error
        is_down = isinstance(error, MetaUnavailableError) and not (attempt.is_renewal_refused or attempt.renewal)
        self._failures_in_a_row = self._failures_in_a_row + 1 if is_down else 0
        if isinstance(error, MetaRateLimitedError) and error.log_context.get("meta_code") in APP_LIMIT_CODES:
            self._regain_s = max(self._regain_s, error.retry_after_s or 0)
            self._is_refused = True

    @property
    def is_slow(self) -> bool:
        """Whether the app is close to its call limit."""
        if self.app_used_percent is None:
            return self._begins_slow
        return self.app_used_percent >= self._slow_percent

    @property
    def is_stopped(self) -> bool:
        """Whether the batch must not make any more calls."""
        return self._is_limited or self._failures_in_a_row >= MAX_CONSECUTIVE_FAILURES

    def wait(self) -> None:
        """Delay the caller while the app is close to its call limit."""
        if self.is_slow:
            with self._one_by_one:
                self._sleep(SLOW_PAUSE_S)

    def account_paused_until(self, attempt: Attempt, now: datetime) -> datetime | None:
        """Return until when to pause an account that is close to its own limits, or None if it is not."""
        scarce = [
            entry for entry in attempt.usage if entry.usage_type != APP and entry.used_percent >= self._stop_percent
        ]
        if not scarce:
            return None
        regain_s = max(entry.regain_access_s for entry in scarce)
        return now + (timedelta(seconds=regain_s) if regain_s else APP_PAUSE)

    def paused_until(self, now: datetime) -> datetime | None:
        """Return until when to pause the product, or None if it need not be paused."""
        if not self._is_limited:
            return None
        return now + (timedelta(seconds=self._regain_s) if self._regain_s else APP_PAUSE)

    @property
    def _is_limited(self) -> bool:
        return self._is_refused or (self.app_used_percent or 0) >= self._stop_percent
