"""Disconnecting an account: its tokens are erased first, then Meta is told with the copies that are left in memory.

In this order nothing at Meta, nor a function that is killed, can keep a token in storage. What Meta was not told costs
nobody anything: events of a disconnected account are ignored, and the person can remove the app at Meta.
"""

from dataclasses import dataclass

from aws_lambda_powertools.metrics import MetricUnit

from .deadline import Deadline
from .errors import InstagramConnectError
from .meta.products import LoginProduct, LoginProducts
from .models import Account, DisconnectedAccount, DiscoveredAccount
from .observability import logger, metrics
from .repository import ConnectionRepository
from .token_vault import TokenBinding, TokenVault

# The account is disconnected before; a person waits for the rest.
TELLING_META_S = 6.0


@dataclass(frozen=True)
class Disconnected:
    """The account without its tokens, and what became of it at Meta; `contract.Disconnection` says what each means."""

    account: Account
    unsubscribed: bool
    kept_for_others: bool
    revoked: bool


@dataclass(frozen=True)
class Disconnection:
    """Disconnects accounts. Shared between requests; holds nothing of any of them."""

    products: LoginProducts
    vault: TokenVault
    repository: ConnectionRepository

    def disconnect(self, account_id: str, *, user_id: str, request_id: str, deadline: Deadline) -> Disconnected:
        """Erases the account's tokens, then tells Meta as far as nobody else is affected.

        Webhooks stay on while somebody else has the same account connected; a grant stays while another account of
        the same person hangs on it. Safe to repeat. Raises AccountNotFoundError, StorageError.
        """
        erased = self.repository.disconnect_account(account_id, user_id=user_id, request_id=request_id)
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
        access_token = self.vault.decrypt(erased.access_token_ciphertext or "", binding)
        user_token = access_token
        if erased.user_token_ciphertext:
            user_token = self.vault.decrypt(erased.user_token_ciphertext, binding)
        # Unsubscribing needs a token that works, and revoking ends them all.
        unsubscribed = erased.is_last_of_account and _unsubscribe(product, account, access_token, deadline)
        revoked = erased.is_last_of_person and _revoke(product, erased.meta_user_id, user_token, deadline)
        return unsubscribed, revoked


def _unsubscribe(product: LoginProduct, account: Account, access_token: str, deadline: Deadline) -> bool:
    try:
        product.unsubscribe(
            DiscoveredAccount(account.instagram_business_id, access_token, page_id=account.page_id), deadline
        )
    except InstagramConnectError as error:
        _not_told("unsubscribing", error)
        return False
    return True


def _revoke(product: LoginProduct, meta_user_id: str | None, user_token: str, deadline: Deadline) -> bool:
    if meta_user_id is None:
        return False
    try:
        return product.revoke(user_token, meta_user_id, deadline)
    except InstagramConnectError as error:
        _not_told("revoking", error)
        return False


def _not_told(step: str, error: InstagramConnectError) -> None:
    logger.warning(
        "Meta was not told of a disconnection", extra={"step": step, "code": error.code, **error.log_context}
    )
    metrics.add_metric("DisconnectionNotTold", MetricUnit.Count, 1)
