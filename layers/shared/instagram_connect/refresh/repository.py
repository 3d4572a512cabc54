"""Storage of refreshing: claims with leases, what came of them, and brakes.

A lease names its owner. Whoever connects, disconnects, ends or claims the account takes it away, and then what the
former owner writes changes nothing: so a newer token is never overwritten, and two sweeps never get the same account.
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
    """When something is due. Seconds.

    `lead_s`: so long before its end a token is refreshed at the latest, and its user asked where that does not help.
    `spread_s`: accounts that were connected together are spread over so much time before that. `recheck_s`: how often a
    Facebook login is verified and exchanged. `subscription_s`: how often webhooks are checked.
    """

    lead_s: float = 10 * DAY_S
    spread_s: float = 5 * DAY_S
    recheck_s: float = 7 * DAY_S
    subscription_s: float = DAY_S
    # The sweep comes every hour: what was lost with a worker is claimed again by the next but one at the latest.
    lease_s: float = 3300
    # Meta's limits, in percent of what an app may call: https://developers.facebook.com/docs/graph-api/overview/rate-limiting
    slow_percent: int = 75
    stop_percent: int = 90
    # So many accounts a sweep while calls are scarce.
    slow_limit: int = 50

    @classmethod
    def with_lead_of(cls, days: float) -> "RefreshRules":
        """The rules of a deployment that refreshes tokens at the latest so many days before their end."""
        lead_s = days * DAY_S
        return cls(lead_s=lead_s, spread_s=lead_s / 2)


@dataclass(frozen=True)
class RefreshRepository:
    """The verbs of refreshing, one call each. All raise StorageError. Safe to use from several threads."""

    rpcs: RpcCaller
    now: Callable[[], datetime]
    rules: RefreshRules = field(default_factory=RefreshRules)

    def claim(self, owner: str, limit: int, deadline: Deadline) -> tuple[Claim, ...]:
        """Leases at most `limit` accounts that are due to this owner; no account goes to two owners."""
        rows = self.rpcs.call(
            "claim_refreshes", {**self._asked(), **vars(self.rules), "owner": owner, "limit": limit}, deadline
        )
        return tuple(map(Claim.model_validate, rows))

    def claim_one(
        self, account_id: str, *, user_id: str, owner: str, lease_s: float, deadline: Deadline
    ) -> ClaimedRefresh | None:
        """Leases one account of a user, due or not, or says why not; None when the user has no such account."""
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
        """Those of the accounts whose lease the owner still holds: what is done or lost is left out."""
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
        """What `finish` writes for a refresh that succeeded, as JSON: it can be kept and written later."""
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
        """What `finished` gave, to be written later: also without the lease, unless something newer was stored."""
        return {
            **payload,
            "is_kept": True,
            "issued_at": iso(task.issued_at),
            "last_refreshed_at": iso(task.last_refreshed_at),
        }

    def finish(self, payload: Mapping[str, Any], deadline: Deadline) -> Account | None:
        """Writes what came of a refresh and gives the lease back; None, and nothing written, once it is lost."""
        answer = self.rpcs.call_patiently("finish_refresh", payload, deadline)
        return Account.model_validate(answer["account"]) if answer["is_written"] else None

    def end(self, owner: str, account_id: str, failure: InstagramConnectError, deadline: Deadline) -> Account | None:
        """Marks an account whose token is dead, and announces it; None once the lease is lost."""
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
        """An entry of `release`: with a time, the account is left alone until then."""
        return {"account_id": account_id, "not_before": iso(not_before), "usage": self._usage_payload(usage)}

    def release(self, owner: str, accounts: Sequence[Mapping[str, Any]], deadline: Deadline) -> None:
        """Gives the leases of `released` accounts back. Their tokens and states stay as they are."""
        asked = {"owner": owner, "accounts": accounts}
        self.rpcs.call_patiently("release_refreshes", {**self._asked(), **asked}, deadline)

    def witnesses(
        self, provider: Provider, except_people: Iterable[str], limit: int, deadline: Deadline
    ) -> tuple[RefreshTask, ...]:
        """Accounts of other people, those first that were last known to work. They are not leased: only ask."""
        asked = {"provider": provider, "except_people": sorted(except_people), "limit": limit}
        return tuple(map(RefreshTask.model_validate, self.rpcs.call("refresh_witnesses", asked, deadline)))

    def suspend(self, provider: Provider, reason: str, deadline: Deadline) -> bool:
        """Stops refreshing a login product, but for one probe a sweep, until one works; whether it ran before."""
        asked = {**self._asked(), "provider": provider, "suspended_reason": reason}
        return bool(self.rpcs.call_patiently("brake_refreshes", asked, deadline)["is_new_suspension"])

    def resume(self, provider: Provider, deadline: Deadline) -> None:
        """Ends a suspension. A refresh that works does so by itself."""
        self.rpcs.call_patiently(
            "brake_refreshes", {**self._asked(), "provider": provider, "is_resumed": True}, deadline
        )

    def brake(
        self, provider: Provider, app_used_percent: int | None, paused_until: datetime | None, deadline: Deadline
    ) -> None:
        """Notes how much of the app's call limit is used, and until when nothing is called."""
        asked = {"app_used_percent": app_used_percent, "paused_until": iso(paused_until), "provider": provider}
        self.rpcs.call("brake_refreshes", {**self._asked(), **asked}, deadline)

    def overview(self, limit: int, deadline: Deadline) -> dict[str, Any]:
        """How the tokens stand; the migration's `refresh_overview` says what is in it."""
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
