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
from .errors import MetaError
from .meta.facebook_login import FacebookLogin
from .models import AccountToStore, ConnectionToStore, DiscoveredAccount, Login, StoredAccount
from .observability import logger, metrics
from .repository import ConnectionRepository
from .token_vault import TokenBinding, TokenVault

MAX_THREADS = 100


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

        `deadline` is for Meta; storing comes after it. Raises LoginError, NoAccountError, MetaError,
        TokenEncryptionError, StorageError. Nothing is stored unless all accounts are.
        """
        short_lived = self.product.exchange_code(code, redirect_uri, deadline)
        token = self.product.extend(short_lived, deadline)
        login, accounts = self.product.discover(token, deadline)
        prepared = self._prepare(accounts, login, user_id, deadline)
        stored = self.repository.store_connection(
            ConnectionToStore(user_id=user_id, login=login, accounts=prepared, request_id=request_id)
        )
        logger.info("Stored a connection", user_id=user_id, accounts=len(stored))
        metrics.add_metric("AccountsConnected", MetricUnit.Count, len(stored))
        return stored

    def _prepare(
        self, accounts: Iterable[DiscoveredAccount], login: Login, user_id: str, deadline: Deadline
    ) -> tuple[AccountToStore, ...]:
        with ThreadPoolExecutor(MAX_THREADS) as threads:
            subscriptions = [threads.submit(self._subscribe, account, deadline) for account in accounts]
            ciphertexts = [threads.submit(self._encrypt, account, login, user_id) for account in accounts]
            return tuple(
                AccountToStore(account, *ciphertext.result(), *subscription.result())
                for account, ciphertext, subscription in zip(accounts, ciphertexts, subscriptions, strict=True)
            )

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
