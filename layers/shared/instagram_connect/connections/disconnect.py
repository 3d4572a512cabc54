"""Disconnects an account: erases its tokens, then unsubscribes and revokes at Meta with the copies left in memory.

In this order neither a failure at Meta nor a killed function can leave a token in storage. A failed call to Meta does
no harm: webhooks of a disconnected account are ignored, and the person can remove the app at Meta.
"""

from collections.abc import Callable
from dataclasses import dataclass

from aws_lambda_powertools.metrics import MetricUnit

from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import InstagramConnectError
from instagram_connect.meta.products import LoginProducts
from instagram_connect.models import Account, DisconnectedAccount, DiscoveredAccount
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics
from instagram_connect.security.token_vault import TokenBinding, TokenVault

# The account is disconnected by then, and a person is waiting.
TELLING_META_S = 6.0
# A slow first step must not use up the time of the second, which matters more.
UNSUBSCRIBING_S = 3.0


@dataclass(frozen=True)
class Disconnected:
    """The account without its tokens, and what was done at Meta; `api.schemas.Disconnection` documents the fields."""

    account: Account
    unsubscribed: bool
    kept_for_others: bool
    revoked: bool


@dataclass(frozen=True)
class DisconnectionFlow:
    """Disconnects accounts. Shared between requests; holds nothing of any of them."""

    products: LoginProducts
    vault: TokenVault
    repository: ConnectionRepository

    def disconnect(self, account_id: str, *, user_id: str, request_id: str, deadline: Deadline) -> Disconnected:
        """Erase the account's tokens, then unsubscribe and revoke at Meta as far as nobody else is affected.

        Webhooks stay subscribed while somebody else has the same account connected; a grant is not revoked while
        another account of the same person uses it. Safe to repeat. Raises AccountNotFoundError, StorageError.
        """
        erased = self.repository.disconnect_account(
            account_id, user_id=user_id, request_id=request_id, deadline=deadline
        )
        logger.info("Disconnected an account", user_id=user_id, account_id=account_id)
        metrics.add_metric("AccountsDisconnected", MetricUnit.Count, 1)
        unsubscribed = revoked = False
        if erased.access_token_ciphertext is not None:
            try:
                unsubscribed, revoked = self._tell_meta(erased, user_id, deadline.within(TELLING_META_S))
            except InstagramConnectError as error:
                _not_told("anything", error)
        return Disconnected(erased.account, unsubscribed, not erased.is_last_of_account, revoked)

    def _tell_meta(self, erased: DisconnectedAccount, user_id: str, deadline: Deadline) -> tuple[bool, bool]:
        account = erased.account
        product = self.products[account.provider]
        binding = TokenBinding(user_id, account.provider, account.instagram_business_id)
        last_copy = erased.access_token_ciphertext or ""

        def unsubscribe() -> bool:
            token = self.vault.decrypt(last_copy, binding)
            known = DiscoveredAccount(account.instagram_business_id, token, page_id=account.page_id)
            product.unsubscribe(known, deadline.within(UNSUBSCRIBING_S))
            return True

        def revoke() -> bool:
            token = self.vault.decrypt(erased.user_token_ciphertext or last_copy, binding)
            return erased.meta_user_id is not None and product.revoke(token, erased.meta_user_id, deadline)

        # In this order: unsubscribing needs a valid token, and revoking ends them all.
        unsubscribed = erased.is_last_of_account and _told(unsubscribe)
        revoked = erased.is_last_of_person and _told(revoke)
        return unsubscribed, revoked


def _told(tell: Callable[[], bool]) -> bool:
    try:
        return tell()
    except InstagramConnectError as error:
        _not_told(tell.__name__, error)
        return False


def _not_told(step: str, error: InstagramConnectError) -> None:
    logger.warning(
        "Meta was not told of a disconnection", extra={"step": step, "code": error.code, **error.log_context}
    )
    metrics.add_metric("DisconnectionNotTold", MetricUnit.Count, 1)
