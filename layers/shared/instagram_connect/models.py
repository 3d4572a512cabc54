"""The objects of a connection, as they travel between Meta, the token vault and storage.

Meta's ids are text: they exceed 2^53 and arrive as JSON numbers or strings. Times are aware UTC. Tokens are left
out of every `repr`, so an object may appear in a log or traceback.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Provider(StrEnum):
    """Which of Meta's login products a connection was made with."""

    FACEBOOK = "facebook"
    INSTAGRAM = "instagram"


@dataclass(frozen=True)
class UserToken:
    """A person's access token as Meta issued it. `expires_at` is None if Meta gave no expiry.

    `granted_scopes` are the scopes that Meta returned with the token; None if it returned none.
    """

    value: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime | None
    granted_scopes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Login:
    """The result of a login: the person's token and the scopes they granted."""

    provider: Provider
    token: UserToken
    meta_user_id: str | None
    granted_scopes: tuple[str, ...]
    data_access_expires_at: datetime | None


@dataclass(frozen=True)
class DiscoveredAccount:
    """An Instagram business account that a login may act for. `access_token` is the token for calls on its behalf."""

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
    user_token_ciphertext: str | None = field(repr=False)
    webhook_subscribed_at: datetime | None
    webhook_subscription_error: str | None


@dataclass(frozen=True)
class ConnectionToStore:
    """One login with all its accounts, stored in one transaction."""

    user_id: str
    login: Login
    accounts: tuple[AccountToStore, ...]
    request_id: str


class Account(BaseModel):
    """A row of instagram_business_accounts as its owner sees it in the HTTP API.

    A parked account is not a row yet: its status is `pending`, and it has no id unless it was connected before.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, json_schema_serialization_defaults_required=True
    )

    id: str | None = Field(description="Id of the row, used by other routes. Null while a new account is pending.")
    provider: Provider = Field(description="The login product it was last connected with.")
    instagram_business_id: str = Field(
        description="Meta's id of the professional account; a string, because it exceeds 2^53."
    )
    username: str | None
    name: str | None
    page_id: str | None = Field(description="The linked Facebook Page; null with Instagram Login.")
    page_name: str | None
    profile_picture_url: str | None = Field(description="Expires after a few days.")
    followers_count: int | None
    token_expires_at: str | None = Field(description="ISO 8601; null if the token does not expire.")
    connected_at: datetime = Field(description="When it was last connected.")
    status: Literal["active", "needs_reauth", "disconnected", "pending"]
    reconnect_reason: str | None = Field(
        default=None, description="Why the user must connect again, see docs/errors.md; null if nothing is needed."
    )
    reconnect_hint: str | None = Field(default=None, description="What to do about it, in words for the user.")
    reconnect_before: datetime | None = Field(
        default=None, description="Works until then; stops unless the user connects again."
    )


@dataclass(frozen=True)
class DisconnectedAccount:
    """An account whose tokens were just erased in storage, with what is left to do at Meta.

    The ciphertexts are the last copies; None if there were none, as on a repeated disconnection. `is_last_of_account`:
    nobody else has this Instagram account connected, so its webhooks may end. `is_last_of_person`: no other connection
    uses this person's grant, so it may be revoked.
    """

    account: Account
    meta_user_id: str | None
    access_token_ciphertext: str | None = field(repr=False)
    user_token_ciphertext: str | None = field(repr=False)
    is_last_of_account: bool
    is_last_of_person: bool


@dataclass(frozen=True)
class Renewal:
    """The tokens that a login product returned for a refresh.

    A token of None is unchanged. `expires_at` is None if Meta gave no expiry. `obtained_at` is when Meta answered.
    `data_access_expires_at` counts only if `tells_data_access`; then None means that data access does not expire.
    """

    obtained_at: datetime
    access_token: str | None = field(repr=False)
    user_token: str | None = field(repr=False)
    expires_at: datetime | None
    data_access_expires_at: datetime | None = None
    tells_data_access: bool = False
