"""Storage for refreshing: leases, results and rate limits.

A lease names its owner. A connection, a disconnection, a dead token or another claim takes the lease away, and writes
by the former owner then change nothing. So a newer token is never overwritten, and two sweeps never get the same
account.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from instagram_connect.errors import RECONNECT_HINTS, InstagramConnectError
from instagram_connect.meta.usage import Usage
from instagram_connect.models import Account, Provider
from instagram_connect.refresh.models import Claim, ClaimedRefresh, EncryptedRenewal, RefreshTask, SubscriptionCheck
from instagram_connect.runtime.clock import iso
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.rpc import RpcCaller

DAY_S = 86_400


@dataclass(frozen=True)
class RefreshRules:
    """When refreshes and checks are due. Durations are in seconds.

    `lead_s`: how long before its end a token is due, and its user is asked to reconnect if refreshing does not help.
    `spread_s`: the time before that over which accounts connected together are spread. `recheck_s`: how often a
    Facebook login is verified and exchanged. `subscription_s`: how often webhooks are checked.
    """

    lead_s: float = 10 * DAY_S
    spread_s: float = 5 * DAY_S
    recheck_s: float = 7 * DAY_S
    subscription_s: float = DAY_S
    # Less than an hour: the accounts of a worker that died are claimed by the second sweep after it at the latest.
    lease_s: float = 3300
    # Meta's limits, in percent of what an app may call: https://developers.facebook.com/docs/graph-api/overview/rate-limiting
    slow_percent: int = 75
    stop_percent: int = 90
    # Accounts per sweep while the app is close to its call limit.
    slow_limit: int = 50

    @classmethod
    def with_lead_of(cls, days: float) -> "RefreshRules":
        """The rules of a deployment that refreshes tokens at the latest so many days before their end."""
        lead_s = days * DAY_S
        return cls(lead_s=lead_s, spread_s=lead_s / 2)


@dataclass(frozen=True)
class RefreshRepository:
    """Stored procedures of refreshing, one call each. All raise StorageError. Safe to use from several threads."""

    rpcs: RpcCaller
    now: Callable[[], datetime]
    rules: RefreshRules = field(default_factory=RefreshRules)

    def claim(self, owner: str, limit: int, deadline: Deadline) -> tuple[Claim, ...]:
        """Lease at most `limit` due accounts to this owner. No account is leased to two owners."""
        rows = self.rpcs.call(
            "claim_refreshes", {**self._asked(), **vars(self.rules), "owner": owner, "limit": limit}, deadline
        )
        return tuple(map(Claim.model_validate, rows))

    def claim_one(
        self, account_id: str, *, user_id: str, owner: str, lease_s: float, deadline: Deadline
    ) -> ClaimedRefresh | None:
        """Lease a user's account, due or not, or return why not. Returns None if the user has no such account."""
        asked = {"account_id": account_id, "user_id": user_id, "owner": owner, "lease_s": lease_s}
        row = self.rpcs.call("claim_refresh", {**self._asked(), **asked}, deadline)
        if row is None:
            return None
        return ClaimedRefresh(
            state=row["state"],
            account=Account.model_validate(row["account"]),
            reconnect_reason=row["reconnect_reason"],
            last_refreshed_at=_moment(row["last_refreshed_at"]),
            leased_by=row["leased_by"],
            possible_from=_moment(row["possible_from"]),
            task=RefreshTask.model_validate(row["task"]) if row["task"] else None,
        )

    def leased(self, owner: str, account_ids: Iterable[str], deadline: Deadline) -> tuple[RefreshTask, ...]:
        """Return the accounts whose leases the owner still holds; finished and lost ones are left out."""
        asked = {"owner": owner, "account_ids": list(account_ids)}
        rows = self.rpcs.call_patiently("leased_refreshes", {**self._asked(), **asked}, deadline)
        return tuple(map(RefreshTask.model_validate, rows))

    def finished(
        self,
        owner: str,
        account_id: str,
        *,
        renewal: EncryptedRenewal | None,
        subscription: SubscriptionCheck | None,
        usage: Sequence[Usage],
        not_before: datetime | None = None,
    ) -> dict[str, Any]:
        """Return the JSON payload with which `finish` stores a successful refresh, now or later."""
        return {
            **self._asked(),
            "owner": owner,
            "account_id": account_id,
            "renewal": _renewal_payload(renewal) if renewal else None,
            "subscription": {"subscribed_at": iso(subscription.subscribed_at), "error": subscription.error}
            if subscription
            else None,
            "usage": self._usage_payload(usage),
            "not_before": iso(not_before),
        }

    def kept(self, payload: Mapping[str, Any], task: RefreshTask) -> dict[str, Any]:
        """Extend a payload of `finished` so that it can be stored without the lease unless newer data was stored."""
        return {
            **payload,
            "is_kept": True,
            "issued_at": iso(task.issued_at),
            "last_refreshed_at": iso(task.last_refreshed_at),
        }

    def finish(self, payload: Mapping[str, Any], deadline: Deadline) -> Account | None:
        """Store a result and release the lease. Stores nothing and returns None if the lease was lost."""
        answer = self.rpcs.call_patiently("finish_refresh", payload, deadline)
        return Account.model_validate(answer["account"]) if answer["is_written"] else None

    def end(self, owner: str, account_id: str, failure: InstagramConnectError, deadline: Deadline) -> Account | None:
        """Mark an account whose token is dead, with an event. Returns None if the lease was lost."""
        reason = failure.reason or failure.code
        told = {
            "code": failure.log_context.get("meta_code"),
            "subcode": failure.log_context.get("meta_subcode"),
            "reason": reason,
            "hint": RECONNECT_HINTS.get(reason, failure.hint),
        }
        return self.finish({**self._asked(), "owner": owner, "account_id": account_id, "failure": told}, deadline)

    def released(
        self, account_id: str, *, not_before: datetime | None = None, usage: Sequence[Usage] = ()
    ) -> dict[str, Any]:
        """Return an entry for `release`. `not_before` pauses the account until then."""
        return {"account_id": account_id, "not_before": iso(not_before), "usage": self._usage_payload(usage)}

    def release(self, owner: str, accounts: Sequence[Mapping[str, Any]], deadline: Deadline) -> None:
        """Release the leases of `released` accounts. Their tokens and states do not change."""
        asked = {"owner": owner, "accounts": accounts}
        self.rpcs.call_patiently("release_refreshes", {**self._asked(), **asked}, deadline)

    def witnesses(
        self, provider: Provider, except_people: Iterable[str], limit: int, deadline: Deadline
    ) -> tuple[RefreshTask, ...]:
        """Return a control group of other people's accounts, most recently working first. They are not leased."""
        asked = {"provider": provider, "except_people": sorted(except_people), "limit": limit}
        return tuple(map(RefreshTask.model_validate, self.rpcs.call("refresh_witnesses", asked, deadline)))

    def suspend(self, provider: Provider, reason: str, deadline: Deadline) -> bool:
        """Suspend refreshing of a product except for one probe per sweep; return whether it was not yet suspended."""
        asked = {**self._asked(), "provider": provider, "suspended_reason": reason}
        return bool(self.rpcs.call_patiently("brake_refreshes", asked, deadline)["is_new_suspension"])

    def resume(self, provider: Provider, deadline: Deadline) -> None:
        """End a suspension. A successful refresh does this too."""
        self.rpcs.call_patiently(
            "brake_refreshes", {**self._asked(), "provider": provider, "is_resumed": True}, deadline
        )

    def brake(
        self, provider: Provider, app_used_percent: int | None, paused_until: datetime | None, deadline: Deadline
    ) -> None:
        """Store how much of the app's call limit is used and until when the product is paused."""
        asked = {"app_used_percent": app_used_percent, "paused_until": iso(paused_until), "provider": provider}
        self.rpcs.call("brake_refreshes", {**self._asked(), **asked}, deadline)

    def overview(self, limit: int, deadline: Deadline) -> dict[str, Any]:
        """Return the state of all tokens, as described at the SQL function `refresh_overview`."""
        overview: dict[str, Any] = self.rpcs.call(
            "refresh_overview", {**self._asked(), **vars(self.rules), "limit": limit}, deadline
        )
        return overview

    def _asked(self) -> dict[str, Any]:
        return {"now": self.now().isoformat()}

    def _usage_payload(self, usage: Sequence[Usage]) -> list[dict[str, Any]]:
        now = self.now().timestamp()
        latest = {entry.usage_type: entry for entry in usage}
        return [
            {
                "usage_type": entry.usage_type,
                "used_percent": entry.used_percent,
                "regain_access_at": iso(datetime.fromtimestamp(now + entry.regain_access_s, self.now().tzinfo))
                if entry.regain_access_s
                else None,
            }
            for entry in latest.values()
        ]


def _renewal_payload(renewal: EncryptedRenewal) -> dict[str, Any]:
    request = renewal.reconnect
    return {
        "obtained_at": iso(renewal.obtained_at),
        "access_token_ciphertext": renewal.access_token_ciphertext,
        "user_token_ciphertext": renewal.user_token_ciphertext,
        "expires_at": iso(renewal.expires_at),
        "data_access_expires_at": iso(renewal.data_access_expires_at),
        "reconnect": {"before": iso(request.before), "reason": request.reason, "hint": request.hint}
        if request
        else None,
    }


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
