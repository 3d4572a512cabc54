"""POST /api/instagram/exchange-token: what a login at Meta gave a frontend becomes stored Instagram accounts.

Promises one transaction for all accounts of a login, one outcome for a code however often it is sent, and an error that
says who must act. Never logs the code, a token or the body.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from aws_lambda_powertools.utilities.typing import LambdaContext

from instagram_connect.api import routing
from instagram_connect.api.schemas import CodeLogin, Connection, DeferredConnection, ExchangeTokenRequest, TokenLogin
from instagram_connect.connections.account_list import AccountList
from instagram_connect.connections.connect import ConnectionFlow, PendingConnection, Request
from instagram_connect.connections.login_records import LoginKey, LoginRecords, Outcome
from instagram_connect.connections.parking import Parking
from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import (
    AccountDisconnectedError,
    AccountNotFoundError,
    Actor,
    InstagramConnectError,
    OAuthStateError,
    RedirectUriNotAllowedError,
    error_of,
)
from instagram_connect.meta import graph
from instagram_connect.meta.products import LoginProducts
from instagram_connect.models import Account, Provider
from instagram_connect.runtime import settings
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.observability import logger, metrics, sends_error_reports
from instagram_connect.security.identity import IdentityVerifier
from instagram_connect.security.oauth_state import StateSigner
from instagram_connect.security.token_vault import TokenVault
from instagram_connect.storage.data_api import DataApi

LEAST_TIME_BETWEEN_ATTEMPTS_S = 3.0


@dataclass(frozen=True)
class Dependencies:
    """What one request needs of the outside world."""

    identity: IdentityVerifier
    products: LoginProducts
    states: StateSigner
    records: LoginRecords
    flow: ConnectionFlow
    repository: ConnectionRepository
    account_list: AccountList
    redirect_uris: tuple[str, ...]
    is_state_required: bool


@cache
def dependencies() -> Dependencies:
    """Built at the first request and kept while the sandbox lives. Raises ConfigurationError."""
    secrets = settings.load_secrets()
    supabase_url = settings.required("SUPABASE_URL")
    vault = TokenVault(settings.required("TOKEN_KEY_ARN"))
    records = LoginRecords(settings.required("LOGIN_RECORDS_TABLE"), vault, utc_now)
    data_api = DataApi(supabase_url, secrets.required("supabase_secret_key"))
    repository = ConnectionRepository(data_api, secrets.optional("database_url"))
    parking = Parking(settings.required("PARKING_QUEUE_URL"), settings.required("PARKED_CONNECTIONS_TABLE"), utc_now)
    return Dependencies(
        identity=IdentityVerifier.of_project(supabase_url, secrets.optional("supabase_jwt_secret")),
        products=LoginProducts(secrets, graph.GraphClient(graph.http_client()), utc_now),
        states=StateSigner(secrets.required("state_signing_key"), utc_now),
        records=records,
        flow=ConnectionFlow(vault, repository, parking, utc_now),
        repository=repository,
        account_list=AccountList(repository, parking),
        redirect_uris=settings.required_list("OAUTH_REDIRECT_URIS"),
        is_state_required=settings.required("REQUIRE_STATE") == "true",
    )


def build_api(allowed_origins: tuple[str, ...], dependencies: Callable[[], Dependencies]) -> APIGatewayRestResolver:
    """The route, with everything it needs passed in."""
    api = routing.create_api(allowed_origins)

    @api.post("/api/instagram/exchange-token")
    def exchange_token() -> Response[dict[str, Any]]:
        event = api.current_event
        deps = dependencies()
        caller = deps.identity.identify(event.headers.get("Authorization"))
        body = routing.parse_body(event, ExchangeTokenRequest)
        request = Request(caller.user_id, routing.request_id(event), routing.deadline(api))
        if isinstance(body, TokenLogin):
            connected = deps.flow.use_token(deps.products[body.provider], body.access_token, request)
            return _answer(event, connected)
        if body.redirect_uri not in deps.redirect_uris:
            raise RedirectUriNotAllowedError
        return _connect_once(api, deps, body, request)

    return api


def _connect_once(
    api: APIGatewayRestResolver, deps: Dependencies, body: CodeLogin, request: Request
) -> Response[dict[str, Any]]:
    if deps.is_state_required and not body.state:
        raise OAuthStateError(reason="STATE_MISSING")
    state = deps.states.read(body.state) if body.state else None
    provider = body.provider or (state.provider if state else Provider.FACEBOOK)
    login = LoginKey.of(request.user_id, provider, body.code)
    made: list[tuple[Account, ...] | PendingConnection] = []

    def attempt() -> Outcome:
        if state:
            deps.states.check(state, request.user_id, provider, body.redirect_uri)
            if deps.records.use_state(state.id, login):
                deps.states.check_age(state)
        result = deps.flow.spend_code(deps.products[provider], body.code, body.redirect_uri, request, deps.records)
        if isinstance(result, InstagramConnectError):
            return {**routing.failure_outcome(result), **_counting_time(result)}
        made.append(result)
        if isinstance(result, PendingConnection):
            accounts = [account.instagram_business_id for account in result.accounts]
            return {"pending": {"since": result.since.isoformat(), "accounts": accounts}}
        # Not the accounts themselves: they would outlive their rows here, and hundreds of them exceed an item.
        return {"accounts": [account.id for account in result]}

    outcome = deps.records.outcome_of(login, attempt, api.lambda_context, request.deadline)
    if "problem" in outcome:
        return routing.repeated_failure(api.current_event, outcome)
    if made:
        return _answer(api.current_event, made[0])
    if "pending" in outcome:
        return _answer(api.current_event, _look_again(deps, request, **outcome["pending"]))
    return _answer(api.current_event, _read(deps, request, outcome["accounts"]))


def _counting_time(error: InstagramConnectError) -> dict[str, float]:
    """How long an error counts for whoever sends the same code: as long as the code, where its person must act."""
    if error.actor in (Actor.USER, Actor.PAGE_ADMIN):
        return {}
    # What may be mended without them is tried again with the token that was kept, but not by every request of a burst.
    return {"counts_for_s": error.retry_after_s or LEAST_TIME_BETWEEN_ATTEMPTS_S}


def _read(deps: Dependencies, request: Request, ids: Sequence[str]) -> tuple[Account, ...]:
    own = {account.id: account for account in deps.repository.list_accounts(request.user_id, request.deadline)}
    accounts = tuple(own[account_id] for account_id in ids if account_id in own)
    if not accounts:
        raise AccountNotFoundError("The accounts that this login connected have been deleted since.")
    return accounts


def _look_again(
    deps: Dependencies, request: Request, *, since: str, accounts: Sequence[str]
) -> tuple[Account, ...] | PendingConnection:
    """What became of a login that was parked: its accounts once all are stored, until then that it is pending.

    `accounts` are Meta's ids of them, none where Meta had not named them. By now another login may have brought them.
    """
    made_at = datetime.fromisoformat(since)
    found = deps.account_list.of(request.user_id, request.deadline)
    own = next((login for login in found.logins if login.issued_at == made_at), None)
    if own and own.code:
        raise error_of(own.code)
    if accounts:
        meant = tuple(account for account in found.accounts if account.instagram_business_id in accounts)
    else:
        meant = tuple(account for account in found.accounts if account.connected_at >= made_at)
    is_waiting = own or not found.is_complete or any(account.status == "pending" for account in meant)
    if meant and not is_waiting:
        return meant
    if not is_waiting and any(account.status == "disconnected" for account in found.accounts):
        raise AccountDisconnectedError  # since, so that what was parked did not bring it back
    return PendingConnection(made_at, meant)


def _answer(event: APIGatewayProxyEvent, connected: Sequence[Account] | PendingConnection) -> Response[dict[str, Any]]:
    if isinstance(connected, PendingConnection):
        return routing.deferred(event, DeferredConnection(accounts=connected.accounts))
    first = next((account for account in connected if account.status != "disconnected"), None)
    if first is None:
        raise AccountDisconnectedError
    return routing.success(event, Connection(business_account_id=str(first.id), accounts=tuple(connected)))


@cache
def _api() -> APIGatewayRestResolver:
    return build_api(settings.required_list("ALLOWED_ORIGINS"), dependencies)


@sends_error_reports
@logger.inject_lambda_context(log_event=False, correlation_id_path="requestContext.requestId", clear_state=True)
@metrics.log_metrics(raise_on_empty_metrics=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point of the Lambda: an API Gateway proxy event in, its answer out."""
    return _api().resolve(event, context)
