"""From messages of the queue to stored and published events.

A message counts as done once each of its events is stored, or in the dead-letter queue with the reason. An event that
the database refuses is looked for by halving the batch, so that it holds up no other. Whatever else fails comes again
as a whole: what of it was stored is recognised.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from aws_lambda_powertools.metrics import MetricUnit

from instagram_connect.errors import StorageError
from instagram_connect.outbox.publisher import EventPublisher
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics, stack_of
from instagram_connect.runtime.sqs import QueueError
from instagram_connect.storage.diagnosis import (
    DATABASE_DEFECT,
    DATABASE_FAILED,
    REJECTED,
    REQUEST_REJECTED,
    UNEXPECTED,
    UNREACHABLE,
)
from instagram_connect.webhooks import parser, queue
from instagram_connect.webhooks.events import WebhookEvent
from instagram_connect.webhooks.queue import WebhookQueue
from instagram_connect.webhooks.repository import Stored, WebhookRepository

# What one POST of Meta holds at most; takes a fraction of a second.
EVENTS_AT_ONCE = 1000
# Of which an event itself is the cause: nothing that passes by itself.
OF_THE_EVENT = {REJECTED.reason, DATABASE_DEFECT.reason, REQUEST_REJECTED.reason}
# Of which it may be. Not every Data API tells a server's error from a refused row.
PERHAPS_OF_THE_EVENT = {DATABASE_FAILED.reason, UNEXPECTED.reason}
# What a batch that is too much for the database ends with.
TOO_MUCH = {"TIMEOUT", "57014"}
# What is in doubt is only judged when it has failed so often, minutes apart.
ATTEMPTS_IN_DOUBT = 3
# So many refused events and no other are no bad events: a defect of the schema refuses all of them.
MOST_REFUSED = 20
# A call is only begun while there is time for an answer.
LEAST_ATTEMPT_S = 2.0


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
    bus: EventPublisher
    dead_letters: WebhookQueue

    def ingest(self, webhooks: Iterable[QueuedWebhook], deadline: Deadline) -> set[str]:
        """Stores all events of the messages; the ids of messages that have to come again. Never raises."""
        arrived = [_Arrived(event, webhook.id, webhook.attempt) for webhook in webhooks for event in _events(webhook)]
        once = _Round(self.repository, self.dead_letters, deadline)
        for start in range(0, len(arrived), EVENTS_AT_ONCE):
            once.store(arrived[start : start + EVENTS_AT_ONCE])
        once.finish()
        # Not before all is stored: what is stored can be published later.
        for stored in once.stored:
            self._publish(stored, deadline)
        if once.again:
            metrics.add_metric("WebhooksPostponed", MetricUnit.Count, len(once.again))
        return once.again

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


@dataclass
class _Round:
    """One invocation: what was stored, and which messages have to come again."""

    repository: WebhookRepository
    dead_letters: WebhookQueue
    deadline: Deadline
    stored: list[Stored] = field(default_factory=list)
    again: set[str] = field(default_factory=set)
    refused: list[tuple[_Arrived, StorageError]] = field(default_factory=list)

    def store(self, arrived: Sequence[_Arrived]) -> None:
        """Stores a batch, or as much of it as storage takes. Never raises."""
        try:
            self._store(arrived)
        except Exception as error:  # noqa: BLE001 - the other events must not come again with these
            logger.error("Could not store events", extra=_told_of(error))
            self.again |= {one.message_id for one in arrived}

    def finish(self) -> None:
        """Gives up what storage refuses, unless that is everything."""
        if len(self.refused) > MOST_REFUSED and not self.stored:
            logger.error("Storage refuses all events: they have to wait", extra={"events": len(self.refused)})
            self.again |= {one.message_id for one, _ in self.refused}
            return
        for one, error in self.refused:
            self._bury(one, error)

    def _store(self, arrived: Sequence[_Arrived]) -> None:
        events = [one.event for one in arrived]
        if self.deadline.remaining_s() < LEAST_ATTEMPT_S:
            self.again |= {one.message_id for one in arrived}
            return
        try:
            stored = self.repository.store(events, self.deadline)
        except StorageError as error:
            is_of_an_event = self._is_of_an_event(error)
            if len(arrived) > 1 and (is_of_an_event or _is_too_much(error, arrived)):
                middle = len(arrived) // 2
                self._store(arrived[:middle])
                self._store(arrived[middle:])
            elif is_of_an_event and (error.reason in OF_THE_EVENT or arrived[0].attempt >= ATTEMPTS_IN_DOUBT):
                self.refused.append((arrived[0], error))
            else:
                context = {"code": error.code, "reason": error.reason, **error.log_context}
                logger.warning("Events have to wait", extra={"events": len(events), **context})
                self.again |= {one.message_id for one in arrived}
            return
        self.stored.append(stored)
        _count(len(events), stored)

    def _is_of_an_event(self, error: StorageError) -> bool:
        if error.reason in OF_THE_EVENT:
            return True
        if not _may_be_of_an_event(error):
            return False
        try:
            self.repository.store((), self.deadline)
        except StorageError:
            return False
        return True  # storage works: it is these events that it does not take

    def _bury(self, one: _Arrived, error: StorageError) -> None:
        context = {"event_kind": one.event.kind, "code": error.code, "reason": error.reason, **error.log_context}
        told = error.log_context
        code = told.get("storage_code") or (f"HTTP {told['storage_status']}" if "storage_status" in told else "")
        reason = f"{error.reason} {code}".strip()
        try:
            self.dead_letters.bury(parser.original(one.event.payload), reason)
            self.repository.note_failed([one.event], self.deadline)
        except (QueueError, StorageError) as failure:
            context["cause"] = str(failure)
            logger.warning("Could not put an event into the dead-letter queue", extra=context)
            self.again.add(one.message_id)
            return
        logger.error("An event cannot be stored and is in the dead-letter queue", extra=context)
        metrics.add_metric("EventsFailed", MetricUnit.Count, 1)


def _may_be_of_an_event(error: StorageError) -> bool:
    if error.reason == UNREACHABLE.reason:
        # A gateway that cannot reach its server says so with another status.
        return error.log_context.get("storage_status") == HTTPStatus.INTERNAL_SERVER_ERROR
    return error.reason in PERHAPS_OF_THE_EVENT


def _is_too_much(error: StorageError, arrived: Sequence[_Arrived]) -> bool:
    """Whether a smaller batch may succeed where this one never does."""
    is_slow = error.log_context.get("storage_code") in TOO_MUCH
    return is_slow and min(one.attempt for one in arrived) >= ATTEMPTS_IN_DOUBT


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
