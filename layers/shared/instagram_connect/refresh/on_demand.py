"""Refreshing one account because its user asks: one call to Meta for any number of tabs.

The lease is what makes it one: whoever does not get it waits for the other's outcome and gives the same answer.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from instagram_connect.errors import (
    AccountDisconnectedError,
    AccountNotFoundError,
    InstagramConnectError,
    InternalError,
    MetaRateLimitedError,
    MetaUnavailableError,
    ReconnectRequiredError,
    RefreshInProgressError,
    TokenTooYoungError,
)
from instagram_connect.models import Account
from instagram_connect.refresh.models import ON_DEMAND, Claim, ClaimedRefresh, RefreshTask
from instagram_connect.refresh.repository import RefreshRepository
from instagram_connect.runtime.deadline import Deadline

if TYPE_CHECKING:
    from instagram_connect.refresh.batch import RefreshBatch

# Longer than the function lives, so that nobody else begins meanwhile; short enough for the next sweep.
LEASE_S = 60.0
POLL_INTERVAL_S = 0.3
MIN_REMAINING_S = 1.0
RECENT = timedelta(minutes=1)


@dataclass(frozen=True)
class RefreshOnDemand:
    """Refreshes accounts for their users. Shared between requests; holds nothing of any of them."""

    batch: "Callable[[], RefreshBatch]"
    repository: RefreshRepository
    sleep: Callable[[float], None] = time.sleep

    def refresh(self, account_id: str, *, user_id: str, deadline: Deadline) -> Account:
        """The account, with a token that was extended in this request or beside it.

        Raises AccountNotFoundError, AccountDisconnectedError, TokenTooYoungError, ReconnectRequiredError,
        RefreshInProgressError, MetaError, StorageError, TokenEncryptionError.
        """
        owner = f"{ON_DEMAND}{uuid.uuid4()}"
        began_at = self.repository.now()
        has_waited = False  # for another tab; a sweep may only have looked at the webhooks
        while True:
            found = self.repository.claim_one(
                account_id, user_id=user_id, owner=owner, lease_s=LEASE_S, deadline=deadline
            )
            if found is None:
                raise AccountNotFoundError
            # Beside this request or a moment before it: another tab's.
            is_fresh = found.last_refreshed_at and found.last_refreshed_at >= began_at - RECENT
            if is_fresh and found.account.status == "active":
                return found.account
            if found.task and has_waited:
                # The other one failed. To try once more is up to the user, not to each of their tabs.
                self.repository.release(owner, [self.repository.released(account_id)], deadline)
                raise MetaUnavailableError
            if found.task and (account := self._refresh(owner, found.task, deadline)):
                return account
            if found.task:
                # Kept until storage takes it, or overtaken by a login or a disconnection: the next look tells.
                has_waited = True
                continue
            if found.state != "leased":
                raise self._refusal(found)
            if deadline.remaining_s() < MIN_REMAINING_S:
                raise RefreshInProgressError(retry_after_s=10)
            has_waited = has_waited or (found.leased_by or "").startswith(ON_DEMAND)
            self.sleep(POLL_INTERVAL_S)

    def _refresh(self, owner: str, task: RefreshTask, deadline: Deadline) -> Account | None:
        """The account as it was written; None when nothing was. Raises what kept it from being refreshed."""
        from instagram_connect.refresh.account_refresh import (  # opens tokens, which a sweep never does: slow to load
            FailureKind,
            failure_kind,
        )

        claim = Claim(account_id=task.account_id, provider=task.provider, renew=True, check_subscription=False)
        outcome = self.batch().refresh(owner, task.provider, [(task, claim)], deadline)[task.account_id]
        if outcome.error and failure_kind(outcome.error) is FailureKind.DEAD and outcome.account is None:
            # It is not the account's fault, or not certainly: a new login would be in vain.
            raise MetaUnavailableError(log_context=outcome.error.log_context)
        if outcome.error:
            raise _for_a_refresh(outcome.error)
        return outcome.account

    def _refusal(self, found: ClaimedRefresh) -> Exception:
        wait_s = None
        if found.possible_from:
            wait_s = max(1, int((found.possible_from - self.repository.now()).total_seconds()))
        match found.state:
            case "needs_reauth":
                return ReconnectRequiredError(reason=found.reconnect_reason)
            case "disconnected":
                return AccountDisconnectedError()
            case "too_young":
                return TokenTooYoungError(retry_after_s=wait_s)
            case "paused":
                return _for_a_refresh(MetaRateLimitedError(retry_after_s=wait_s))
            case _:
                return InternalError(log_context={"state": found.state})


def _for_a_refresh(error: InstagramConnectError) -> InstagramConnectError:
    """The error in words for somebody whose account works: nothing has to be started again."""
    if isinstance(error, MetaRateLimitedError):
        error.hint = "Nothing to do: the account works, and is refreshed when Meta allows calls again."
    return error
