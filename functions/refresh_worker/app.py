"""Messages of the refresh queue: refreshes the accounts that a sweep claimed, and stores what was refreshed in vain.

Promises that one account never holds up the others, that nothing is written for an account whose lease is lost, and
that a message may come again: what is done already is left out. Never logs a message's body or a token.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from instagram_connect.errors import InstagramConnectError
from instagram_connect.meta.products import MetaSettings
from instagram_connect.outbox.publisher import EventPublisher
from instagram_connect.outbox.repository import OutboxRepository
from instagram_connect.refresh.batch import RefreshBatch
from instagram_connect.refresh.queue import ClaimedBatch, RefreshQueue, UnstoredRefresh, read_message
from instagram_connect.refresh.repository import RefreshRepository, RefreshRules
from instagram_connect.runtime import settings
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics, sends_error_reports, stack_of
from instagram_connect.security.token_vault import TokenVault
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs

RESERVED_FOR_RETURNING_S = 2.0


@dataclass(frozen=True)
class Settings:
    """What the template gives this function."""

    supabase_url: str
    meta: MetaSettings
    refresh_lead_days: float
    refresh_queue_url: str
    refresh_dead_letter_queue_url: str
    event_bus_name: str
    token_key_arn: str
    meta_secret_name: str
    supabase_secret_name: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises ConfigurationError."""
        return cls(
            supabase_url=settings.required(environment, "SUPABASE_URL"),
            meta=MetaSettings.from_env(environment),
            refresh_lead_days=float(settings.required(environment, "REFRESH_LEAD_DAYS")),
            refresh_queue_url=settings.required(environment, "REFRESH_QUEUE_URL"),
            refresh_dead_letter_queue_url=settings.required(environment, "REFRESH_DEAD_LETTER_QUEUE_URL"),
            event_bus_name=settings.required(environment, "EVENT_BUS_NAME"),
            token_key_arn=settings.required(environment, "TOKEN_KEY_ARN"),
            meta_secret_name=settings.required(environment, "META_SECRET_NAME"),
            supabase_secret_name=settings.required(environment, "SUPABASE_SECRET_NAME"),
        )


@cache
def dependencies() -> RefreshBatch:
    """Built at the first message and kept while the sandbox lives. Raises ConfigurationError."""
    config = Settings.from_env(os.environ)
    storage = settings.load_secrets(config.supabase_secret_name)
    data_api = DataApi(config.supabase_url, storage.required("supabase_secret_key"))
    rpcs = Rpcs(data_api, storage.optional("database_url"))
    return RefreshBatch.of_deployment(
        config.meta,
        settings.load_secrets(config.meta_secret_name),
        TokenVault(config.token_key_arn),
        RefreshRepository(rpcs, utc_now, RefreshRules.with_lead_of(config.refresh_lead_days)),
        RefreshQueue(config.refresh_queue_url, config.refresh_dead_letter_queue_url),
        EventPublisher(config.event_bus_name, OutboxRepository(rpcs, utc_now)),
    )


def work(record: SQSRecord, deps: Callable[[], RefreshBatch], deadline: Deadline) -> None:
    """Does what a message asks for. Raises when it has to come again."""
    try:
        message = read_message(record.body)
        if isinstance(message, ClaimedBatch):
            deps().work(message.owner, message.claims, deadline)
        elif isinstance(message, UnstoredRefresh):
            if deps().repository.finish(message.payload, deadline) is None:
                logger.warning("A refreshed token came too late: something newer is stored, or the connection ended")
        else:
            # Out of the dead-letter queue, moved back by an operator: the next sweep has the account anyway.
            logger.info("Left an account to the next sweep", account_id=message.account_id)
    except InstagramConnectError as error:
        logger.warning(
            "A message of the refresh queue has to wait",
            extra={"code": error.code, "reason": error.reason, **error.log_context},
        )
        raise
    except Exception as error:
        logger.error("A message could not be handled", extra={"cause": type(error).__name__, "stack": stack_of(error)})
        raise


def handle(
    event: dict[str, Any], context: LambdaContext, deps: Callable[[], RefreshBatch]
) -> PartialItemFailureResponse:
    """Works through the messages of an SQS event; answers which of them have to come again."""
    deadline = Deadline(context.get_remaining_time_in_millis() / 1000 - RESERVED_FOR_RETURNING_S)
    return process_partial_response(
        event=event,
        record_handler=partial(work, deps=deps, deadline=deadline),
        processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
        context=context,
    )


@sends_error_reports
@logger.inject_lambda_context(log_event=False, clear_state=True)
@metrics.log_metrics(raise_on_empty_metrics=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Entry point of the Lambda: an SQS event in; which messages have to come again out."""
    return handle(event, context, dependencies)
