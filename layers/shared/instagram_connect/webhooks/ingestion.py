"""From messages of the queue to stored and published events.

A message counts as done once each of its events is stored, or in the dead-letter queue with the reason. An event that
the database refuses is looked for by halving the batch, so that it holds up no other. Whatever else fails comes again
as a whole: what of it was stored is recognised.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from aws_lambda_powertools.metrics import MetricUnit

from ..deadline import Deadline
from ..errors import StorageError
from ..event_bus import EventBus
from ..observability import logger, metrics, stack_of
from ..storage_health import (
    DATABASE_DEFECT,
    DATABASE_FAILED,
    REJECTED,
    REQUEST_REJECTED,
    UNEXPECTED,
    UNREACHABLE,
)
from . import parser, queue
from .events import WebhookEvent
from .queue import WebhookQueue, WebhookQueueError
from .repository import Stored, WebhookRepository

# What one POST of Meta holds at most; takes a fraction of a second.
EVENTS_AT_ONCE = 1000
PURGED_AT_ONCE = 10_000
# Another round of tidying is only begun while there is time for it.
LEAST_ROUND_S = 20.0
# Of which an event itself is the cause: nothing that passes, and nothing that all events would fail with.
OF_THE_EVENT = {REJECTED.reason, DATABASE_DEFECT.reason, REQUEST_REJECTED.reason}
# Of which it may be. Not every Data API tells a server's error from a refused row.
PERHAPS_OF_THE_EVENT = {DATABASE_FAILED.reason, UNEXPECTED.reason}
# Then it is only given up when it has failed so often, minutes apart, while storage took everything else.
ATTEMPTS_IN_DOUBT = 3


@dataclass(frozen=True)
class QueuedWebhook:
    """A message: its id at SQS, the body that it holds, and the how manieth time it comes.

    `encoding` is its attribute.
    """

    id: str
    message: str
    encoding: str | None = None
    attempt: int = 1


@dataclass(frozen=True)
class _Arrived:
    event: WebhookEvent
    message_id: str
    attempt: int


@dataclass(frozen=True)
class Ingestion:
    """Stores and publishes. Shared between invocations."""

    repository: WebhookRepository
    bus: EventBus
    dead_letters: WebhookQueue

    def ingest(self, webhooks: Iterable[QueuedWebhook], deadline: Deadline) -> set[str]:
        """Stores all events of the messages; the ids of messages that have to come again. Never raises."""
        arrived = [_Arrived(event, webhook.id, webhook.attempt) for webhook in webhooks for event in _events(webhook)]
        again: set[str] = set()
        for start in range(0, len(arrived), EVENTS_AT_ONCE):
            batch = arrived[start : start + EVENTS_AT_ONCE]
            try:
                again |= self._store(batch, deadline)
            except Exception as error:  # noqa: BLE001 - the other events must not come again with these
                logger.error("Could not store events", extra=_told_of(error))
                again |= {one.message_id for one in batch}
        return again

    def tidy(self, deadline: Deadline) -> None:
        """What no webhook waits for: adopts, publishes what was left, deletes what is old. Raises StorageError."""
        while deadline.remaining_s() > LEAST_ROUND_S:
            adopted = self.repository.adopt(EVENTS_AT_ONCE, deadline)
            self.bus.publish(adopted.outgoing, deadline)
            if not adopted.stored:
                break
            logger.info("Gave events to accounts that were stored after them", events=adopted.stored)
            metrics.add_metric("EventsAdopted", MetricUnit.Count, adopted.stored)
        self.bus.publish_pending(deadline)
        if purged := self.repository.purge(PURGED_AT_ONCE, deadline):
            logger.info("Deleted old events", events=purged)

    def _store(self, arrived: Sequence[_Arrived], deadline: Deadline) -> set[str]:
        events = [one.event for one in arrived]
        try:
            stored = self.repository.store(events, deadline)
        except StorageError as error:
            if not self._is_of_an_event(error, deadline):
                logger.warning(
                    "Events have to wait",
                    extra={"events": len(events), "code": error.code, "reason": error.reason, **error.log_context},
                )
                return {one.message_id for one in arrived}
            if len(arrived) > 1:
                middle = len(arrived) // 2
                return self._store(arrived[:middle], deadline) | self._store(arrived[middle:], deadline)
            return self._bury(arrived[0], error, deadline)
        _count(len(events), stored)
        self._publish(stored, deadline)
        return set()

    def _is_of_an_event(self, error: StorageError, deadline: Deadline) -> bool:
        if error.reason in OF_THE_EVENT:
            return True
        if not _may_be_of_an_event(error):
            return False
        try:
            self.repository.store((), deadline)
        except StorageError:
            return False
        return True  # storage works: it is these events that it does not take

    def _bury(self, one: _Arrived, error: StorageError, deadline: Deadline) -> set[str]:
        context = {"event_kind": one.event.kind, "code": error.code, "reason": error.reason, **error.log_context}
        if error.reason not in OF_THE_EVENT and one.attempt < ATTEMPTS_IN_DOUBT:
            logger.warning("An event that storage does not take comes again", extra=context)
            return {one.message_id}
        reason = f"{error.reason} {error.log_context.get('storage_code', '')}".strip()
        try:
            self.dead_letters.bury(parser.original(one.event.payload), reason)
            self.repository.note_failed([one.event], deadline)
        except (WebhookQueueError, StorageError) as failure:
            logger.warning(
                "Could not put an event into the dead-letter queue", extra={**context, "cause": str(failure)}
            )
            return {one.message_id}
        logger.error("An event cannot be stored and is in the dead-letter queue", extra=context)
        metrics.add_metric("EventsFailed", MetricUnit.Count, 1)
        return set()

    def _publish(self, stored: Stored, deadline: Deadline) -> None:
        try:
            if stored.outgoing:
                self.bus.publish(stored.outgoing, deadline)
            if stored.duplicate:
                # It may have come again because a worker died after storing, and before publishing.
                self.bus.publish_pending(deadline)
        except StorageError as error:
            # They are written down, and published within minutes.
            logger.warning("Could not publish events", extra={"code": error.code, **error.log_context})
        except Exception as error:  # noqa: BLE001 - the same
            logger.error("Could not publish events", extra=_told_of(error))


def _may_be_of_an_event(error: StorageError) -> bool:
    if error.reason == UNREACHABLE.reason:
        # A gateway that cannot reach its server says so with another status.
        return error.log_context.get("storage_status") == HTTPStatus.INTERNAL_SERVER_ERROR
    return error.reason in PERHAPS_OF_THE_EVENT


def _events(webhook: QueuedWebhook) -> Sequence[WebhookEvent]:
    body = webhook.message.encode()
    try:
        body = queue.body_of(webhook.message, webhook.encoding)
        return parser.parse(body)
    except Exception as error:  # noqa: BLE001 - a defect of the parser costs no event
        logger.error("Could not parse a webhook", extra=_told_of(error))
        return [parser.unreadable(body)]


def _told_of(error: Exception) -> dict[str, object]:
    return {"cause": type(error).__name__, "stack": stack_of(error)}


def _count(events: int, stored: Stored) -> None:
    for name, count in {
        "EventsReceived": events,
        "EventsStored": stored.stored,
        "EventsDuplicate": stored.duplicate,
        "EventsUnknown": stored.unknown,
    }.items():
        if count:
            metrics.add_metric(name, MetricUnit.Count, count)
