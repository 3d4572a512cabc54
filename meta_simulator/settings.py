"""The simulator's settings: strictness, paging, rate limits, and behaviour that Meta does not document."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from meta_simulator.recent_calls import MAX_COUNTED_CALLS

CallLimit = Annotated[int, Field(ge=1, le=MAX_COUNTED_CALLS)]

CALL_LIMITS = frozenset({"app_calls_per_hour", "account_calls_per_hour"})


class Settings(BaseModel):
    """All settings with their defaults. The control API changes them; unknown names are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    require_app_secret: bool = Field(
        default=False, description="The dashboard's 'Require App Secret': calls need an appsecret_proof."
    )
    omit_expires_in: bool = Field(
        default=False, description="Leave expires_in out of long-lived token responses, as Meta sometimes does."
    )
    max_page_size: Annotated[int, Field(ge=1, le=500)] = Field(
        default=100, description="Maximum number of Pages in one response of /me/accounts, whatever `limit` says."
    )
    empty_pages: bool = Field(
        default=False,
        description="Precede every page of results but the first by an empty one with a `next`.",
    )
    app_calls_per_hour: CallLimit | None = Field(
        default=None, description="Calls per hour and app, reported in X-App-Usage; null for no limit."
    )
    account_calls_per_hour: CallLimit | None = Field(
        default=None,
        description="Calls per hour and account, reported in X-Business-Use-Case-Usage; null for no limit.",
    )
    webhook_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        default=5, description="Time limit for the app's response to a webhook."
    )
    redirect_mismatch_subcode: int | None = Field(
        default=36008, description="Subcode of a redirect_uri mismatch; null for the plain code 100."
    )
    long_lived_reexchange: Literal["keeps_expiry", "extends"] = Field(
        default="keeps_expiry",
        description="What fb_exchange_token does with the expiry of a token that is already long-lived.",
    )
    append_fragment: bool = Field(
        default=False, description="End the dialog's redirects with '#_=_', as Facebook does."
    )
    instagram_answers: Literal["flat", "wrapped"] = Field(
        default="flat",
        description="Format of Instagram Login's code exchange and /me: flat as observed, or the documented data list.",
    )
    instagram_refresh_changes_token: bool = Field(
        default=True, description="Whether refreshing a long-lived Instagram token returns a new string."
    )
    instagram_upper_case_account_types: bool = Field(
        default=False, description="Return account_type in the older forms BUSINESS and MEDIA_CREATOR."
    )
    instagram_personal_accounts: bool = Field(
        default=False, description="Let Instagram's dialog accept personal accounts."
    )
