"""Storage work that no webhook waits for: events to publish or to give to a new account, and old events."""

from collections.abc import Callable
from dataclasses import dataclass

from aws_lambda_powertools.metrics import MetricUnit

from instagram_connect.outbox.publisher import EventPublisher
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics
from instagram_connect.webhooks.repository import WebhookRepository

ADOPTED_AT_ONCE = 1000
PURGED_AT_ONCE = 10_000
# Another round is only begun while there is time for it.
LEAST_ROUND_S = 20.0


@dataclass(frozen=True)
class Maintenance:
    """Shared between invocations."""

    repository: WebhookRepository
    bus: EventPublisher

    def run(self, deadline: Deadline) -> None:
        """Publish what is left, give events to accounts that were stored after them, delete old events.

        A step that fails does not keep the others from running. Raises StorageError.
        """
        failures: list[Exception] = []
        steps: tuple[Callable[[Deadline], object], ...] = (self.bus.publish_pending, self._adopt, self._purge)
        for step in steps:
            try:
                step(deadline)
            except Exception as error:  # noqa: BLE001 - raised below
                failures.append(error)
        if failures:
            raise failures[0]

    def _adopt(self, deadline: Deadline) -> None:
        while deadline.remaining_s() > LEAST_ROUND_S:
            adopted = self.repository.adopt(ADOPTED_AT_ONCE, deadline)
            self.bus.publish(adopted.outgoing, deadline)
            if not adopted.stored:
                return
            logger.info("Gave events to accounts that were stored after them", events=adopted.stored)
            metrics.add_metric("EventsAdopted", MetricUnit.Count, adopted.stored)

    def _purge(self, deadline: Deadline) -> None:
        if purged := self.repository.purge(PURGED_AT_ONCE, deadline):
            logger.info("Deleted old events", events=purged)
