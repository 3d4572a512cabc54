"""GET /api/instagram/accounts and DELETE /api/instagram/accounts/{id}: a user's accounts, and the end of one.

Promises that a disconnected account's tokens are gone, whatever Meta answers. Never logs a token.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from instagram_connect.api import routing, schemas
from instagram_connect.connections.account_list import AccountList
from instagram_connect.connections.disconnect import DisconnectionFlow
from instagram_connect.connections.parking import Parking
from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.meta import graph
from instagram_connect.meta.products import LoginProducts, MetaSettings
from instagram_connect.runtime import settings
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.observability import logger, metrics, sends_error_reports
from instagram_connect.security.identity import IdentityVerifier
from instagram_connect.security.token_vault import TokenVault
from instagram_connect.storage.data_api import DataApi


@dataclass(frozen=True)
class Settings:
    """What the template gives this function."""

    allowed_origins: tuple[str, ...]
    supabase_url: str
    meta: MetaSettings
    parked_connections_table: str
    parking_queue_url: str
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
            parked_connections_table=settings.required(environment, "PARKED_CONNECTIONS_TABLE"),
            parking_queue_url=settings.required(environment, "PARKING_QUEUE_URL"),
            token_key_arn=settings.required(environment, "TOKEN_KEY_ARN"),
            meta_secret_name=settings.required(environment, "META_SECRET_NAME"),
            supabase_secret_name=settings.required(environment, "SUPABASE_SECRET_NAME"),
            signing_secret_name=settings.required(environment, "SIGNING_SECRET_NAME"),
        )


@dataclass(frozen=True)
class Dependencies:
    """What one request needs of the outside world."""

    identity: IdentityVerifier
    account_list: AccountList
    disconnection: DisconnectionFlow


@cache
def dependencies() -> Dependencies:
    """Built at the first request and kept while the sandbox lives. Raises ConfigurationError."""
    config = Settings.from_env(os.environ)
    storage = settings.load_secrets(config.supabase_secret_name)
    signing = settings.load_secrets(config.signing_secret_name)
    app_secrets = settings.load_secrets(config.meta_secret_name)
    data_api = DataApi(config.supabase_url, storage.required("supabase_secret_key"))
    repository = ConnectionRepository(data_api, storage.optional("database_url"))
    parking = Parking(config.parking_queue_url, config.parked_connections_table, utc_now)
    return Dependencies(
        identity=IdentityVerifier.of_project(config.supabase_url, signing.optional("supabase_jwt_secret")),
        account_list=AccountList(repository, parking),
        disconnection=DisconnectionFlow(
            products=LoginProducts(config.meta, app_secrets, graph.GraphClient(graph.http_client()), utc_now),
            vault=TokenVault(config.token_key_arn),
            repository=repository,
        ),
    )


def build_api(allowed_origins: tuple[str, ...], dependencies: Callable[[], Dependencies]) -> APIGatewayRestResolver:
    """The routes, with everything they need passed in."""
    api = routing.create_api(allowed_origins)

    @api.get("/api/instagram/accounts")
    def list_accounts() -> Response[dict[str, Any]]:
        event = api.current_event
        deps = dependencies()
        user = deps.identity.identify(event.headers.get("Authorization"))
        found = deps.account_list.of(user.id, routing.deadline(api))
        unfinished = tuple(
            schemas.UnfinishedLogin(
                provider=login.provider,
                started_at=login.issued_at,
                status="needs_reauth" if login.code else "pending",
                code=login.code,
            )
            for login in found.logins
        )
        answer = schemas.Accounts(accounts=found.accounts, unfinished_logins=unfinished, complete=found.is_complete)
        return routing.success(event, answer)

    @api.delete("/api/instagram/accounts/<account_id>")
    def disconnect(account_id: str) -> Response[dict[str, Any]]:
        event = api.current_event
        deps = dependencies()
        user = deps.identity.identify(event.headers.get("Authorization"))
        done = deps.disconnection.disconnect(
            routing.row_id(account_id),
            user_id=user.id,
            request_id=routing.request_id(event),
            deadline=routing.deadline(api),
        )
        return routing.success(event, schemas.Disconnection(**vars(done)))

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
