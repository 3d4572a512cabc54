"""Runs every five minutes: publishes pending events, assigns events to accounts stored since, deletes old events."""

from collections.abc import Callable
from dataclasses import dataclass

from aws_lambda_powertools.metrics import MetricUnit

from instagram_connect.outbox.publisher import EventPublisher
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics
from instagram_connect.webhooks.repository import WebhookRepository

EVENTS_PER_ROUND = 1000
PURGE_LIMIT = 10_000
# Do not start another round without time to finish it.
MIN_ROUND_S = 20.0


@dataclass(frozen=True)
class Maintenance:
    """The maintenance of webhook events. Shared between invocations."""

    repository: WebhookRepository
    bus: EventPublisher

    def run(self, deadline: Deadline) -> None:
        """Publish pending events, assign events to accounts stored since, delete old events.

        Every step runs, even if another fails. Raises StorageError.
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
        while deadline.remaining_s() > MIN_ROUND_S:
            adopted = self.repository.adopt(EVENTS_PER_ROUND, deadline)
            self.bus.publish(adopted.outgoing, deadline)
            if not adopted.stored:
                return
            logger.info("Assigned events to accounts that were stored after them", events=adopted.stored)
            metrics.add_metric("EventsAdopted", MetricUnit.Count, adopted.stored)

    def _purge(self, deadline: Deadline) -> None:
        if purged := self.repository.purge(PURGE_LIMIT, deadline):
            logger.info("Deleted old events", events=purged)
