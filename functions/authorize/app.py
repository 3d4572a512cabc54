"""POST /api/instagram/authorize: the address of Meta's login dialog, with a state bound to the caller.

Stores nothing and asks nobody: the state is signed. Never logs it.
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
from instagram_connect.api.schemas import Authorization, AuthorizeRequest
from instagram_connect.errors import RedirectUriNotAllowedError
from instagram_connect.meta import graph
from instagram_connect.meta.products import LoginProducts, MetaSettings
from instagram_connect.runtime import settings
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.observability import logger, metrics, sends_error_reports
from instagram_connect.security.identity import IdentityVerifier
from instagram_connect.security.oauth_state import StateSigner

REQUEST = TypeAdapter(AuthorizeRequest)


@dataclass(frozen=True)
class Settings:
    """What the template gives this function."""

    allowed_origins: tuple[str, ...]
    oauth_redirect_uris: tuple[str, ...]
    supabase_url: str
    meta: MetaSettings
    meta_secret_name: str
    signing_secret_name: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises ConfigurationError."""
        return cls(
            allowed_origins=settings.required_list(environment, "ALLOWED_ORIGINS"),
            oauth_redirect_uris=settings.required_list(environment, "OAUTH_REDIRECT_URIS"),
            supabase_url=settings.required(environment, "SUPABASE_URL"),
            meta=MetaSettings.from_env(environment),
            meta_secret_name=settings.required(environment, "META_SECRET_NAME"),
            signing_secret_name=settings.required(environment, "SIGNING_SECRET_NAME"),
        )


@dataclass(frozen=True)
class Dependencies:
    """What one request needs of the outside world."""

    identity: IdentityVerifier
    products: LoginProducts
    states: StateSigner
    redirect_uris: tuple[str, ...]


@cache
def dependencies() -> Dependencies:
    """Built at the first request and kept while the sandbox lives. Raises ConfigurationError."""
    config = Settings.from_env(os.environ)
    signing = settings.load_secrets(config.signing_secret_name)
    app_secrets = settings.load_secrets(config.meta_secret_name)
    return Dependencies(
        identity=IdentityVerifier.of_project(config.supabase_url, signing.optional("supabase_jwt_secret")),
        products=LoginProducts(config.meta, app_secrets, graph.GraphClient(graph.http_client()), utc_now),
        states=StateSigner(signing.required("state_signing_key"), utc_now),
        redirect_uris=config.oauth_redirect_uris,
    )


def build_api(allowed_origins: tuple[str, ...], dependencies: Callable[[], Dependencies]) -> APIGatewayRestResolver:
    """The route, with everything it needs passed in."""
    api = routing.create_api(allowed_origins)

    @api.post("/api/instagram/authorize")
    def authorize() -> Response[dict[str, Any]]:
        event = api.current_event
        deps = dependencies()
        user = deps.identity.identify(event.headers.get("Authorization"))
        body = routing.parse_body(event, REQUEST)
        if body.redirect_uri not in deps.redirect_uris:
            raise RedirectUriNotAllowedError
        text, state = deps.states.issue(user.id, body.provider, body.redirect_uri)
        address = deps.products[body.provider].login_url(body.redirect_uri, text, rerequest=body.rerequest)
        return routing.success(event, Authorization(authorize_url=address, state=text, expires_at=state.expires_at))

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
