"""The flow of a connection: from what a login gave the frontend to stored accounts.

Four steps at Meta after one another (exchange, extend, discover, subscribe), then one transaction. Encryption runs
beside the subscriptions. Everything after the exchange may be repeated and is, inside its own client.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from aws_lambda_powertools.metrics import MetricUnit

from .deadline import Deadline
from .errors import (
    InstagramConnectError,
    LateStartError,
    MetaError,
    RedirectUriMismatchError,
    TokenEncryptionError,
)
from .login_records import LoginKey, LoginRecords
from .meta.products import LoginProduct
from .models import Account, AccountToStore, ConnectionToStore, DiscoveredAccount, Login, UserToken
from .observability import logger, metrics
from .repository import ConnectionRepository
from .token_vault import TokenBinding, TokenVault

# Without this much time for Meta a login could not be finished, and its code would be spent for nothing.
LEAST_TIME_FOR_META_S = 5.0
# 4 s for KMS and 8 s for an attempt to store.
RESERVED_FOR_STORING_S = 12.0
SUBSCRIBING_S = 6.0
SUBSCRIBING_THREADS = 100
ENCRYPTING_THREADS = 16


@dataclass(frozen=True)
class Request:
    """Who asked, under which request id, and when the answer has to be there."""

    user_id: str
    request_id: str
    deadline: Deadline

    def time_for_meta(self) -> Deadline:
        """The part of the time that Meta may take. Raises LateStartError when it is too little to finish a login."""
        for_meta = self.deadline.earlier(RESERVED_FOR_STORING_S)
        if for_meta.remaining_s() < LEAST_TIME_FOR_META_S:
            raise LateStartError
        return for_meta


@dataclass(frozen=True)
class ConnectionFlow:
    """Connects the accounts of one login. Shared between requests; holds nothing of any of them."""

    vault: TokenVault
    repository: ConnectionRepository
    records: LoginRecords
    now: Callable[[], datetime]

    def spend_code(
        self, product: LoginProduct, code: str, redirect_uri: str, request: Request
    ) -> tuple[Account, ...] | InstagramConnectError:
        """Spends the code and stores every account that the login may act for, at least one; or says why not.

        An error of the login is returned, not raised: it is the outcome for whoever sends the same code. Raises what
        is this request's alone: LateStartError, RedirectUriMismatchError.
        """
        for_meta = request.time_for_meta()
        login = LoginKey.of(request.user_id, product.provider, code)
        # Asked before Meta: a code that is sent twice may cost the token that it was exchanged for (RFC 6749, 4.1.2).
        token = self.records.kept_token(login)
        if token is None:
            try:
                token = product.exchange_code(code, redirect_uri, for_meta)
            except RedirectUriMismatchError:
                raise
            except InstagramConnectError as error:
                return error
        else:
            logger.info("Going on with the token of an earlier attempt at this login")
        with ThreadPoolExecutor(1) as beside:
            beside.submit(self.records.keep_token, login, token)
            try:
                return self._connect(product, token, request, for_meta)
            except InstagramConnectError as error:
                return error

    def use_token(self, product: LoginProduct, access_token: str, request: Request) -> tuple[Account, ...]:
        """Stores every account that an access token opens, at least one.

        Raises AccessTokenInvalidError, AccessTokenForeignError, InvalidRequestError, NoAccountError, MetaError,
        TokenEncryptionError, StorageError. Safe to repeat.
        """
        for_meta = request.time_for_meta()
        return self._connect(product, product.accept_token(access_token, for_meta), request, for_meta)

    def _connect(
        self, product: LoginProduct, token: UserToken, request: Request, for_meta: Deadline
    ) -> tuple[Account, ...]:
        login, accounts = product.discover(token, for_meta)
        prepared = self._prepare(product, accounts, login, request.user_id, for_meta)
        connection = ConnectionToStore(request.user_id, login, prepared, request.request_id)
        stored = self.repository.store_connection(connection, request.deadline)
        logger.info("Stored a connection", user_id=request.user_id, provider=login.provider, accounts=len(stored))
        metrics.add_metric("AccountsConnected", MetricUnit.Count, len(stored))
        return stored

    def _prepare(
        self,
        product: LoginProduct,
        accounts: Iterable[DiscoveredAccount],
        login: Login,
        user_id: str,
        deadline: Deadline,
    ) -> tuple[AccountToStore, ...]:
        with (
            ThreadPoolExecutor(ENCRYPTING_THREADS) as encrypting,
            ThreadPoolExecutor(SUBSCRIBING_THREADS) as subscribing,
        ):
            until = deadline.within(SUBSCRIBING_S)
            ciphertexts = [encrypting.submit(self._encrypt, account, login, user_id) for account in accounts]
            subscriptions = [subscribing.submit(self._subscribe, product, account, until) for account in accounts]
            try:
                return tuple(
                    AccountToStore(account, *ciphertext.result(), *subscription.result())
                    for account, ciphertext, subscription in zip(accounts, ciphertexts, subscriptions, strict=True)
                )
            except TokenEncryptionError:
                # The others would wait for the same KMS, one after the other, until the function ends.
                encrypting.shutdown(cancel_futures=True)
                raise

    def _subscribe(
        self, product: LoginProduct, account: DiscoveredAccount, deadline: Deadline
    ) -> tuple[datetime | None, str | None]:
        # Webhooks can be subscribed later; the login cannot be repeated without its user. So this never fails it.
        try:
            product.subscribe(account, deadline)
        except MetaError as error:
            logger.warning("Could not subscribe to webhooks", extra={"code": error.code, **error.log_context})
            metrics.add_metric("WebhookSubscriptionFailed", MetricUnit.Count, 1)
            return None, error.code
        return self.now(), None

    def _encrypt(self, account: DiscoveredAccount, login: Login, user_id: str) -> tuple[str, str | None]:
        binding = TokenBinding(user_id, login.provider, account.instagram_business_id)
        access_token = self.vault.encrypt(account.access_token, binding)
        if account.access_token == login.token.value:
            return access_token, None
        return access_token, self.vault.encrypt(login.token.value, binding)
