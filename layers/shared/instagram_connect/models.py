"""The nouns of a connection, as they travel between Meta, the vault and storage.

Meta's ids are text: they exceed 2^53 and arrive as JSON numbers or strings. Times are aware UTC. Tokens are never
part of a `repr`, so that an object may appear in a log or traceback.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Provider(StrEnum):
    """Which of Meta's login products a connection was made with."""

    FACEBOOK = "facebook"


@dataclass(frozen=True)
class UserToken:
    """A person's access token as Meta handed it out. `expires_at` is None when Meta named no end."""

    value: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True)
class Login:
    """What a login gave us: the person's token and what they granted with it."""

    provider: Provider
    token: UserToken
    meta_user_id: str | None
    granted_scopes: tuple[str, ...]
    data_access_expires_at: datetime | None


@dataclass(frozen=True)
class DiscoveredAccount:
    """An Instagram business account that a login may act for. `access_token` is the one to call Meta with for it."""

    instagram_business_id: str
    access_token: str = field(repr=False)
    username: str | None = None
    name: str | None = None
    biography: str | None = None
    website: str | None = None
    profile_picture_url: str | None = None
    followers_count: int | None = None
    follows_count: int | None = None
    media_count: int | None = None
    page_id: str | None = None
    page_name: str | None = None
    page_tasks: tuple[str, ...] = ()


@dataclass(frozen=True)
class AccountToStore:
    """One account with its tokens encrypted, ready for `store_connection`."""

    account: DiscoveredAccount
    access_token_ciphertext: str = field(repr=False)
    user_token_ciphertext: str = field(repr=False)
    webhook_subscribed_at: datetime | None
    webhook_subscription_error: str | None


@dataclass(frozen=True)
class ConnectionToStore:
    """One login with all its accounts: what one transaction stores."""

    user_id: str
    login: Login
    accounts: tuple[AccountToStore, ...]
    request_id: str


@dataclass(frozen=True)
class StoredAccount:
    """A row of instagram_business_accounts, as its owner may see it."""

    id: str
    instagram_business_id: str
    username: str | None
    name: str | None
    page_id: str | None
    page_name: str | None
    profile_picture_url: str | None
    followers_count: int | None
    token_expires_at: str | None
    status: str

    def public_view(self) -> dict[str, Any]:
        """The account as the HTTP contract shows it: camelCase, times in ISO 8601."""
        return {
            "id": self.id,
            "instagramBusinessId": self.instagram_business_id,
            "username": self.username,
            "name": self.name,
            "pageId": self.page_id,
            "pageName": self.page_name,
            "profilePictureUrl": self.profile_picture_url,
            "followersCount": self.followers_count,
            "tokenExpiresAt": self.token_expires_at,
            "status": self.status,
        }
