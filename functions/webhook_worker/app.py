"""Messages of the webhook queue: Meta's events into storage and onto the event bus.

Promises that a message is only done once each of its events is stored, that no event is stored or counted twice, and
that one that cannot be stored holds up no other. Never logs a message's body: people wrote it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from instagram_connect.outbox.publisher import EventPublisher
from instagram_connect.outbox.repository import OutboxRepository
from instagram_connect.runtime import settings
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics, sends_error_reports
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs
from instagram_connect.webhooks import queue
from instagram_connect.webhooks.ingestion import Ingestion, QueuedWebhook
from instagram_connect.webhooks.queue import WebhookQueue
from instagram_connect.webhooks.repository import WebhookRepository

RESERVED_FOR_RETURNING_S = 2.0


@dataclass(frozen=True)
class Settings:
    """What the template gives this function."""

    supabase_url: str
    webhook_dead_letter_queue_url: str
    event_bus_name: str
    supabase_secret_name: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises ConfigurationError."""
        return cls(
            supabase_url=settings.required(environment, "SUPABASE_URL"),
            webhook_dead_letter_queue_url=settings.required(environment, "WEBHOOK_DEAD_LETTER_QUEUE_URL"),
            event_bus_name=settings.required(environment, "EVENT_BUS_NAME"),
            supabase_secret_name=settings.required(environment, "SUPABASE_SECRET_NAME"),
        )


@cache
def dependencies() -> Ingestion:
    """Built at the first event and kept while the sandbox lives. Raises ConfigurationError."""
    config = Settings.from_env(os.environ)
    secrets = settings.load_secrets(config.supabase_secret_name)
    data_api = DataApi(config.supabase_url, secrets.required("supabase_secret_key"))
    rpcs = Rpcs(data_api, secrets.optional("database_url"))
    return Ingestion(
        repository=WebhookRepository(rpcs, utc_now),
        bus=EventPublisher(config.event_bus_name, OutboxRepository(rpcs, utc_now)),
        dead_letters=WebhookQueue(config.webhook_dead_letter_queue_url),
    )


def handle(event: dict[str, Any], deadline: Deadline, ingestion: Ingestion) -> dict[str, Any]:
    """Ingest an SQS event; return which messages SQS has to deliver again."""
    again = ingestion.ingest(map(_queued, event["Records"]), deadline)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in sorted(again)]}


def _queued(record: dict[str, Any]) -> QueuedWebhook:
    attributes = {name: value.get("stringValue") for name, value in (record.get("messageAttributes") or {}).items()}
    attempt = int(record.get("attributes", {}).get("ApproximateReceiveCount", 1))
    return QueuedWebhook(record["messageId"], record["body"], attributes.get(queue.ENCODING), attempt)


@sends_error_reports
@logger.inject_lambda_context(log_event=False, clear_state=True)
@metrics.log_metrics(raise_on_empty_metrics=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point of the Lambda: an SQS event in, which messages have to come again out."""
    deadline = Deadline(context.get_remaining_time_in_millis() / 1000 - RESERVED_FOR_RETURNING_S)
    return handle(event, deadline, dependencies())
