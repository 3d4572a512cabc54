"""POST /api/instagram/exchange-token: a login at Meta becomes stored Instagram accounts.

The accounts of a login are stored in one transaction, a code has one outcome however often it is sent, and an error
says who must act. Never logs the code, a token or the body.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from aws_lambda_powertools.utilities.typing import LambdaContext

from instagram_connect.api import routing
from instagram_connect.api.schemas import Connection, DeferredConnection, ExchangeTokenRequest, TokenLogin
from instagram_connect.connections.account_list import AccountList
from instagram_connect.connections.connect import ConnectionFlow, PendingConnection, Request
from instagram_connect.connections.connect_once import ConnectOnce, LoginCode
from instagram_connect.connections.login_records import LoginRecords
from instagram_connect.connections.parking import Parking
from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import AccountDisconnectedError
from instagram_connect.meta import graph
from instagram_connect.meta.products import LoginProducts, MetaSettings
from instagram_connect.models import Account
from instagram_connect.runtime import settings
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.observability import logger, metrics, sends_error_reports
from instagram_connect.security.identity import IdentityVerifier
from instagram_connect.security.oauth_state import StateSigner
from instagram_connect.security.token_vault import TokenVault
from instagram_connect.storage.data_api import DataApi


@dataclass(frozen=True)
class Settings:
    """What the template gives this function."""

    allowed_origins: tuple[str, ...]
    oauth_redirect_uris: tuple[str, ...]
    is_state_required: bool
    supabase_url: str
    meta: MetaSettings
    login_records_table: str
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
            oauth_redirect_uris=settings.required_list(environment, "OAUTH_REDIRECT_URIS"),
            is_state_required=settings.required(environment, "REQUIRE_STATE") == "true",
            supabase_url=settings.required(environment, "SUPABASE_URL"),
            meta=MetaSettings.from_env(environment),
            login_records_table=settings.required(environment, "LOGIN_RECORDS_TABLE"),
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
    connections: ConnectOnce


@cache
def dependencies() -> Dependencies:
    """Built at the first request and kept while the sandbox lives. Raises ConfigurationError."""
    config = Settings.from_env(os.environ)
    storage = settings.load_secrets(config.supabase_secret_name)
    signing = settings.load_secrets(config.signing_secret_name)
    app_secrets = settings.load_secrets(config.meta_secret_name)
    vault = TokenVault(config.token_key_arn)
    records = LoginRecords(config.login_records_table, vault, utc_now)
    data_api = DataApi(config.supabase_url, storage.required("supabase_secret_key"))
    repository = ConnectionRepository(data_api, storage.optional("database_url"))
    parking = Parking(config.parking_queue_url, config.parked_connections_table, utc_now)
    return Dependencies(
        identity=IdentityVerifier.of_project(config.supabase_url, signing.optional("supabase_jwt_secret")),
        connections=ConnectOnce(
            products=LoginProducts(config.meta, app_secrets, graph.GraphClient(graph.http_client()), utc_now),
            states=StateSigner(signing.required("state_signing_key"), utc_now),
            records=records,
            flow=ConnectionFlow(vault, repository, parking, utc_now),
            repository=repository,
            account_list=AccountList(repository, parking),
            redirect_uris=config.oauth_redirect_uris,
            is_state_required=config.is_state_required,
        ),
    )


def build_api(allowed_origins: tuple[str, ...], dependencies: Callable[[], Dependencies]) -> APIGatewayRestResolver:
    """The route, with everything it needs passed in."""
    api = routing.create_api(allowed_origins)

    @api.post("/api/instagram/exchange-token")
    def exchange_token() -> Response[dict[str, Any]]:
        event = api.current_event
        deps = dependencies()
        user = deps.identity.identify(event.headers.get("Authorization"))
        body = routing.parse_body(event, ExchangeTokenRequest)
        request = Request(user.id, routing.request_id(event), routing.deadline(api))
        if isinstance(body, TokenLogin):
            connected = deps.connections.with_token(body.provider, body.access_token, request)
        else:
            login = LoginCode(body.code, body.redirect_uri, body.provider, body.state)
            connected = deps.connections.with_code(login, request, api.lambda_context)
        return _render(event, connected)

    return api


def _render(event: APIGatewayProxyEvent, connected: Sequence[Account] | PendingConnection) -> Response[dict[str, Any]]:
    if isinstance(connected, PendingConnection):
        return routing.deferred(event, DeferredConnection(accounts=connected.accounts))
    first = next((account for account in connected if account.status != "disconnected"), None)
    if first is None:
        raise AccountDisconnectedError
    return routing.success(event, Connection(business_account_id=str(first.id), accounts=tuple(connected)))


@cache
def _api() -> APIGatewayRestResolver:
    return build_api(settings.required_list(os.environ, "ALLOWED_ORIGINS"), dependencies)


@sends_error_reports
@logger.inject_lambda_context(log_event=False, correlation_id_path="requestContext.requestId", clear_state=True)
@metrics.log_metrics(raise_on_empty_metrics=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point of the Lambda: an API Gateway proxy event in, its answer out."""
    return _api().resolve(event, context)
