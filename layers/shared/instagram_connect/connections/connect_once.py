"""What `exchange-token` does with a login that a frontend hands over: one outcome for a code, however often it is sent.

A frontend may send a code twice (a double click, a page that mounts twice, a retry after a time-out), and a code is
worth one exchange at Meta. So the first request makes the connection, and every other one gets its outcome: the same
error, or the accounts as they are now.
"""

import math
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from instagram_connect.connections.account_list import AccountList
from instagram_connect.connections.connect import ConnectionFlow, PendingConnection, Request
from instagram_connect.connections.login_records import LoginKey, LoginOutcome, LoginRecords
from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import (
    AccountDisconnectedError,
    AccountNotFoundError,
    Actor,
    InstagramConnectError,
    LateStartError,
    OAuthStateError,
    RedirectUriMismatchError,
    RedirectUriNotAllowedError,
    error_from_record,
    error_of,
)
from instagram_connect.meta.products import LoginProduct, LoginProducts
from instagram_connect.models import Account, Provider
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.observability import logger
from instagram_connect.security.oauth_state import LoginState, StateSigner

# Somebody else can fix these errors, so they are tried again, but not by every request of a burst.
LEAST_TIME_BETWEEN_ATTEMPTS_S = 3.0
# Errors of one request alone; the code is still unspent.
NOT_AN_OUTCOME = (LateStartError, RedirectUriMismatchError)


@dataclass(frozen=True)
class LoginCode:
    """What Meta's dialog gave the frontend. `provider` defaults to the state's, else to Facebook."""

    code: str
    redirect_uri: str
    provider: Provider | None = None
    state: str | None = None


@dataclass(frozen=True)
class ConnectOnce:
    """Connects logins. Shared between requests; holds nothing of any of them."""

    products: LoginProducts
    states: StateSigner
    records: LoginRecords
    flow: ConnectionFlow
    repository: ConnectionRepository
    account_list: AccountList
    redirect_uris: Collection[str]
    is_state_required: bool

    def with_code(
        self, login: LoginCode, request: Request, context: LambdaContext
    ) -> tuple[Account, ...] | PendingConnection:
        """Connect the accounts of an authorization code, at least one.

        Raises RedirectUriNotAllowedError, OAuthStateError, LoginInProgressError, LoginRecordsUnavailableError,
        LateStartError, and any error of the login, which every later request with this code gets too.
        """
        if login.redirect_uri not in self.redirect_uris:
            raise RedirectUriNotAllowedError
        state = self._read_state(login)
        provider = login.provider or (state.provider if state else Provider.FACEBOOK)
        key = LoginKey.of(request.user_id, provider, login.code)
        made: list[tuple[Account, ...] | PendingConnection | InstagramConnectError] = []

        def attempt() -> LoginOutcome:
            if state:
                self.states.check(state, request.user_id, provider, login.redirect_uri)
                if self.records.use_state(state.id, key):
                    self.states.check_age(state)
            try:
                result = self.spend_code(self.products[provider], login.code, login.redirect_uri, request)
            except NOT_AN_OUTCOME:
                raise
            except InstagramConnectError as error:
                made.append(error)
                return _failed(error)
            made.append(result)
            return _connected(result)

        outcome = self.records.outcome_of(key, attempt, context, request.deadline)
        if not made:
            return self._recall(outcome, request)
        if isinstance(made[0], InstagramConnectError):
            raise made[0]
        return made[0]

    def with_token(
        self, provider: Provider, access_token: str, request: Request
    ) -> tuple[Account, ...] | PendingConnection:
        """Connect the accounts of an access token, at least one. Safe to repeat.

        Raises AccessTokenInvalidError, AccessTokenForeignError, InvalidRequestError, LateStartError, NoAccountError,
        MetaError, TokenEncryptionError, StorageError.
        """
        for_meta = request.time_for_meta()
        product = self.products[provider]
        return self.flow.connect(product, product.accept_token(access_token, for_meta), request, for_meta)

    def spend_code(
        self, product: LoginProduct, code: str, redirect_uri: str, request: Request
    ) -> tuple[Account, ...] | PendingConnection:
        """Exchange the code and connect the accounts, or go on with the token that an interrupted attempt left.

        Raises LateStartError and RedirectUriMismatchError with the code unspent; LoginError, NoAccountError, MetaError,
        TokenEncryptionError and StorageError, which are the outcome of this code.
        """
        for_meta = request.time_for_meta()
        key = LoginKey.of(request.user_id, product.provider, code)
        # Asked before Meta: a code that is sent twice may cost the token that it was exchanged for (RFC 6749, 4.1.2).
        token = self.records.kept_token(key)
        if token is None:
            token = product.exchange_code(code, redirect_uri, for_meta)
        else:
            logger.info("Going on with the token of an earlier attempt at this login")
        with ThreadPoolExecutor(1) as beside:
            beside.submit(self.records.keep_token, key, token)
            return self.flow.connect(product, token, request, for_meta)

    def _read_state(self, login: LoginCode) -> LoginState | None:
        if login.state:
            return self.states.read(login.state)
        if self.is_state_required:
            raise OAuthStateError(reason="STATE_MISSING")
        return None

    def _recall(self, outcome: LoginOutcome, request: Request) -> tuple[Account, ...] | PendingConnection:
        """The outcome of an earlier request, as it is now."""
        if "error" in outcome:
            remembered_until = outcome.get("remembered_until")
            wait_s = math.ceil(remembered_until - utc_now().timestamp()) if remembered_until else None
            raise error_from_record(outcome["error"], retry_after_s=wait_s)
        if "pending" in outcome:
            return self._look_again(request, **outcome["pending"])
        return self._read(request, outcome["accounts"])

    def _read(self, request: Request, ids: Sequence[str]) -> tuple[Account, ...]:
        own = {account.id: account for account in self.repository.list_accounts(request.user_id, request.deadline)}
        accounts = tuple(own[account_id] for account_id in ids if account_id in own)
        if not accounts:
            raise AccountNotFoundError("The accounts that this login connected have been deleted since.")
        return accounts

    def _look_again(
        self, request: Request, *, since: str, accounts: Sequence[str]
    ) -> tuple[Account, ...] | PendingConnection:
        """The accounts of a parked login once all of them are stored; until then, that it is pending.

        `accounts` are their ids at Meta, empty if Meta had not named them. Another login may have stored them by now.
        """
        made_at = datetime.fromisoformat(since)
        found = self.account_list.of(request.user_id, request.deadline)
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
            raise AccountDisconnectedError  # after the login, so the parked connection did not bring it back
        return PendingConnection(made_at, meant)


def _connected(result: tuple[Account, ...] | PendingConnection) -> LoginOutcome:
    if isinstance(result, PendingConnection):
        accounts = [account.instagram_business_id for account in result.accounts]
        return {"pending": {"since": result.since.isoformat(), "accounts": accounts}}
    # Ids only: whole accounts would outlive their rows, and hundreds of them exceed what a DynamoDB item holds.
    return {"accounts": [account.id for account in result]}


def _failed(error: InstagramConnectError) -> LoginOutcome:
    outcome: LoginOutcome = {"error": error.to_record()}
    if error.actor not in (Actor.USER, Actor.PAGE_ADMIN):
        # The kept token may finish the login without its user once the cause is gone.
        outcome["counts_for_s"] = error.retry_after_s or LEAST_TIME_BETWEEN_ATTEMPTS_S
    return outcome
