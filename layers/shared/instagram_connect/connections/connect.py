"""The flow of a connection: from what a login gave the frontend to stored accounts.

Four steps at Meta after one another (exchange, extend, discover, subscribe), then one transaction. Encryption runs
beside the subscriptions. Everything after the exchange may be repeated and is, inside its own client. What cannot be
completed although its user did everything right is parked, and completed by `late_connection_flow`.
"""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from aws_lambda_powertools.metrics import MetricUnit

from instagram_connect.connections.login_records import LoginKey, LoginRecords
from instagram_connect.connections.parking import ParkedLogin, Parking
from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import (
    InstagramConnectError,
    LateStartError,
    MetaAppMisconfiguredError,
    MetaError,
    MetaRateLimitedError,
    MetaUnavailableError,
    StorageError,
    TokenEncryptionError,
)
from instagram_connect.meta.products import LoginProduct
from instagram_connect.models import (
    Account,
    AccountToStore,
    ConnectionToStore,
    DiscoveredAccount,
    Login,
    Provider,
    UserToken,
)
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics
from instagram_connect.runtime.sqs import QueueError
from instagram_connect.security.token_vault import LoginBinding, TokenBinding, TokenVault
from instagram_connect.storage.diagnosis import OWNER_MISSING

# Without this much time for Meta a login could not be finished, and its code would be spent for nothing.
LEAST_TIME_FOR_META_S = 5.0
# 4 s for KMS; then for storing, or for parking what cannot be stored: SQS and DynamoDB, 4 s each at worst.
RESERVED_FOR_STORING_S = 12.0
RESERVED_FOR_PARKING_S = 8.0
# A person waits; what is not stored by then is parked.
STORING_S = 8.0
SUBSCRIBING_S = 6.0
SUBSCRIBING_THREADS = 100
ENCRYPTING_THREADS = 16

Kept = TypeVar("Kept")

# What may pass, or be mended by somebody else than the user, while the token of the login lives.
WORTH_WAITING_FOR = (MetaUnavailableError, MetaRateLimitedError, MetaAppMisconfiguredError)


@dataclass(frozen=True)
class PendingConnection:
    """A login that is parked: when it was made, and its accounts, as far as Meta has named them."""

    since: datetime
    accounts: tuple[Account, ...]


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
    parking: Parking
    now: Callable[[], datetime]
    # Whether what fails here is tried again anyway: then nothing is lost with it.
    comes_again: bool = False

    def spend_code(
        self, product: LoginProduct, code: str, redirect_uri: str, request: Request, records: LoginRecords
    ) -> tuple[Account, ...] | PendingConnection:
        """Spend the code and store every account that the login may act for, at least one.

        Goes on with the token that an interrupted attempt at the same login left in `records`. Raises LateStartError
        and RedirectUriMismatchError with the code unspent; LoginError, NoAccountError, MetaError, TokenEncryptionError
        and StorageError, which are the outcome of this code.
        """
        for_meta = request.time_for_meta()
        login = LoginKey.of(request.user_id, product.provider, code)
        # Asked before Meta: a code that is sent twice may cost the token that it was exchanged for (RFC 6749, 4.1.2).
        token = records.kept_token(login)
        if token is None:
            token = product.exchange_code(code, redirect_uri, for_meta)
        else:
            logger.info("Going on with the token of an earlier attempt at this login")
        with ThreadPoolExecutor(1) as beside:
            beside.submit(records.keep_token, login, token)
            return self._connect(product, token, request, for_meta)

    def use_token(
        self, product: LoginProduct, access_token: str, request: Request
    ) -> tuple[Account, ...] | PendingConnection:
        """Stores every account that an access token opens, at least one.

        Raises AccessTokenInvalidError, AccessTokenForeignError, InvalidRequestError, NoAccountError, MetaError,
        TokenEncryptionError, StorageError. Safe to repeat.
        """
        for_meta = request.time_for_meta()
        return self._connect(product, product.accept_token(access_token, for_meta), request, for_meta)

    def prepare(
        self, product: LoginProduct, token: UserToken, request: Request, for_meta: Deadline
    ) -> ConnectionToStore:
        """Discovers the accounts of a login, subscribes them and encrypts their tokens.

        Raises NoAccountError, MetaError, TokenEncryptionError.
        """
        login, accounts = product.discover(token, for_meta)
        prepared = self._prepare(product, accounts, login, request.user_id, for_meta)
        return ConnectionToStore(request.user_id, login, prepared, request.request_id)

    def store_or_park(
        self, connection: ConnectionToStore, deadline: Deadline
    ) -> tuple[Account, ...] | PendingConnection:
        """Stores a connection; parks it while storage does not take it. Raises StorageError when neither works."""
        try:
            until = deadline.earlier(RESERVED_FOR_PARKING_S).within(STORING_S)
            stored = self.repository.store_connection(connection, until)
        except StorageError as error:
            if error.reason == OWNER_MISSING.reason:
                raise
            login = connection.login
            accounts = self._parked(
                "connection", "ConnectionsParked", lambda: self.parking.park_connection(connection), error
            )
            return PendingConnection(login.token.issued_at, accounts)
        provider = connection.login.provider
        logger.info("Stored a connection", user_id=connection.user_id, provider=provider, accounts=len(stored))
        metrics.add_metric("AccountsConnected", MetricUnit.Count, len(stored))
        return stored

    def _connect(
        self, product: LoginProduct, token: UserToken, request: Request, for_meta: Deadline
    ) -> tuple[Account, ...] | PendingConnection:
        try:
            connection = self.prepare(product, token, request, for_meta)
        except WORTH_WAITING_FOR as error:
            self._parked("login", "LoginsParked", lambda: self._park_login(product.provider, token, request), error)
            return PendingConnection(token.issued_at, ())
        return self.store_or_park(connection, request.deadline)

    def _park_login(self, provider: Provider, token: UserToken, request: Request) -> None:
        login = hashlib.sha256(token.value.encode()).hexdigest()
        ciphertext = self.vault.encrypt(token.value, LoginBinding(request.user_id, provider, login))
        self.parking.park_login(
            ParkedLogin(
                user_id=request.user_id,
                provider=provider,
                login=login,
                request_id=request.request_id,
                token_ciphertext=ciphertext,
                issued_at=token.issued_at,
                expires_at=token.expires_at,
                granted_scopes=token.granted_scopes,
            )
        )

    def _parked(self, what: str, metric: str, park: Callable[[], Kept], cause: InstagramConnectError) -> Kept:
        """What parking a connection or a login answers; raises `cause` when that fails too."""
        context = {"code": cause.code, "reason": cause.reason, **cause.log_context}
        try:
            kept = park()
        except (QueueError, TokenEncryptionError) as error:
            logger.error(f"Could not park a {what}", extra={**context, "cause": str(error)})
            if not self.comes_again:
                metrics.add_metric("ConnectionsLost", MetricUnit.Count, 1)
            raise cause from None
        logger.error(f"Parked a {what}", extra=context)
        metrics.add_metric(metric, MetricUnit.Count, 1)
        return kept

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
