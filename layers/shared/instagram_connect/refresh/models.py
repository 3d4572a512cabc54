"""The nouns of refreshing: what is due, what a worker is given, and what came of it."""

from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from instagram_connect.models import Account, DiscoveredAccount, Provider

# How the owners of leases for a user's own refresh are told from those of sweeps.
ON_DEMAND = "on demand "


class Claim(BaseModel):
    """An account whose lease somebody took, and what is due: its token, its webhook subscription, or both.

    `is_slow`: its product's calls were scarce within the last hour.
    """

    model_config = ConfigDict(frozen=True)

    account_id: str
    provider: Provider
    renew: bool
    check_subscription: bool
    is_slow: bool = False


class RefreshTask(BaseModel):
    """All that refreshing one account needs. Tokens are ciphertexts."""

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
        """Who logged in: all tokens of a person can die at once, for reasons of their own."""
        return self.meta_user_id or self.user_id

    def account(self, access_token: str) -> DiscoveredAccount:
        """The account as a login product takes it."""
        return DiscoveredAccount(self.instagram_business_id, access_token, page_id=self.page_id)


@dataclass(frozen=True)
class ReconnectRequest:
    """The account still works, and its user has to connect again before it ends."""

    before: datetime
    reason: str
    hint: str


@dataclass(frozen=True)
class EncryptedRenewal:
    """A `models.Renewal` as it is stored. A ciphertext of None leaves that token as it was."""

    obtained_at: datetime
    access_token_ciphertext: str | None = field(repr=False)
    user_token_ciphertext: str | None = field(repr=False)
    expires_at: datetime | None
    data_access_expires_at: datetime | None
    reconnect: ReconnectRequest | None


@dataclass(frozen=True)
class SubscriptionCheck:
    """Whether webhooks come; `subscribed_at` when they had to be subscribed again, `error` when that failed."""

    subscribed_at: datetime | None = None
    error: str | None = None


@dataclass(frozen=True)
class ClaimedRefresh:
    """What claiming one account of a user found; `task` is there only in the state `claimed`.

    States: claimed, leased, too_young, paused, needs_reauth, disconnected. `possible_from` goes with two of them,
    `leased_by` with one.
    """

    state: str
    account: Account
    reconnect_reason: str | None
    last_refreshed_at: datetime | None
    leased_by: str | None
    possible_from: datetime | None
    task: RefreshTask | None
