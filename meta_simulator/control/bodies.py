"""The request bodies of the control API. Unknown fields and wrong types are rejected."""

import secrets
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from meta_simulator.errors import RevocationReason
from meta_simulator.meta_apps import Product
from meta_simulator.world import ALL_TASKS, AccountType

Count = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]


def _random_id(prefix: str) -> str:
    return f"{prefix}{secrets.randbelow(10**9):09d}"


class ControlRequest(BaseModel):
    """Base of all request bodies."""

    model_config = ConfigDict(extra="forbid")


class ClockMove(ControlRequest):
    """Seconds to advance by, or the time to continue from."""

    advance_seconds: float | None = None
    now: AwareDatetime | None = None

    @model_validator(mode="after")
    def _check(self) -> "ClockMove":
        if (self.advance_seconds is None) == (self.now is None):
            raise ValueError("send either advance_seconds or now")
        return self


class Authorization(ControlRequest):
    """A scripted login. Fields left out mean everything: all scopes, Pages and accounts.

    `response_type` token stands for a login made by someone else's frontend, with Facebook only.
    """

    product: Product = "facebook"
    response_type: Literal["code", "token"] = "code"
    person: Text
    redirect_uri: Text | None = None
    scopes: list[str] | str | None = None
    declined_scopes: list[str] | str = []
    pages: list[str] | None = None
    instagram_accounts: list[str] | None = None
    state: str | None = None
    app_id: str | None = None

    @model_validator(mode="after")
    def _check(self) -> "Authorization":
        if self.response_type == "code" and self.redirect_uri is None:
            raise ValueError("redirect_uri is missing")
        if self.product == "instagram":
            if self.response_type == "token":
                raise ValueError("Instagram Login supports response_type code only")
            if self.pages is not None or self.instagram_accounts is not None:
                raise ValueError("pages and instagram_accounts are for Facebook Login only")
        return self


class Revocation(ControlRequest):
    """Revokes one token, or all of a person or Instagram account.

    `page` is required for a person with the reason lost_page_role. `send_deauthorize`, for a person with the reason
    app_removed, also calls the app's deauthorize URL, as Meta does.
    """

    reason: RevocationReason
    token: str | None = None
    person: str | None = None
    page: str | None = None
    app_id: str | None = None
    product: Product | None = None
    send_deauthorize: bool = False

    @model_validator(mode="after")
    def _check(self) -> "Revocation":
        if (self.token is None) == (self.person is None):
            raise ValueError("send either token or person")
        needs_page = self.person is not None and self.reason is RevocationReason.LOST_PAGE_ROLE
        if needs_page != (self.page is not None):
            raise ValueError("page is required for a person with the reason lost_page_role, and not allowed otherwise")
        if self.send_deauthorize and (self.person is None or self.reason is not RevocationReason.APP_REMOVED):
            raise ValueError("send_deauthorize requires a person and the reason app_removed")
        return self


class SubscriptionDrop(ControlRequest):
    """The Instagram account or Page whose webhook subscriptions are dropped."""

    account: Text


class NewInstagramAccount(ControlRequest):
    """An Instagram account. The id is generated if left out."""

    username: Text
    id: Text = Field(default_factory=lambda: _random_id("17841490"))
    name: str = ""
    biography: str = ""
    website: str = ""
    followers_count: Count = 0
    follows_count: Count = 0
    media_count: Count = 0
    account_type: AccountType = AccountType.BUSINESS


class NewPage(ControlRequest):
    """A Page to create together with its person."""

    name: Text
    id: Text = Field(default_factory=lambda: _random_id("204857"))
    category: str = "Local business"
    owned_by_portfolio: bool = False
    tasks: list[str] = list(ALL_TASKS)
    instagram: NewInstagramAccount | None = None


class SharedPage(ControlRequest):
    """A role on an existing Page."""

    id: Text
    tasks: list[str] = list(ALL_TASKS)


class NewPerson(ControlRequest):
    """A person with new Pages, or roles on existing ones."""

    name: Text
    email: Text
    id: Text = Field(default_factory=lambda: _random_id("1022099"))
    pages: list[NewPage | SharedPage] = []


class NewUnlinkedAccount(ControlRequest):
    """An Instagram account without a Page."""

    instagram: NewInstagramAccount


class NewApp(ControlRequest):
    """An app to register, or to replace, for instance to change its secret."""

    id: Annotated[str, Field(pattern=r"^\d+$")]
    secret: Text = Field(repr=False)
    product: Product = "facebook"
    name: str = "Another app"
    redirect_uris: list[str] = []
