"""The HTTP contract: what routes take and answer, camelCase JSON. docs/openapi.json is generated from it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, StringConstraints, Tag, TypeAdapter
from pydantic.alias_generators import to_camel

from instagram_connect.errors import Actor
from instagram_connect.models import Account, Provider

RedirectUri = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2048),
    Field(description="The one of the login dialog, character by character; on the deployment's allow-list."),
]


class RequestBody(BaseModel):
    """Base of what routes take: types as they are, unknown fields ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, strict=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )


class AuthorizeRequest(RequestBody):
    """Which login to start."""

    redirect_uri: RedirectUri
    provider: Provider = Provider.FACEBOOK
    rerequest: bool = Field(default=False, description="Ask again for what was declined before.")


def _without_fragment(code: Any) -> Any:
    # Meta ends the redirect with #_ or #_=_, and frontends take it along.
    return code.partition("#")[0] if isinstance(code, str) else code


class CodeLogin(RequestBody):
    """What Meta's dialog gave the frontend."""

    code: Annotated[str, BeforeValidator(_without_fragment), StringConstraints(min_length=1, max_length=4096)] = Field(
        description="The authorization code. Meta's trailing `#_` is ignored."
    )
    redirect_uri: RedirectUri
    provider: Provider | None = Field(default=None, description="Default: the state's, else facebook.")
    state: Annotated[str, StringConstraints(max_length=4096)] | None = Field(
        default=None, description="The state that authorize gave; some deployments require it."
    )


class TokenLogin(RequestBody):
    """What Supabase Auth's own Facebook login gave the frontend."""

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
    """Which account to refresh."""

    business_account_id: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="Id of one of the caller's own accounts."
    )


class Answer(BaseModel):
    """Base of what routes answer as `data`."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, json_schema_serialization_defaults_required=True
    )


class Authorization(Answer):
    """Where to send the browser."""

    authorize_url: str = Field(description="Meta's login dialog, with everything in it.")
    state: str = Field(description="Comes back from the dialog; hand it to exchange-token.")
    expires_at: datetime = Field(description="When the state ends.")


class Connection(Answer):
    """The accounts that a login connected, at least one."""

    business_account_id: str = Field(description="Id of the first account.")
    accounts: tuple[Account, ...]


class DeferredConnection(Answer):
    """The login worked and is kept safely; its accounts are stored within minutes of the cause being gone."""

    business_account_id: None = Field(default=None, description="There is none yet.")
    accounts: tuple[Account, ...] = Field(description="As `pending`; empty while Meta has not named them.")


class UnfinishedLogin(Answer):
    """A login whose accounts Meta has not named yet."""

    provider: Provider
    started_at: datetime
    status: Literal["pending", "needs_reauth"] = Field(
        description="`pending` goes on by itself; `needs_reauth` ended, and only a new login helps."
    )
    code: str | None = Field(description="The error that ended it, as in docs/errors.md; null while pending.")


class Accounts(Answer):
    """All accounts of the caller, also disconnected and pending ones."""

    accounts: tuple[Account, ...]
    unfinished_logins: tuple[UnfinishedLogin, ...]
    complete: bool = Field(description="False while storage cannot be read: then only what is pending is listed.")


class Disconnection(Answer):
    """An account without its tokens, and what Meta was told."""

    account: Account
    unsubscribed: bool = Field(description="Meta sends no more webhooks of it, because of this request.")
    kept_for_others: bool = Field(
        description="Another user of the app has the same account connected, so its webhooks stay on."
    )
    revoked: bool = Field(
        description="The person's whole grant was taken back. Only with Facebook Login, and only once no other "
        "account hangs on it; otherwise the person can remove the app at Meta."
    )


class RefreshedAccount(Answer):
    """The account with its extended token."""

    account: Account


class Health(Answer):
    """Connections can be stored right now."""

    status: Literal["ok"] = "ok"
    storage: Literal["ok"] = "ok"


class Problem(Answer):
    """Every error. docs/errors.md says what each code means and who does what."""

    success: Literal[False] = False
    error: str = Field(description="What happened, for people.")
    details: str = Field(description="What is special about this case.")
    code: str
    reason: str | None = Field(default=None, description="Splits some codes further.")
    actor: Actor = Field(description="Who must act.")
    recoverable: bool = Field(description="Whether the person may simply try again, by logging in again or later.")
    retry_after_seconds: int | None = None
    hint: str = Field(description="What to do about it, for people.")
    request_id: str = Field(description="Finds every log line of the request.")
