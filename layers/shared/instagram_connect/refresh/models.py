"""Models of refreshing: claims, tasks and results."""

from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from instagram_connect.models import Account, DiscoveredAccount, Provider

# Prefix of lease owners for refreshes that a user asked for. Sweeps have none.
ON_DEMAND = "on demand "


class Claim(BaseModel):
    """A leased account and what is due: its token, its webhook subscription, or both.

    `is_slow`: the product came close to its call limit within the last hour.
    """

    model_config = ConfigDict(frozen=True)

    account_id: str
    provider: Provider
    renew: bool
    check_subscription: bool
    is_slow: bool = False


class RefreshTask(BaseModel):
    """Everything needed to refresh one account. Tokens are encrypted."""

    model_config = ConfigDict(frozen=True)

    account_id: str
    user_id: str
    provider: Provider
    instagram_business_id: str
    meta_user_id: str | None
    page_id: str | None
    issued_at: datetime
    last_refreshed_at: datetime | None = None
    expires_at: datetime | None
    data_access_expires_at: datetime | None
    access_token_ciphertext: str = Field(repr=False)
    user_token_ciphertext: str | None = Field(repr=False)
    is_suspended: bool = False

    @property
    def person(self) -> str:
        """The person who logged in. All of a person's tokens can die at once, for example after a password change."""
        return self.meta_user_id or self.user_id

    def account(self, access_token: str) -> DiscoveredAccount:
        """The account in the form that a login product expects."""
        return DiscoveredAccount(self.instagram_business_id, access_token, page_id=self.page_id)


@dataclass(frozen=True)
class ReconnectRequest:
    """The account still works, but its user must reconnect it before `before`."""

    before: datetime
    reason: str
    hint: str


@dataclass(frozen=True)
class EncryptedRenewal:
    """A `models.Renewal` with encrypted tokens. A ciphertext of None leaves the stored token unchanged."""

    obtained_at: datetime
    access_token_ciphertext: str | None = field(repr=False)
    user_token_ciphertext: str | None = field(repr=False)
    expires_at: datetime | None
    data_access_expires_at: datetime | None
    reconnect: ReconnectRequest | None


@dataclass(frozen=True)
class SubscriptionCheck:
    """Result of checking webhooks: `subscribed_at` if the subscription was restored, `error` if the check failed."""

    subscribed_at: datetime | None = None
    error: str | None = None


@dataclass(frozen=True)
class ClaimedRefresh:
    """Result of claiming one of a user's accounts. `task` is set only in the state `claimed`.

    States: claimed, leased, too_young, paused, needs_reauth, disconnected. `possible_from` is set for too_young and
    paused, `leased_by` for leased.
    """

    state: str
    account: Account
    reconnect_reason: str | None
    last_refreshed_at: datetime | None
    leased_by: str | None
    possible_from: datetime | None
    task: RefreshTask | None
