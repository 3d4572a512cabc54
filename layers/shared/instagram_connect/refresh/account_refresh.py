"""Refreshing one account at Meta: its tokens, its webhook subscription, and what a failure means.

Nothing is written here. `failure_kind` sorts failures: the token is dead, Meta refuses the whole app, or the failure is
transient. A token counts as dead only if Meta named the cause or a second call confirmed it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from instagram_connect.errors import (
    RECONNECT_HINTS,
    InstagramConnectError,
    InternalError,
    MetaAppMisconfiguredError,
    MetaRequestRejectedError,
    MetaUnavailableError,
    PermissionMissingError,
    ReconnectRequiredError,
)
from instagram_connect.meta import usage
from instagram_connect.meta.graph_errors import names_its_cause
from instagram_connect.meta.products import LoginProduct, LoginProducts
from instagram_connect.models import DiscoveredAccount, Renewal
from instagram_connect.refresh.models import EncryptedRenewal, ReconnectRequest, RefreshTask, SubscriptionCheck
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, stack_of
from instagram_connect.security.token_vault import TokenBinding, TokenVault

DEAD_TOKEN_ERRORS = (ReconnectRequiredError, PermissionMissingError)
# Three attempts at one call, and the calls of the longest refresh.
ATTEMPT_S = 25.0


class FailureKind(Enum):
    """What a failure means for the account and for all others."""

    DEAD = "dead"
    APP = "app"
    TRANSIENT = "transient"


def failure_kind(error: InstagramConnectError) -> FailureKind:
    """The kind of a failure of `AccountRefresh.attempt`."""
    if isinstance(error, DEAD_TOKEN_ERRORS):
        return FailureKind.DEAD
    return FailureKind.APP if isinstance(error, MetaAppMisconfiguredError) else FailureKind.TRANSIENT


@dataclass(frozen=True)
class Attempt:
    """What came of an account. `error` None: all that was due succeeded; a renewal can be there all the same.

    `is_renewal_refused`: Meta does not extend the token, which works.
    """

    task: RefreshTask
    renewal: EncryptedRenewal | None
    subscription: SubscriptionCheck | None
    usage: tuple[usage.Usage, ...]
    error: InstagramConnectError | None
    is_renewal_refused: bool = False

    @property
    def shows_meta_works(self) -> bool:
        """Whether it shows that Meta answers for this app."""
        if self.renewal:
            return True
        return self.error is None and self.subscription is not None and self.subscription.error is None


@dataclass(frozen=True)
class AccountRefresh:
    """Refreshes accounts at Meta. Shared between threads; holds nothing of any of them."""

    products: LoginProducts
    vault: TokenVault
    now: Callable[[], datetime]
    lead_s: float

    def attempt(
        self, task: RefreshTask, deadline: Deadline, *, renew: bool = True, check_subscription: bool = False
    ) -> Attempt:
        """Does what is due of an account, within 25 s. Never raises."""
        renewal: EncryptedRenewal | None = None
        subscription: SubscriptionCheck | None = None
        error: InstagramConnectError | None = None
        is_renewal_refused = False
        within = deadline.within(ATTEMPT_S)
        with usage.observed() as seen:
            try:
                product = self.products[task.provider]
                account = self._decrypted(task)
                try:
                    if renew:
                        renewed = product.renew(account, self._user_token(task), task.expires_at, within)
                        renewal = self._encrypted(task, renewed)
                        account = task.account(renewed.access_token or account.access_token)
                    if check_subscription:
                        subscription = self._subscription(product, account, within)
                except DEAD_TOKEN_ERRORS as failure:
                    error = self._confirmed(product, account, failure, within)
                    is_renewal_refused = error is None
                    error = error or MetaUnavailableError(log_context={**failure.log_context, "token": "works"})
            except InstagramConnectError as failure:
                error = failure
            except Exception as defect:  # noqa: BLE001 - one bad account must not stop the others
                error = _unexpected(defect)
        return Attempt(task, renewal, subscription, tuple(seen), error, is_renewal_refused)

    def token_error(self, task: RefreshTask, deadline: Deadline) -> InstagramConnectError | None:
        """None when an account's token works, else why it seems not to. Never raises."""
        try:
            account = self._decrypted(task)
            self.products[task.provider].check_access(account, deadline)
        except InstagramConnectError as error:
            return error
        except Exception as defect:  # noqa: BLE001 - who cannot testify must not stop the judgement
            return _unexpected(defect)
        return None

    def _decrypted(self, task: RefreshTask) -> DiscoveredAccount:
        return task.account(self.vault.decrypt(task.access_token_ciphertext, _binding(task)))

    def _user_token(self, task: RefreshTask) -> str | None:
        # Only to renew: each opening is a call of KMS, and every account is looked after daily.
        return self.vault.decrypt(task.user_token_ciphertext, _binding(task)) if task.user_token_ciphertext else None

    def _encrypted(self, task: RefreshTask, renewed: Renewal) -> EncryptedRenewal:
        binding = _binding(task)
        data_access_expires_at = (
            renewed.data_access_expires_at if renewed.tells_data_access else task.data_access_expires_at
        )
        return EncryptedRenewal(
            obtained_at=renewed.obtained_at,
            access_token_ciphertext=self.vault.encrypt(renewed.access_token, binding) if renewed.access_token else None,
            user_token_ciphertext=self.vault.encrypt(renewed.user_token, binding) if renewed.user_token else None,
            expires_at=renewed.expires_at,
            data_access_expires_at=data_access_expires_at,
            reconnect=self._reconnect(renewed.expires_at, data_access_expires_at),
        )

    def _reconnect(
        self, expires_at: datetime | None, data_access_expires_at: datetime | None
    ) -> ReconnectRequest | None:
        ends = {"LOGIN_ENDS": expires_at, "DATA_ACCESS_ENDS": data_access_expires_at}
        known = [(end, reason) for reason, end in ends.items() if end is not None]
        if not known or min(known)[0] > self.now() + timedelta(seconds=self.lead_s):
            return None
        before, reason = min(known)
        return ReconnectRequest(before, reason, RECONNECT_HINTS[reason])

    def _subscription(self, product: LoginProduct, account: DiscoveredAccount, deadline: Deadline) -> SubscriptionCheck:
        """Subscribes again what Meta has silently unsubscribed.

        Raises MetaError, but for what speaks against the webhooks alone: a missing permission or a refused call.
        """
        try:
            if product.is_subscribed(account, deadline):
                return SubscriptionCheck()
            product.subscribe(account, deadline)
        except (PermissionMissingError, MetaRequestRejectedError) as error:
            logger.warning("Could not check a webhook subscription", extra={"code": error.code, **error.log_context})
            return SubscriptionCheck(error=error.code)
        logger.info("Subscribed an account again that Meta had unsubscribed", provider=product.provider)
        return SubscriptionCheck(subscribed_at=self.now())

    def _confirmed(
        self, product: LoginProduct, account: DiscoveredAccount, failure: InstagramConnectError, deadline: Deadline
    ) -> InstagramConnectError | None:
        """What a second call says, if the failure itself does not prove a dead token; None when the token works.

        An error 190 without a subcode can be our own mistake, a missing permission one of the endpoint alone.
        """
        if names_its_cause(failure):
            return failure
        try:
            product.check_access(account, deadline)
        except InstagramConnectError as error:  # of this call, so that witnesses of it can be compared
            return error
        return None


def _unexpected(defect: Exception) -> InternalError:
    cause = type(defect).__name__
    logger.error("An account could not be looked after", extra={"cause": cause, "stack": stack_of(defect)})
    return InternalError(log_context={"cause": cause})


def _binding(task: RefreshTask) -> TokenBinding:
    return TokenBinding(task.user_id, task.provider, task.instagram_business_id)
