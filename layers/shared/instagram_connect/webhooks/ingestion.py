"""Turns queued webhooks into stored and published events.

A message is done once each of its events is stored or in the dead-letter queue with a reason. An event that the
database rejects is isolated by halving the batch, so that it does not block the others. After any other failure the
whole message is delivered again, and the events already stored are recognised as duplicates.
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

# The most events in one POST from Meta; storing them takes a fraction of a second.
EVENTS_PER_TRANSACTION = 1000
# Caused by the event itself; retrying cannot help.
EVENT_ERRORS = {REJECTED.reason, DATABASE_DEFECT.reason, REQUEST_REJECTED.reason}
# Possibly caused by the event. Not every Data API distinguishes a server error from a rejected row.
POSSIBLE_EVENT_ERRORS = {DATABASE_FAILED.reason, UNEXPECTED.reason}
# Codes of a batch that took the database too long.
TIMEOUT_CODES = {"TIMEOUT", "57014"}
# If the cause is unclear, give up only after this many attempts, minutes apart.
ATTEMPTS_IF_UNSURE = 3
# If more than this are rejected and none is stored, the schema is at fault, not the events.
MAX_REFUSED = 20
# Do not start a call without time for its response.
MIN_ATTEMPT_S = 2.0


@dataclass(frozen=True)
class QueuedWebhook:
    """An SQS message: its id, body, `encoding` attribute and receive count."""

    id: str
    message: str
    encoding: str | None = None
    attempt: int = 1


@dataclass(frozen=True)
class _Received:
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
        """Store all events of the messages; return the ids of messages to deliver again. Never raises."""
        received = [_Received(event, webhook.id, webhook.attempt) for webhook in webhooks for event in _events(webhook)]
        this_round = _Round(self.repository, self.dead_letters, deadline)
        for start in range(0, len(received), EVENTS_PER_TRANSACTION):
            this_round.store(received[start : start + EVENTS_PER_TRANSACTION])
        this_round.finish()
        # After all are stored: stored events can still be published later.
        for stored in this_round.stored:
            self._publish(stored, deadline)
        if this_round.to_retry:
            metrics.add_metric("WebhooksPostponed", MetricUnit.Count, len(this_round.to_retry))
        return this_round.to_retry

    def _publish(self, stored: Stored, deadline: Deadline) -> None:
        try:
            if stored.outgoing:
                self.bus.publish(stored.outgoing, deadline)
            if stored.duplicate:
                # Perhaps redelivered because a worker died after storing and before publishing.
                self.bus.publish_pending(deadline)
        except StorageError as error:
            # They stay in the outbox and are published within minutes.
            logger.warning("Could not publish events", extra={"code": error.code, **error.log_context})
        except Exception as error:  # noqa: BLE001 - the same
            logger.error("Could not publish events", extra=_log_context(error))


@dataclass
class _Round:
    """The state of one invocation: what was stored, and which messages must be delivered again."""

    repository: WebhookRepository
    dead_letters: WebhookQueue
    deadline: Deadline
    stored: list[Stored] = field(default_factory=list)
    to_retry: set[str] = field(default_factory=set)
    refused: list[tuple[_Received, StorageError]] = field(default_factory=list)

    def store(self, received: Sequence[_Received]) -> None:
        """Store a batch, or as much of it as storage accepts. Never raises."""
        try:
            self._store(received)
        except Exception as error:  # noqa: BLE001 - the other events need not be delivered again
            logger.error("Could not store events", extra=_log_context(error))
            self.to_retry |= {one.message_id for one in received}

    def finish(self) -> None:
        """Send rejected events to the dead-letter queue, unless storage rejected everything."""
        if len(self.refused) > MAX_REFUSED and not self.stored:
            logger.error("Storage rejects all events; retrying later", extra={"events": len(self.refused)})
            self.to_retry |= {one.message_id for one, _ in self.refused}
            return
        for one, error in self.refused:
            self._send_to_dead_letters(one, error)

    def _store(self, received: Sequence[_Received]) -> None:
        events = [one.event for one in received]
        if self.deadline.remaining_s() < MIN_ATTEMPT_S:
            self.to_retry |= {one.message_id for one in received}
            return
        try:
            stored = self.repository.store(events, self.deadline)
        except StorageError as error:
            is_event_at_fault = self._is_event_at_fault(error)
            if len(received) > 1 and (is_event_at_fault or _is_too_large(error, received)):
                middle = len(received) // 2
                self._store(received[:middle])
                self._store(received[middle:])
            elif is_event_at_fault and (error.reason in EVENT_ERRORS or received[0].attempt >= ATTEMPTS_IF_UNSURE):
                self.refused.append((received[0], error))
            else:
                context = {"code": error.code, "reason": error.reason, **error.log_context}
                logger.warning("Could not store events; retrying later", extra={"events": len(events), **context})
                self.to_retry |= {one.message_id for one in received}
            return
        self.stored.append(stored)
        _count(len(events), stored)

    def _is_event_at_fault(self, error: StorageError) -> bool:
        if error.reason in EVENT_ERRORS:
            return True
        if not _may_be_event_at_fault(error):
            return False
        try:
            self.repository.store((), self.deadline)
        except StorageError:
            return False
        return True  # storage works, so the events are at fault

    def _send_to_dead_letters(self, one: _Received, error: StorageError) -> None:
        context = {"event_kind": one.event.kind, "code": error.code, "reason": error.reason, **error.log_context}
        details = error.log_context
        code = details.get("storage_code") or (
            f"HTTP {details['storage_status']}" if "storage_status" in details else ""
        )
        reason = f"{error.reason} {code}".strip()
        try:
            self.dead_letters.send_to_dead_letters(parser.original(one.event.payload), reason)
            self.repository.note_failed([one.event], self.deadline)
        except (QueueError, StorageError) as failure:
            context["cause"] = str(failure)
            logger.warning("Could not put an event into the dead-letter queue", extra=context)
            self.to_retry.add(one.message_id)
            return
        logger.error("Sent an event that cannot be stored to the dead-letter queue", extra=context)
        metrics.add_metric("EventsFailed", MetricUnit.Count, 1)


def _may_be_event_at_fault(error: StorageError) -> bool:
    if error.reason == UNREACHABLE.reason:
        # A gateway that cannot reach its server returns another status.
        return error.log_context.get("storage_status") == HTTPStatus.INTERNAL_SERVER_ERROR
    return error.reason in POSSIBLE_EVENT_ERRORS


def _is_too_large(error: StorageError, received: Sequence[_Received]) -> bool:
    """Whether the batch timed out so often that a smaller one should be tried."""
    is_slow = error.log_context.get("storage_code") in TIMEOUT_CODES
    return is_slow and min(one.attempt for one in received) >= ATTEMPTS_IF_UNSURE


def _events(webhook: QueuedWebhook) -> Sequence[WebhookEvent]:
    body = webhook.message.encode()
    try:
        body = queue.body_of(webhook.message, webhook.encoding)
        return parser.parse(body)
    except Exception as error:  # noqa: BLE001 - a parser bug must not lose an event
        logger.error("Could not parse a webhook", extra=_log_context(error))
        return [parser.unreadable(body)]


def _log_context(error: Exception) -> dict[str, object]:
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
