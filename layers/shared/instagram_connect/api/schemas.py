"""The HTTP contract: request and response bodies in camelCase JSON. docs/openapi.json is generated from it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, StringConstraints, Tag, TypeAdapter
from pydantic.alias_generators import to_camel

from instagram_connect.errors import Actor
from instagram_connect.models import Account, Provider

RedirectUri = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2048),
    Field(description="Exactly the login dialog's redirect URI. Must be on the deployment's allow-list."),
]


class RequestBody(BaseModel):
    """Base of all request bodies: no type coercion, unknown fields ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, strict=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )


class AuthorizeRequest(RequestBody):
    """The login to start."""

    redirect_uri: RedirectUri
    provider: Provider = Provider.FACEBOOK
    rerequest: bool = Field(default=False, description="Ask again for permissions declined earlier.")


def _without_fragment(code: Any) -> Any:
    # Meta appends #_ or #_=_ to the redirect, and some frontends pass it on.
    return code.partition("#")[0] if isinstance(code, str) else code


class CodeLogin(RequestBody):
    """A code from Meta's login dialog."""

    code: Annotated[str, BeforeValidator(_without_fragment), StringConstraints(min_length=1, max_length=4096)] = Field(
        description="The authorization code. Meta's trailing `#_` is ignored."
    )
    redirect_uri: RedirectUri
    provider: Provider | None = Field(default=None, description="Defaults to the state's provider, else facebook.")
    state: Annotated[str, StringConstraints(max_length=4096)] | None = Field(
        default=None, description="The state issued by authorize. Some deployments require it."
    )


class TokenLogin(RequestBody):
    """A token from Supabase Auth's own Facebook login."""

    access_token: Annotated[str, StringConstraints(min_length=1, max_length=4096)] = Field(
        description="The session's `provider_token`."
    )
    provider: Provider = Provider.FACEBOOK


def _kind_of_login(body: Any) -> str | None:
    sent = {name for name in ("code", "accessToken") if isinstance(body, dict) and body.get(name) is not None}
    if len(sent) == 2:
        return None
    return TokenLogin.__name__ if "accessToken" in sent else CodeLogin.__name__


ExchangeTokenRequest: TypeAdapter[CodeLogin | TokenLogin] = TypeAdapter(
    Annotated[
        Annotated[CodeLogin, Tag(CodeLogin.__name__)] | Annotated[TokenLogin, Tag(TokenLogin.__name__)],
        Discriminator(
            _kind_of_login,
            custom_error_type="one_way_in",
            custom_error_message="Send either `code` or `accessToken`, not both",
        ),
    ]
)


class RefreshTokenRequest(RequestBody):
    """The account to refresh."""

    business_account_id: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="Id of one of the user's own accounts."
    )


class ResponseBody(BaseModel):
    """Base of all response bodies."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, json_schema_serialization_defaults_required=True
    )


class Authorization(ResponseBody):
    """Where to send the browser."""

    authorize_url: str = Field(description="URL of Meta's login dialog, including all parameters.")
    state: str = Field(description="The dialog returns it; pass it to exchange-token.")
    expires_at: datetime = Field(description="When the state expires.")


class Connection(ResponseBody):
    """The accounts connected by a login, at least one."""

    business_account_id: str = Field(description="Id of the first account.")
    accounts: tuple[Account, ...]


class DeferredConnection(ResponseBody):
    """The login worked and is safely kept. Its accounts are stored within minutes of the outage ending."""

    business_account_id: None = Field(default=None, description="Always null: nothing is stored yet.")
    accounts: tuple[Account, ...] = Field(description="With status `pending`; empty while Meta has not listed them.")


class UnfinishedLogin(ResponseBody):
    """A login whose accounts Meta has not listed yet."""

    provider: Provider
    started_at: datetime
    status: Literal["pending", "needs_reauth"] = Field(
        description="`pending` continues automatically; `needs_reauth` has failed, and only a new login helps."
    )
    code: str | None = Field(description="The error that ended it, see docs/errors.md; null while pending.")


class Accounts(ResponseBody):
    """All accounts of the user, including disconnected and pending ones."""

    accounts: tuple[Account, ...]
    unfinished_logins: tuple[UnfinishedLogin, ...]
    complete: bool = Field(description="False while storage cannot be read; only pending items are listed then.")


class Disconnection(ResponseBody):
    """A disconnected account, and what was undone at Meta."""

    account: Account
    unsubscribed: bool = Field(description="This request ended the account's webhooks at Meta.")
    kept_for_others: bool = Field(
        description="Webhooks stay on because another user of the app has the same account connected."
    )
    revoked: bool = Field(
        description="The user's whole grant was revoked. Only with Facebook Login, and only once no other account "
        "depends on it; otherwise the user can remove the app at Meta."
    )


class RefreshedAccount(ResponseBody):
    """The account with its extended token."""

    account: Account


class Health(ResponseBody):
    """Connections can be stored right now."""

    status: Literal["ok"] = "ok"
    storage: Literal["ok"] = "ok"


class Problem(ResponseBody):
    """An error. docs/errors.md explains each code and who must act."""

    success: Literal[False] = False
    error: str = Field(description="What happened, in words for the user.")
    details: str = Field(description="The specifics of this case.")
    code: str
    reason: str | None = Field(default=None, description="Refines some codes.")
    actor: Actor = Field(description="Who must act.")
    recoverable: bool = Field(description="Whether the user can simply try again, by logging in again or by waiting.")
    retry_after_seconds: int | None = None
    hint: str = Field(description="What to do about it, in words for the user.")
    request_id: str = Field(description="The `correlation_id` of every log line of the request.")
