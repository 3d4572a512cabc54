"""GET /api/health: can connections be stored right now?

Needs no sign-in, so it says no more than that, and asks storage at most once in a few seconds.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from instagram_connect.api import routing
from instagram_connect.api.schemas import Health
from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import StorageError
from instagram_connect.runtime import settings
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics, sends_error_reports
from instagram_connect.storage.data_api import DataApi

ANSWER_MAX_AGE_S = 5.0
CHECK_S = 8.0


@dataclass(frozen=True)
class Settings:
    """What the template gives this function."""

    allowed_origins: tuple[str, ...]
    supabase_url: str
    supabase_secret_name: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises ConfigurationError."""
        return cls(
            allowed_origins=settings.required_list(environment, "ALLOWED_ORIGINS"),
            supabase_url=settings.required(environment, "SUPABASE_URL"),
            supabase_secret_name=settings.required(environment, "SUPABASE_SECRET_NAME"),
        )


class StorageCheck:
    """Asks storage, and remembers the answer for a while: anybody may call this route as often as they like."""

    def __init__(
        self, repository: Callable[[], ConnectionRepository], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._repository = repository
        self._monotonic = monotonic
        self._checked_at: float | None = None
        self._failure: StorageError | None = None

    def raise_if_failing(self) -> None:
        """Raises StorageError while storage does not work; ConfigurationError."""
        if self._checked_at is None or self._monotonic() - self._checked_at > ANSWER_MAX_AGE_S:
            self._failure = self._ask()
            self._checked_at = self._monotonic()
        if self._failure is not None:
            raise self._failure

    def _ask(self) -> StorageError | None:
        try:
            self._repository().check(Deadline(CHECK_S))
        except StorageError as error:
            return error
        return None


@cache
def repository() -> ConnectionRepository:
    """Built at the first request and kept while the sandbox lives. Raises ConfigurationError."""
    config = Settings.from_env(os.environ)
    secrets = settings.load_secrets(config.supabase_secret_name)
    data_api = DataApi(config.supabase_url, secrets.required("supabase_secret_key"))
    return ConnectionRepository(data_api, secrets.optional("database_url"))


def build_api(allowed_origins: tuple[str, ...], storage: StorageCheck) -> APIGatewayRestResolver:
    """The route, with everything it needs passed in."""
    api = routing.create_api(allowed_origins)

    @api.get("/api/health")
    def health() -> Response[dict[str, Any]]:
        storage.raise_if_failing()
        return routing.success(api.current_event, Health())

    return api


@cache
def _api() -> APIGatewayRestResolver:
    return build_api(settings.required_list(os.environ, "ALLOWED_ORIGINS"), StorageCheck(repository))


@sends_error_reports
@logger.inject_lambda_context(log_event=False, correlation_id_path="requestContext.requestId", clear_state=True)
@metrics.log_metrics(raise_on_empty_metrics=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point of the Lambda: an API Gateway proxy event in, its answer out."""
    return _api().resolve(event, context)
