"""The switches of the simulator: strictness, paging, and answers that Meta leaves unconfirmed."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from meta_simulator.recent_calls import MAX_COUNTED_CALLS

CallLimit = Annotated[int, Field(ge=1, le=MAX_COUNTED_CALLS)]

CALL_LIMITS = frozenset({"app_calls_per_hour", "account_calls_per_hour"})


class Settings(BaseModel):
    """All switches with their defaults; the control API sets any of them, unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    require_app_secret: bool = Field(
        default=False, description="The dashboard's 'Require App Secret': calls need an appsecret_proof."
    )
    omit_expires_in: bool = Field(
        default=False, description="Leave expires_in out of long-lived token answers, as sometimes seen."
    )
    max_page_size: Annotated[int, Field(ge=1, le=500)] = Field(
        default=100, description="The most Pages in one answer of /me/accounts, whatever `limit` says."
    )
    empty_pages: bool = Field(
        default=False,
        description="Put an empty page of data, with a next one, before every page but the first.",
    )
    app_calls_per_hour: CallLimit | None = Field(
        default=None, description="Calls an hour for each app, with the header X-App-Usage; null for no limit."
    )
    account_calls_per_hour: CallLimit | None = Field(
        default=None,
        description="Calls an hour for each account, with X-Business-Use-Case-Usage; null for no limit.",
    )
    webhook_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        default=5, description="How long the app has for its answer to a webhook."
    )
    redirect_mismatch_subcode: int | None = Field(
        default=36008, description="Subcode of a redirect_uri mismatch; null for the plain code 100."
    )
    long_lived_reexchange: Literal["keeps_expiry", "extends"] = Field(
        default="keeps_expiry",
        description="What fb_exchange_token does to a token that is long-lived already.",
    )
    append_fragment: bool = Field(
        default=False, description="End the dialog's redirects with '#_=_', as Facebook does."
    )
    instagram_answers: Literal["flat", "wrapped"] = Field(
        default="flat",
        description="Shape of Instagram Login's code exchange and /me: flat as observed, or the documented data list.",
    )
    instagram_refresh_changes_token: bool = Field(
        default=True, description="Whether refreshing a long-lived Instagram token gives another string."
    )
    instagram_upper_case_account_types: bool = Field(
        default=False, description="Answer account_type in the older forms BUSINESS and MEDIA_CREATOR."
    )
    instagram_personal_accounts: bool = Field(
        default=False, description="Let accounts through Instagram's dialog that are not professional."
    )
