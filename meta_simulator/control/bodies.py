"""The bodies that the control API takes; unknown names and wrong types are refused."""

import secrets
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from meta_simulator.errors import SessionEnd
from meta_simulator.meta_apps import Product
from meta_simulator.world import ALL_TASKS, AccountType

Count = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]


def _random_id(prefix: str) -> str:
    return f"{prefix}{secrets.randbelow(10**9):09d}"


class ControlRequest(BaseModel):
    """What all bodies have in common."""

    model_config = ConfigDict(extra="forbid")


class ClockMove(ControlRequest):
    """Either seconds to advance by, or the moment to continue from."""

    advance_seconds: float | None = None
    now: AwareDatetime | None = None

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "ClockMove":
        if (self.advance_seconds is None) == (self.now is None):
            raise ValueError("send either advance_seconds or now")
        return self


class Authorization(ControlRequest):
    """A login without clicks; what is left out means everything.

    `response_type` token is a login that somebody else's frontend made, with Facebook only.
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
    def _fits_together(self) -> "Authorization":
        if self.response_type == "code" and self.redirect_uri is None:
            raise ValueError("redirect_uri is missing")
        if self.product == "instagram":
            if self.response_type == "token":
                raise ValueError("Instagram Login gives codes only")
            if self.pages is not None or self.instagram_accounts is not None:
                raise ValueError("pages and instagram_accounts belong to Facebook Login")
        return self


class Revocation(ControlRequest):
    """One token, or those of a person or Instagram account; `page` belongs to the reason lost_page_role.

    `send_deauthorize`, with a person and the reason app_removed, lets the app know as Meta does.
    """

    reason: SessionEnd
    token: str | None = None
    person: str | None = None
    page: str | None = None
    app_id: str | None = None
    product: Product | None = None
    send_deauthorize: bool = False

    @model_validator(mode="after")
    def _names_a_victim(self) -> "Revocation":
        if (self.token is None) == (self.person is None):
            raise ValueError("send either token or person")
        needs_page = self.person is not None and self.reason is SessionEnd.LOST_PAGE_ROLE
        if needs_page != (self.page is not None):
            raise ValueError("page goes with a person and the reason lost_page_role")
        if self.send_deauthorize and (self.person is None or self.reason is not SessionEnd.APP_REMOVED):
            raise ValueError("send_deauthorize goes with a person and the reason app_removed")
        return self


class SubscriptionDrop(ControlRequest):
    """Whose webhook subscriptions are forgotten: an Instagram account, or a Page."""

    account: Text


class NewInstagramAccount(ControlRequest):
    """An Instagram account; the id is made up if it is left out."""

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
    """A Page to create with its person."""

    name: Text
    id: Text = Field(default_factory=lambda: _random_id("204857"))
    category: str = "Local business"
    owned_by_portfolio: bool = False
    tasks: list[str] = list(ALL_TASKS)
    instagram: NewInstagramAccount | None = None


class SharedPage(ControlRequest):
    """A role on a Page that exists already."""

    id: Text
    tasks: list[str] = list(ALL_TASKS)


class NewPerson(ControlRequest):
    """A person with new Pages, or roles on existing ones."""

    name: Text
    email: Text
    id: Text = Field(default_factory=lambda: _random_id("1022099"))
    pages: list[NewPage | SharedPage] = []


class NewInstagramOnly(ControlRequest):
    """Somebody who is on Instagram and not on Facebook: an account without a Page."""

    instagram: NewInstagramAccount


class NewApp(ControlRequest):
    """An app to register, or new settings (a new secret, for instance) for a known one."""

    id: Annotated[str, Field(pattern=r"^\d+$")]
    secret: Text = Field(repr=False)
    product: Product = "facebook"
    name: str = "Another app"
    redirect_uris: list[str] = []
