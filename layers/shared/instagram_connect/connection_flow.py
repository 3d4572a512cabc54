"""The flow of a connection: from an authorization code to stored accounts.

Four steps at Meta after one another (exchange, extend, discover, subscribe), then one transaction. Encryption runs
beside the subscriptions. Everything after the exchange may be repeated and is, inside its own client.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from aws_lambda_powertools.metrics import MetricUnit

from .deadline import Deadline
from .errors import LateStartError, MetaError, TokenEncryptionError
from .meta.facebook_login import FacebookLogin
from .models import AccountToStore, ConnectionToStore, DiscoveredAccount, Login, StoredAccount
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
class ConnectionFlow:
    """Connects the accounts of one login. Shared between requests; holds nothing of any of them."""

    product: FacebookLogin
    vault: TokenVault
    repository: ConnectionRepository
    now: Callable[[], datetime]

    def connect(
        self, code: str, redirect_uri: str, *, user_id: str, request_id: str, deadline: Deadline
    ) -> tuple[StoredAccount, ...]:
        """Spends the code and stores every account that the login may act for, at least one.

        Raises LateStartError while the code is unspent; LoginError, NoAccountError, MetaError, TokenEncryptionError,
        StorageError. Nothing is stored unless all accounts are.
        """
        for_meta = deadline.earlier(RESERVED_FOR_STORING_S)
        if for_meta.remaining_s() < LEAST_TIME_FOR_META_S:
            raise LateStartError
        short_lived = self.product.exchange_code(code, redirect_uri, for_meta)
        token = self.product.extend(short_lived, for_meta)
        login, accounts = self.product.discover(token, for_meta)
        prepared = self._prepare(accounts, login, user_id, for_meta)
        connection = ConnectionToStore(user_id=user_id, login=login, accounts=prepared, request_id=request_id)
        stored = self.repository.store_connection(connection, deadline)
        logger.info("Stored a connection", user_id=user_id, accounts=len(stored))
        metrics.add_metric("AccountsConnected", MetricUnit.Count, len(stored))
        return stored

    def _prepare(
        self, accounts: Iterable[DiscoveredAccount], login: Login, user_id: str, deadline: Deadline
    ) -> tuple[AccountToStore, ...]:
        with (
            ThreadPoolExecutor(ENCRYPTING_THREADS) as encrypting,
            ThreadPoolExecutor(SUBSCRIBING_THREADS) as subscribing,
        ):
            until = deadline.within(SUBSCRIBING_S)
            ciphertexts = [encrypting.submit(self._encrypt, account, login, user_id) for account in accounts]
            subscriptions = [subscribing.submit(self._subscribe, account, until) for account in accounts]
            try:
                return tuple(
                    AccountToStore(account, *ciphertext.result(), *subscription.result())
                    for account, ciphertext, subscription in zip(accounts, ciphertexts, subscriptions, strict=True)
                )
            except TokenEncryptionError:
                # The others would wait for the same KMS, one after the other, until the function ends.
                encrypting.shutdown(cancel_futures=True)
                raise

    def _subscribe(self, account: DiscoveredAccount, deadline: Deadline) -> tuple[datetime | None, str | None]:
        # Webhooks can be subscribed later; the login cannot be repeated without its user. So this never fails it.
        try:
            self.product.subscribe(account, deadline)
        except MetaError as error:
            logger.warning("Could not subscribe to webhooks", extra={"code": error.code, **error.log_context})
            metrics.add_metric("WebhookSubscriptionFailed", MetricUnit.Count, 1)
            return None, error.code
        return self.now(), None

    def _encrypt(self, account: DiscoveredAccount, login: Login, user_id: str) -> tuple[str, str]:
        binding = TokenBinding(user_id, login.provider, account.instagram_business_id)
        return (
            self.vault.encrypt(account.access_token, binding),
            self.vault.encrypt(login.token.value, binding),
        )
