"""POST /api/instagram/refresh-token: refreshes one of the caller's own accounts.

One request refreshes the account; concurrent ones wait for its result. Never logs a token.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import TypeAdapter

from instagram_connect.api import routing
from instagram_connect.api.schemas import RefreshedAccount, RefreshTokenRequest
from instagram_connect.meta.products import MetaSettings
from instagram_connect.outbox.publisher import EventPublisher
from instagram_connect.outbox.repository import OutboxRepository
from instagram_connect.refresh.batch import RefreshBatch
from instagram_connect.refresh.on_demand import RefreshOnDemand
from instagram_connect.refresh.queue import RefreshQueue
from instagram_connect.refresh.repository import RefreshRepository, RefreshRules
from instagram_connect.runtime import settings
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.observability import logger, metrics, sends_error_reports
from instagram_connect.security.identity import IdentityVerifier
from instagram_connect.security.token_vault import TokenVault
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs

REQUEST = TypeAdapter(RefreshTokenRequest)
# API Gateway gives up after 29 seconds, which a cold start is part of.
ANSWERING_S = 21.0


@dataclass(frozen=True)
class Settings:
    """What the template gives this function."""

    allowed_origins: tuple[str, ...]
    supabase_url: str
    meta: MetaSettings
    refresh_lead_days: float
    refresh_queue_url: str
    event_bus_name: str
    token_key_arn: str
    meta_secret_name: str
    supabase_secret_name: str
    signing_secret_name: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises ConfigurationError."""
        return cls(
            allowed_origins=settings.required_list(environment, "ALLOWED_ORIGINS"),
            supabase_url=settings.required(environment, "SUPABASE_URL"),
            meta=MetaSettings.from_env(environment),
            refresh_lead_days=float(settings.required(environment, "REFRESH_LEAD_DAYS")),
            refresh_queue_url=settings.required(environment, "REFRESH_QUEUE_URL"),
            event_bus_name=settings.required(environment, "EVENT_BUS_NAME"),
            token_key_arn=settings.required(environment, "TOKEN_KEY_ARN"),
            meta_secret_name=settings.required(environment, "META_SECRET_NAME"),
            supabase_secret_name=settings.required(environment, "SUPABASE_SECRET_NAME"),
            signing_secret_name=settings.required(environment, "SIGNING_SECRET_NAME"),
        )


@dataclass(frozen=True)
class Dependencies:
    """What one request needs of the outside world."""

    identity: IdentityVerifier
    on_demand: RefreshOnDemand


@cache
def dependencies() -> Dependencies:
    """Built at the first request and kept while the sandbox lives. Raises ConfigurationError."""
    config = Settings.from_env(os.environ)
    storage = settings.load_secrets(config.supabase_secret_name)
    signing = settings.load_secrets(config.signing_secret_name)
    rpcs = Rpcs(DataApi(config.supabase_url, storage.required("supabase_secret_key")), storage.optional("database_url"))
    repository = RefreshRepository(rpcs, utc_now, RefreshRules.with_lead_of(config.refresh_lead_days))

    @cache
    def batch() -> RefreshBatch:
        # Not every request gets as far as Meta.
        return RefreshBatch.of_deployment(
            config.meta,
            settings.load_secrets(config.meta_secret_name),
            TokenVault(config.token_key_arn),
            repository,
            RefreshQueue(config.refresh_queue_url),
            EventPublisher(config.event_bus_name, OutboxRepository(rpcs, utc_now)),
        )

    return Dependencies(
        identity=IdentityVerifier.of_project(config.supabase_url, signing.optional("supabase_jwt_secret")),
        on_demand=RefreshOnDemand(batch, repository),
    )


def build_api(allowed_origins: tuple[str, ...], dependencies: Callable[[], Dependencies]) -> APIGatewayRestResolver:
    """The route, with everything it needs passed in."""
    api = routing.create_api(allowed_origins)

    @api.post("/api/instagram/refresh-token")
    def refresh_token() -> Response[dict[str, Any]]:
        event = api.current_event
        deadline = routing.deadline(api).within(ANSWERING_S)
        deps = dependencies()
        user = deps.identity.identify(event.headers.get("Authorization"))
        body = routing.parse_body(event, REQUEST)
        account = deps.on_demand.refresh(
            routing.row_id(body.business_account_id),
            user_id=user.id,
            deadline=deadline,
        )
        return routing.success(event, RefreshedAccount(account=account))

    return api


@cache
def _api() -> APIGatewayRestResolver:
    return build_api(settings.required_list(os.environ, "ALLOWED_ORIGINS"), dependencies)


@sends_error_reports
@logger.inject_lambda_context(log_event=False, correlation_id_path="requestContext.requestId", clear_state=True)
@metrics.log_metrics(raise_on_empty_metrics=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point of the Lambda: an API Gateway proxy event in, its answer out."""
    return _api().resolve(event, context)
