"""The hourly sweep: claims due accounts, queues them for the workers, publishes pending events and reports metrics."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from instagram_connect.errors import StorageError
from instagram_connect.outbox.publisher import EventPublisher
from instagram_connect.refresh.queue import RefreshQueue
from instagram_connect.refresh.repository import RefreshRepository
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics

ACCOUNTS_PER_CLAIM = 1000
# Claim more accounts only while there is time to queue or release them.
MIN_REMAINING_S = 15.0


@dataclass(frozen=True)
class RefreshSweep:
    """Finds what is due. Shared between invocations."""

    repository: RefreshRepository
    queue: RefreshQueue
    events: EventPublisher

    def run(self, deadline: Deadline) -> int:
        """Queue all due accounts and return how many. Raises StorageError.

        Concurrent sweeps share the accounts. If a sweep is killed, a later one claims its accounts.
        """
        handed = 0
        while deadline.remaining_s() > MIN_REMAINING_S:
            # One owner per claim identifies the batch, whichever sweep it came from.
            owner = str(uuid.uuid4())
            claims = self.repository.claim(owner, ACCOUNTS_PER_CLAIM, deadline)
            refused = self.queue.send_claims(owner, claims) if claims else ()
            handed += len(claims) - len(refused)
            if refused:
                self.repository.release(
                    owner, [self.repository.released(claim.account_id) for claim in refused], deadline
                )
            if refused or len(claims) < ACCOUNTS_PER_CLAIM:
                break
        logger.info("Queued due accounts", accounts=handed)
        metrics.add_metric("AccountsClaimed", MetricUnit.Count, handed)
        self._publish_and_measure(deadline)
        return handed

    def _publish_and_measure(self, deadline: Deadline) -> None:
        # The due accounts are queued. Both steps can wait for the next sweep; alarms report long delays.
        try:
            self.events.publish_pending(deadline)
        except StorageError as error:
            logger.warning("Could not publish events", extra={"code": error.code, **error.log_context})
        try:
            measure(self.repository.overview(0, deadline), self.repository.now())
        except StorageError as error:
            logger.warning("Could not measure the state of tokens", extra={"code": error.code, **error.log_context})


def measure(overview: dict[str, Any], now: datetime) -> None:
    """Add the metrics that the alarms watch."""
    oldest = overview["oldest_due_at"]
    overdue_h = (now - datetime.fromisoformat(oldest)).total_seconds() / 3600 if oldest else 0.0
    for name, value in {
        "TokensActive": overview["active"],
        "TokensOverdue": overview["overdue"],
        "TokensExpired": overview["expired"],
        "ConnectionsNeedingReauth": overview["needs_reauth"],
        "ReconnectsRequested": overview["reconnect_requested"],
        "EventsWaiting": overview["events_waiting"],
        "ProductsSuspended": sum(1 for brake in overview["brakes"] if brake["suspended_at"]),
    }.items():
        metrics.add_metric(name, MetricUnit.Count, value)
    metrics.add_metric("OldestOverdueHours", MetricUnit.NoUnit, overdue_h)
