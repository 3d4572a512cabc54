"""POST /api/instagram/exchange-token: a frontend's Facebook Login code becomes stored Instagram accounts.

Promises one transaction for all accounts of a login, and an error that says who must act. Never logs the code, a
token or the body.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal

import httpx
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import StringConstraints

from instagram_connect import api_gateway, data_api, settings
from instagram_connect.connection_flow import ConnectionFlow
from instagram_connect.deadline import Deadline
from instagram_connect.errors import RedirectUriNotAllowedError
from instagram_connect.identity import IdentityVerifier, SigningKeys
from instagram_connect.meta import graph
from instagram_connect.meta.facebook_login import FacebookApp, FacebookLogin
from instagram_connect.observability import logger, metrics
from instagram_connect.repository import ConnectionRepository
from instagram_connect.token_vault import TokenVault

# The answer itself, its log lines and metrics.
RESERVED_FOR_ANSWERING_S = 0.5


class ExchangeTokenRequest(api_gateway.RequestBody):
    """`state` is the frontend's own check so far, and is accepted so that it may send what Meta gave back."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    redirect_uri: Annotated[str, StringConstraints(min_length=1, max_length=2048)]
    provider: Literal["facebook"] = "facebook"
    state: Annotated[str, StringConstraints(max_length=4096)] | None = None


@dataclass(frozen=True)
class Dependencies:
    """What one request needs of the outside world."""

    identity: IdentityVerifier
    flow: ConnectionFlow
    redirect_uris: tuple[str, ...]


@cache
def dependencies() -> Dependencies:
    """Built at the first request and kept while the sandbox lives. Raises ConfigurationError."""
    secrets = settings.load_secrets()
    supabase_url = settings.required("SUPABASE_URL")
    app = FacebookApp(
        app_id=settings.required("FACEBOOK_APP_ID"),
        app_secret=secrets.required("facebook_app_secret"),
        graph_url=settings.required("FACEBOOK_GRAPH_URL").rstrip("/"),
        graph_version=settings.required("GRAPH_VERSION"),
    )

    def now() -> datetime:
        return datetime.now(UTC)

    keys = SigningKeys(f"{supabase_url.rstrip('/')}/auth/v1/.well-known/jwks.json", httpx.Client())
    return Dependencies(
        identity=IdentityVerifier(keys, secrets.optional("supabase_jwt_secret")),
        flow=ConnectionFlow(
            product=FacebookLogin(app, graph.GraphClient(graph.http_client()), now),
            vault=TokenVault(settings.required("TOKEN_KEY_ARN")),
            repository=ConnectionRepository(data_api.connect(supabase_url, secrets.required("supabase_secret_key"))),
            now=now,
        ),
        redirect_uris=settings.required_list("OAUTH_REDIRECT_URIS"),
    )


def build_api(allowed_origins: tuple[str, ...], dependencies: Callable[[], Dependencies]) -> APIGatewayRestResolver:
    """The route, with everything it needs passed in."""
    api = api_gateway.create_api(allowed_origins)

    @api.post("/api/instagram/exchange-token")
    def exchange_token() -> Response[dict[str, Any]]:
        event = api.current_event
        deps = dependencies()
        caller = deps.identity.identify(event.headers.get("Authorization"))
        body = api_gateway.parse_body(event, ExchangeTokenRequest)
        if body.redirect_uri not in deps.redirect_uris:
            raise RedirectUriNotAllowedError
        remaining_s = api.lambda_context.get_remaining_time_in_millis() / 1000
        accounts = deps.flow.connect(
            body.code.removesuffix("#_"),  # Meta appends the fragment; frontends forward it
            body.redirect_uri,
            user_id=caller.user_id,
            request_id=api_gateway.request_id(event),
            deadline=Deadline(remaining_s - RESERVED_FOR_ANSWERING_S),
        )
        views = [account.public_view() for account in accounts]
        return api_gateway.success(event, {"businessAccountId": views[0]["id"], "accounts": views})

    return api


@cache
def _api() -> APIGatewayRestResolver:
    return build_api(settings.required_list("ALLOWED_ORIGINS"), dependencies)


@logger.inject_lambda_context(log_event=False, correlation_id_path="requestContext.requestId", clear_state=True)
@metrics.log_metrics(raise_on_empty_metrics=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point of the Lambda: an API Gateway proxy event in, its answer out."""
    return _api().resolve(event, context)
