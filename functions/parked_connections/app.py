"""Messages of the queue of parked connections: completes connections that had to wait for storage or for Meta.

Promises that a connection that cannot be completed yet comes again within minutes, for as long as the queue lets it,
and then waits in the dead-letter queue. Never logs a message's body: it holds the tokens' ciphertexts.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from instagram_connect.connections.complete_parked import ParkedConnectionFlow
from instagram_connect.connections.connect import ConnectionFlow
from instagram_connect.connections.parking import Parking, read_message
from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import InstagramConnectError, MetaActionBlockedError, MetaRateLimitedError
from instagram_connect.meta import graph
from instagram_connect.meta.products import LoginProducts, MetaSettings
from instagram_connect.runtime import settings
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics, sends_error_reports, stack_of
from instagram_connect.security.token_vault import TokenVault
from instagram_connect.storage.data_api import DataApi

RESERVED_FOR_ANSWERING_S = 6.0  # choosing when the message comes again takes 4 s at worst
# A quarter of the outage so far, so that the wait after it is no longer than that; within what its user would wait.
LEAST_WAIT_S = 15
MOST_WAIT_S = 120
# Where Meta wants to be left alone, asking earlier lengthens it; the token of a parked login lives an hour or two.
MOST_WAIT_FOR_META_S = 3600


@dataclass(frozen=True)
class Settings:
    """What the template gives this function."""

    supabase_url: str
    meta: MetaSettings
    parked_connections_table: str
    parking_queue_url: str
    token_key_arn: str
    meta_secret_name: str
    supabase_secret_name: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises ConfigurationError."""
        return cls(
            supabase_url=settings.required(environment, "SUPABASE_URL"),
            meta=MetaSettings.from_env(environment),
            parked_connections_table=settings.required(environment, "PARKED_CONNECTIONS_TABLE"),
            parking_queue_url=settings.required(environment, "PARKING_QUEUE_URL"),
            token_key_arn=settings.required(environment, "TOKEN_KEY_ARN"),
            meta_secret_name=settings.required(environment, "META_SECRET_NAME"),
            supabase_secret_name=settings.required(environment, "SUPABASE_SECRET_NAME"),
        )


@dataclass(frozen=True)
class Dependencies:
    """What one message needs of the outside world."""

    late: ParkedConnectionFlow
    parking: Parking
    time: Callable[[], float] = time.time


@cache
def dependencies() -> Dependencies:
    """Built at the first message and kept while the sandbox lives. Raises ConfigurationError."""
    config = Settings.from_env(os.environ)
    storage = settings.load_secrets(config.supabase_secret_name)
    app_secrets = settings.load_secrets(config.meta_secret_name)
    vault = TokenVault(config.token_key_arn)
    data_api = DataApi(config.supabase_url, storage.required("supabase_secret_key"))
    repository = ConnectionRepository(data_api, storage.optional("database_url"))
    parking = Parking(config.parking_queue_url, config.parked_connections_table, utc_now)
    return Dependencies(
        late=ParkedConnectionFlow(
            products=LoginProducts(config.meta, app_secrets, graph.GraphClient(graph.http_client()), utc_now),
            vault=vault,
            repository=repository,
            parking=parking,
            flow=ConnectionFlow(vault, repository, parking, utc_now, comes_again=True),
            now=utc_now,
        ),
        parking=parking,
    )


def complete(record: SQSRecord, deps: Callable[[], Dependencies], deadline: Deadline) -> None:
    """Completes what a message holds. Raises when it has to come again, after choosing when."""
    try:
        parked = read_message(record.body)
        deps().late.complete(parked, deadline)
    except InstagramConnectError as error:
        logger.warning(
            "A parked connection has to wait",
            extra={"code": error.code, "reason": error.reason, **error.log_context},
        )
        # Where a setting is what is missing, this raises it once more, and the message comes when the queue lets it.
        _postpone(record, error, deps())
        raise
    except Exception as error:
        logger.error("A message could not be handled", extra={"cause": type(error).__name__, "stack": stack_of(error)})
        raise


def handle(
    event: dict[str, Any], context: LambdaContext, deps: Callable[[], Dependencies]
) -> PartialItemFailureResponse:
    """Completes the messages of an SQS event; answers which of them have to come again."""
    deadline = Deadline(context.get_remaining_time_in_millis() / 1000 - RESERVED_FOR_ANSWERING_S)
    return process_partial_response(
        event=event,
        record_handler=partial(complete, deps=deps, deadline=deadline),
        processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
        context=context,
    )


def _postpone(record: SQSRecord, error: InstagramConnectError, deps: Dependencies) -> None:
    wait_s = _wait_s(record, deps.time())
    if isinstance(error, MetaRateLimitedError | MetaActionBlockedError):
        wait_s = min(error.retry_after_s or MOST_WAIT_FOR_META_S, MOST_WAIT_FOR_META_S)
    metrics.add_metric("ConnectionsPostponed", MetricUnit.Count, 1)
    deps.parking.postpone(record.receipt_handle, wait_s)


def _wait_s(record: SQSRecord, now: float) -> int:
    waited_s = now - int(record.attributes.sent_timestamp or 0) / 1000
    return round(min(max(waited_s / 4, LEAST_WAIT_S), MOST_WAIT_S))


@sends_error_reports
@logger.inject_lambda_context(log_event=False, clear_state=True)
@metrics.log_metrics(raise_on_empty_metrics=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Entry point of the Lambda: an SQS event in; which messages have to come again out."""
    return handle(event, context, dependencies)
