"""Refreshes one account at Meta: its tokens and its webhook subscription.

Nothing is stored here. `failure_kind` sorts failures into a dead token, an app that Meta refuses, and transient ones. A
token counts as dead only if Meta named the cause or a second call failed too.
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
# Enough for three attempts at one call, or for every call of the longest refresh.
ATTEMPT_S = 25.0


class FailureKind(Enum):
    """Whether a failure concerns the account's token, the whole app, or neither for long."""

    DEAD = "dead"
    APP = "app"
    TRANSIENT = "transient"


def failure_kind(error: InstagramConnectError) -> FailureKind:
    """Classify a failure of `AccountRefresh.attempt`."""
    if isinstance(error, DEAD_TOKEN_ERRORS):
        return FailureKind.DEAD
    return FailureKind.APP if isinstance(error, MetaAppMisconfiguredError) else FailureKind.TRANSIENT


@dataclass(frozen=True)
class Attempt:
    """Result of one refresh. `error` is None if everything due succeeded; `renewal` may be set either way.

    `is_renewal_refused`: the token works, but Meta refuses to extend it.
    """

    task: RefreshTask
    renewal: EncryptedRenewal | None
    subscription: SubscriptionCheck | None
    usage: tuple[usage.Usage, ...]
    error: InstagramConnectError | None
    is_renewal_refused: bool = False

    @property
    def shows_meta_works(self) -> bool:
        """Whether this result shows that Meta serves the app."""
        if self.renewal:
            return True
        return self.error is None and self.subscription is not None and self.subscription.error is None


@dataclass(frozen=True)
class AccountRefresh:
    """Refreshes accounts at Meta. Safe to share between threads; keeps no state of any account."""

    products: LoginProducts
    vault: TokenVault
    now: Callable[[], datetime]
    lead_s: float

    def attempt(
        self, task: RefreshTask, deadline: Deadline, *, renew: bool = True, check_subscription: bool = False
    ) -> Attempt:
        """Renew the tokens, check the subscription, or both, within 25 s. Never raises."""
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
        """Return why the account's token does not work, or None if it does. Never raises."""
        try:
            account = self._decrypted(task)
            self.products[task.provider].check_access(account, deadline)
        except InstagramConnectError as error:
            return error
        except Exception as defect:  # noqa: BLE001 - one bad account must not stop outage detection
            return _unexpected(defect)
        return None

    def _decrypted(self, task: RefreshTask) -> DiscoveredAccount:
        return task.account(self.vault.decrypt(task.access_token_ciphertext, _binding(task)))

    def _user_token(self, task: RefreshTask) -> str | None:
        # Only when renewing: each decryption is a KMS call, and every account is checked daily.
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
        """Check the webhook subscription, and restore it if Meta dropped it.

        A missing permission or a rejected call affects webhooks alone and is returned in the result. Raises other
        MetaErrors.
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
        """Check the token with a second call unless the failure names its cause; return None if the token works.

        An error 190 without a subcode can be our own mistake, and a permission may be missing for one endpoint only.
        """
        if names_its_cause(failure):
            return failure
        try:
            product.check_access(account, deadline)
        except InstagramConnectError as error:  # this call's error, so that it compares with the control group's
            return error
        return None


def _unexpected(defect: Exception) -> InternalError:
    cause = type(defect).__name__
    logger.error("Could not refresh an account: unexpected error", extra={"cause": cause, "stack": stack_of(defect)})
    return InternalError(log_context={"cause": cause})


def _binding(task: RefreshTask) -> TokenBinding:
    return TokenBinding(task.user_id, task.provider, task.instagram_business_id)
