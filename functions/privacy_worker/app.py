"""Messages of the privacy queue: carries out what people asked of Meta.

A request that cannot be carried out, or not in one go, stays in the queue and is delivered again, for as long as
storage is away. Never logs a message's body.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from instagram_connect.errors import InstagramConnectError
from instagram_connect.privacy import requests
from instagram_connect.privacy.repository import PrivacyRepository
from instagram_connect.runtime import settings
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics, sends_error_reports
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs

RESERVED_FOR_RETURNING_S = 2.0


@dataclass(frozen=True)
class Settings:
    """What the template gives this function."""

    supabase_url: str
    supabase_secret_name: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises ConfigurationError."""
        return cls(
            supabase_url=settings.required(environment, "SUPABASE_URL"),
            supabase_secret_name=settings.required(environment, "SUPABASE_SECRET_NAME"),
        )


@cache
def repository() -> PrivacyRepository:
    """Built at the first message and kept while the sandbox lives. Raises ConfigurationError."""
    config = Settings.from_env(os.environ)
    secrets = settings.load_secrets(config.supabase_secret_name)
    data_api = DataApi(config.supabase_url, secrets.required("supabase_secret_key"))
    return PrivacyRepository(Rpcs(data_api, secrets.optional("database_url")), utc_now)


def handle(event: dict[str, Any], repository: Callable[[], PrivacyRepository], deadline: Deadline) -> dict[str, Any]:
    """Carry out the requests of an SQS event; return which messages SQS has to deliver again."""
    again = []
    for record in event["Records"]:
        try:
            requests.carry_out(requests.read_message(record["body"]), repository(), deadline)
        except InstagramConnectError as error:
            context = {"code": error.code, "reason": error.reason, **error.log_context}
            logger.warning("A privacy request has to wait", extra=context)
            metrics.add_metric("PrivacyRequestsPostponed", MetricUnit.Count, 1)
            again.append(record["messageId"])
        except requests.UnfinishedError:
            logger.info("A deletion goes on with its next message")
            again.append(record["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in again]}


@sends_error_reports
@logger.inject_lambda_context(log_event=False, clear_state=True)
@metrics.log_metrics(raise_on_empty_metrics=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point of the Lambda: an SQS event in, which messages SQS has to deliver again out."""
    deadline = Deadline(context.get_remaining_time_in_millis() / 1000 - RESERVED_FOR_RETURNING_S)
    return handle(event, repository, deadline)
