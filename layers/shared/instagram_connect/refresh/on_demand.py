"""Refreshes one account at its user's request, with a single call to Meta for any number of tabs.

The lease lets one request refresh the account; concurrent requests wait for its result.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

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
from instagram_connect.refresh.account_refresh import FailureKind, failure_kind
from instagram_connect.refresh.batch import RefreshBatch
from instagram_connect.refresh.models import ON_DEMAND, Claim, ClaimedRefresh, RefreshTask
from instagram_connect.refresh.repository import RefreshRepository
from instagram_connect.runtime.deadline import Deadline

# Longer than the function's time-out, so that no second refresh starts meanwhile; short enough for the next sweep.
LEASE_S = 60.0
POLL_INTERVAL_S = 0.3
MIN_REMAINING_S = 1.0
RECENT = timedelta(minutes=1)


@dataclass(frozen=True)
class RefreshOnDemand:
    """Refreshes accounts for their users. Shared between requests; keeps no state of theirs."""

    batch: Callable[[], RefreshBatch]
    repository: RefreshRepository
    sleep: Callable[[float], None] = time.sleep

    def refresh(self, account_id: str, *, user_id: str, deadline: Deadline) -> Account:
        """Refresh the account, or wait for a concurrent request that does; return the account.

        Raises AccountNotFoundError, AccountDisconnectedError, TokenTooYoungError, ReconnectRequiredError,
        RefreshInProgressError, MetaError, StorageError, TokenEncryptionError.
        """
        owner = f"{ON_DEMAND}{uuid.uuid4()}"
        began_at = self.repository.now()
        has_waited = False  # for another request; a sweep may only have checked the webhooks
        while True:
            found = self.repository.claim_one(
                account_id, user_id=user_id, owner=owner, lease_s=LEASE_S, deadline=deadline
            )
            if found is None:
                raise AccountNotFoundError
            # Refreshed during this request or just before it, by another tab.
            is_fresh = found.last_refreshed_at and found.last_refreshed_at >= began_at - RECENT
            if is_fresh and found.account.status == "active":
                return found.account
            if found.task and has_waited:
                # The other request failed. Retrying is up to the user, not to each open tab.
                self.repository.release(owner, [self.repository.released(account_id)], deadline)
                raise MetaUnavailableError
            if found.task and (account := self._refresh(owner, found.task, deadline)):
                return account
            if found.task:
                # Queued because storage failed, or overtaken by a login or a disconnection: read the account again.
                has_waited = True
                continue
            if found.state != "leased":
                raise self._refusal(found)
            if deadline.remaining_s() < MIN_REMAINING_S:
                raise RefreshInProgressError(retry_after_s=10)
            has_waited = has_waited or (found.leased_by or "").startswith(ON_DEMAND)
            self.sleep(POLL_INTERVAL_S)

    def _refresh(self, owner: str, task: RefreshTask, deadline: Deadline) -> Account | None:
        """Return the stored account, or None if nothing was stored. Raises the error of a failed refresh."""
        claim = Claim(account_id=task.account_id, provider=task.provider, renew=True, check_subscription=False)
        outcome = self.batch().refresh(owner, task.provider, [(task, claim)], deadline)[task.account_id]
        if outcome.error and failure_kind(outcome.error) is FailureKind.DEAD and outcome.account is None:
            # An outage, or not certain: a new login would not help.
            raise MetaUnavailableError(log_context=outcome.error.log_context)
        if outcome.error:
            raise _with_refresh_hint(outcome.error)
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
                return _with_refresh_hint(MetaRateLimitedError(retry_after_s=wait_s))
            case _:
                return InternalError(log_context={"state": found.state})


def _with_refresh_hint(error: InstagramConnectError) -> InstagramConnectError:
    """Adjust the hint for a user whose account still works and who need not do anything."""
    if isinstance(error, MetaRateLimitedError):
        error.hint = "Nothing to do: the account works, and is refreshed when Meta allows calls again."
    return error
