"""The connection flow: from an authorization code or access token to stored accounts.

Four sequential steps at Meta (exchange, extend, discover, subscribe), then one transaction. Tokens are encrypted while
the subscriptions run. Every call after the exchange is safe to repeat, and its client does so. A connection that fails
through no fault of its user is parked; `complete_parked` completes it.
"""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from aws_lambda_powertools.metrics import MetricUnit

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

# With less time for Meta than this a login could not be finished, and its code would be spent for nothing.
LEAST_TIME_FOR_META_S = 5.0
# 4 s for KMS, then storing, or parking: SQS and DynamoDB take at most 4 s each.
RESERVED_FOR_STORING_S = 12.0
RESERVED_FOR_PARKING_S = 8.0
# A person is waiting; a connection that is not stored by then is parked.
STORING_S = 8.0
SUBSCRIBING_S = 6.0
SUBSCRIBING_THREADS = 100
ENCRYPTING_THREADS = 16

Kept = TypeVar("Kept")

# Errors that may pass, or that an operator can fix, while the login's token is valid.
WORTH_WAITING_FOR = (MetaUnavailableError, MetaRateLimitedError, MetaAppMisconfiguredError)


@dataclass(frozen=True)
class PendingConnection:
    """A parked login: when it was made, and its accounts, empty if Meta has not named them yet."""

    since: datetime
    accounts: tuple[Account, ...]


@dataclass(frozen=True)
class Request:
    """Who asked, under which request id, and by when the response must be ready."""

    user_id: str
    request_id: str
    deadline: Deadline

    def time_for_meta(self) -> Deadline:
        """The deadline for calls to Meta. Raises LateStartError if there is too little time to finish a login."""
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
    # Whether the caller tries again after an error, so that a failed connection is not lost.
    comes_again: bool = False

    def connect(
        self, product: LoginProduct, token: UserToken, request: Request, for_meta: Deadline
    ) -> tuple[Account, ...] | PendingConnection:
        """Store every account that a token gives access to, at least one; park what cannot be completed now.

        Raises NoAccountError, MetaError, TokenEncryptionError, StorageError. Safe to repeat.
        """
        try:
            connection = self.prepare(product, token, request, for_meta)
        except WORTH_WAITING_FOR as error:
            self._parked("login", "LoginsParked", lambda: self._park_login(product.provider, token, request), error)
            return PendingConnection(token.issued_at, ())
        return self.store_or_park(connection, request.deadline)

    def prepare(
        self, product: LoginProduct, token: UserToken, request: Request, for_meta: Deadline
    ) -> ConnectionToStore:
        """Discover the accounts of a login, subscribe them to webhooks and encrypt their tokens.

        Raises NoAccountError, MetaError, TokenEncryptionError.
        """
        login, accounts = product.discover(token, for_meta)
        prepared = self._prepare(product, accounts, login, request.user_id, for_meta)
        return ConnectionToStore(request.user_id, login, prepared, request.request_id)

    def store_or_park(
        self, connection: ConnectionToStore, deadline: Deadline
    ) -> tuple[Account, ...] | PendingConnection:
        """Store a connection, or park it while storage fails. Raises StorageError if both fail."""
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
        """Park a connection or a login and return the result of `park`; raises `cause` if that fails too."""
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
                # The rest would wait for the same failing KMS, one by one, until the function times out.
                encrypting.shutdown(cancel_futures=True)
                raise

    def _subscribe(
        self, product: LoginProduct, account: DiscoveredAccount, deadline: Deadline
    ) -> tuple[datetime | None, str | None]:
        # Never fails the login: webhooks can be subscribed later, but only its user can log in again.
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
