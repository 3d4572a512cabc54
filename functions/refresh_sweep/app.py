"""The hourly schedule: hands accounts that are due for a refresh to the workers.

Asks Meta nothing and opens no token. Two sweeps at once never hand on the same account.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from instagram_connect.outbox.publisher import EventPublisher
from instagram_connect.outbox.repository import OutboxRepository
from instagram_connect.refresh.queue import RefreshQueue
from instagram_connect.refresh.repository import RefreshRepository, RefreshRules
from instagram_connect.refresh.sweep import RefreshSweep
from instagram_connect.runtime import settings
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics, sends_error_reports
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs

RESERVED_FOR_RETURNING_S = 1.0


@dataclass(frozen=True)
class Settings:
    """What the template gives this function."""

    supabase_url: str
    refresh_lead_days: float
    refresh_queue_url: str
    event_bus_name: str
    supabase_secret_name: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises ConfigurationError."""
        return cls(
            supabase_url=settings.required(environment, "SUPABASE_URL"),
            refresh_lead_days=float(settings.required(environment, "REFRESH_LEAD_DAYS")),
            refresh_queue_url=settings.required(environment, "REFRESH_QUEUE_URL"),
            event_bus_name=settings.required(environment, "EVENT_BUS_NAME"),
            supabase_secret_name=settings.required(environment, "SUPABASE_SECRET_NAME"),
        )


@cache
def dependencies() -> RefreshSweep:
    """Built at the first event and kept while the sandbox lives. Raises ConfigurationError."""
    config = Settings.from_env(os.environ)
    secrets = settings.load_secrets(config.supabase_secret_name)
    rpcs = Rpcs(DataApi(config.supabase_url, secrets.required("supabase_secret_key")), secrets.optional("database_url"))
    return RefreshSweep(
        repository=RefreshRepository(rpcs, utc_now, RefreshRules.with_lead_of(config.refresh_lead_days)),
        queue=RefreshQueue(config.refresh_queue_url),
        events=EventPublisher(config.event_bus_name, OutboxRepository(rpcs, utc_now)),
    )


def handle(sweep: RefreshSweep, deadline: Deadline) -> dict[str, Any]:
    """Sweep once; how many accounts the workers got. Raises StorageError: a sweep that fails has to show."""
    return {"accounts": sweep.run(deadline)}


@sends_error_reports
@logger.inject_lambda_context(log_event=False, clear_state=True)
@metrics.log_metrics(raise_on_empty_metrics=False)
def lambda_handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point of the Lambda: the schedule's event in, the number of accounts out."""
    deadline = Deadline(context.get_remaining_time_in_millis() / 1000 - RESERVED_FOR_RETURNING_S)
    return handle(dependencies(), deadline)
