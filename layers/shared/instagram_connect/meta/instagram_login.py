"""Instagram API with Instagram Login: from an authorization code to the one account that was logged in with.

Sources: Meta's "Business Login for Instagram", "IG API with Instagram Login: Get Started" and "Setup Webhooks
Subscriptions". App id and secret differ from Facebook Login's. An account has two ids: `id` is app-scoped and
identifies the person in deauthorize and deletion callbacks; `user_id` is the professional account, which webhooks
carry. The code exchange returns the app-scoped one as `user_id`, so its answer is never used to identify an account.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import quote, urlencode

from instagram_connect.errors import (
    AccountNotProfessionalError,
    InvalidRequestError,
    LoginOutcomeUnknownError,
    MetaRequestRejectedError,
    PermissionMissingError,
    ScopesDeclinedError,
)
from instagram_connect.meta.graph import GraphClient
from instagram_connect.meta.json_values import (
    require_success,
    to_count,
    to_id,
    to_objects,
    to_text,
    to_texts,
    to_token,
    unwrapped,
)
from instagram_connect.models import DiscoveredAccount, Login, Provider, Renewal, UserToken
from instagram_connect.runtime.deadline import Deadline

REQUIRED_SCOPE = "instagram_business_basic"
PROFILE_FIELDS = "id,user_id,username,name,account_type,profile_picture_url,followers_count,follows_count,media_count"
SUBSCRIBED_FIELDS = "messages,message_reactions,messaging_postbacks,messaging_seen,messaging_referral,comments"


@dataclass(frozen=True)
class InstagramApp:
    """The Instagram side of a Meta app. URLs have no version and no trailing slash; `scopes` is comma-separated."""

    app_id: str
    app_secret: str = field(repr=False)
    graph_url: str
    api_url: str
    dialog_url: str
    graph_version: str
    scopes: str


class InstagramLogin:
    """Connects with Instagram Login. Holds no state of a login; safe to share between threads."""

    provider = Provider.INSTAGRAM

    def __init__(self, app: InstagramApp, graph: GraphClient, now: Callable[[], datetime]) -> None:
        self._app = app
        self._graph = graph
        self._now = now
        self._base_url = f"{app.graph_url}/{app.graph_version}"

    def login_url(self, redirect_uri: str, state: str, *, rerequest: bool) -> str:
        """The dialog's address. With `rerequest` the person logs in again instead of being recognised."""
        question = {
            "client_id": self._app.app_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": self._app.scopes,
            "state": state,
        }
        if rerequest:
            question["force_reauth"] = "true"
        return f"{self._app.dialog_url}/oauth/authorize?{urlencode(question)}"

    def exchange_code(self, code: str, redirect_uri: str, deadline: Deadline) -> UserToken:
        """Exchange a code, which is spent by it, for a token valid for one hour. Raises LoginError, MetaError."""
        form = {
            "client_id": self._app.app_id,
            "client_secret": self._app.app_secret,
            "grant_type": "authorization_code",
            "redirect_uri": redirect_uri,
            "code": code,
        }
        requested_at = self._now()
        answer = unwrapped(
            self._graph.exchange_code("POST", f"{self._app.api_url}/oauth/access_token", params=form, deadline=deadline)
        )
        scopes = to_texts(answer["permissions"]) if answer.get("permissions") is not None else None
        return to_token(answer, requested_at, granted_scopes=scopes, missing=LoginOutcomeUnknownError)

    def accept_token(self, access_token: str, deadline: Deadline) -> UserToken:  # noqa: ARG002 - the Protocol's
        """Always raises InvalidRequestError: Meta has no call that says which app a token was issued to."""
        raise InvalidRequestError("accessToken: only tokens of Facebook can be checked; send a code for Instagram.")

    def discover(self, token: UserToken, deadline: Deadline) -> tuple[Login, tuple[DiscoveredAccount, ...]]:
        """Exchange the token for a long-lived one (60 days); return the grant and the account.

        Raises ScopesDeclinedError or AccountNotProfessionalError if there is nothing to connect; MetaError.
        """
        if token.granted_scopes is not None and REQUIRED_SCOPE not in token.granted_scopes:
            raise ScopesDeclinedError(f"Not granted: {REQUIRED_SCOPE}.")
        try:
            long_lived = self._extend(token, deadline)
            params = {"fields": PROFILE_FIELDS, "access_token": long_lived.value}
            answer = self._graph.call("read_me", "GET", f"{self._base_url}/me", params=params, deadline=deadline)
        except PermissionMissingError as error:  # the exchange returned no scopes
            raise ScopesDeclinedError(f"Not granted: {REQUIRED_SCOPE}.", log_context=error.log_context) from error
        profile = unwrapped(answer)
        if str(profile.get("account_type")).upper() == "PERSONAL":
            raise AccountNotProfessionalError
        instagram_business_id = to_id(profile.get("user_id"))
        if instagram_business_id is None:
            raise MetaRequestRejectedError(log_context={"cause": "answer without user_id"})
        account = DiscoveredAccount(
            instagram_business_id=instagram_business_id,
            access_token=long_lived.value,
            username=to_text(profile.get("username")),
            name=to_text(profile.get("name")),
            profile_picture_url=to_text(profile.get("profile_picture_url")),
            followers_count=to_count(profile.get("followers_count")),
            follows_count=to_count(profile.get("follows_count")),
            media_count=to_count(profile.get("media_count")),
        )
        login = Login(
            provider=self.provider,
            token=long_lived,
            meta_user_id=to_id(profile.get("id")),
            granted_scopes=tuple(sorted(token.granted_scopes or ())),
            data_access_expires_at=None,
        )
        return login, (account,)

    def subscribe(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        """Subscribe this app to the account's webhooks. Safe to repeat. Raises MetaError."""
        params = {"subscribed_fields": SUBSCRIBED_FIELDS, "access_token": account.access_token}
        url = f"{self._base_url}/me/subscribed_apps"
        answer = self._graph.call("subscribe_account", "POST", url, params=params, deadline=deadline)
        require_success(answer)

    def unsubscribe(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        """End the account's subscription. Safe to repeat. Raises MetaError."""
        url = f"{self._base_url}/{quote(account.instagram_business_id, safe='')}/subscribed_apps"
        params = {"access_token": account.access_token}
        require_success(self._graph.call("unsubscribe_account", "DELETE", url, params=params, deadline=deadline))

    def is_subscribed(self, account: DiscoveredAccount, deadline: Deadline) -> bool:
        """Whether this app is subscribed to the account's webhooks. Raises MetaError."""
        params = {"access_token": account.access_token}
        url = f"{self._base_url}/me/subscribed_apps"
        answer = self._graph.call("list_subscriptions", "GET", url, params=params, deadline=deadline)
        # The token is this app's, so any subscription listed is this app's.
        return bool(to_objects(answer.get("data")))

    def renew(
        self,
        account: DiscoveredAccount,
        user_token: str | None,  # noqa: ARG002 - as every product
        expires_at: datetime | None,  # noqa: ARG002 - as every product
        deadline: Deadline,
    ) -> Renewal:
        """Extend a long-lived token, at least 24 hours old, by 60 days; its value may change.

        An answer without a lifetime yields no expiry; such a token is refreshed weekly. Raises ReconnectRequiredError,
        PermissionMissingError, any other MetaError.
        """
        params = {"grant_type": "ig_refresh_token", "access_token": account.access_token}
        requested_at = self._now()
        answer = self._graph.call(
            "refresh_token", "GET", f"{self._app.graph_url}/refresh_access_token", params=params, deadline=deadline
        )
        token = to_token(unwrapped(answer), requested_at)
        return Renewal(
            obtained_at=self._now(),
            access_token=token.value,
            user_token=None,
            expires_at=token.expires_at,
        )

    def check_access(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        """Check that the account's token works. Raises ReconnectRequiredError, PermissionMissingError; MetaError."""
        self.check_token(account.access_token, deadline)

    def check_token(self, user_token: str, deadline: Deadline) -> None:
        """Check that the account's token works. Raises ReconnectRequiredError; MetaError."""
        params = {"fields": "id", "access_token": user_token}
        self._graph.call("read_me", "GET", f"{self._base_url}/me", params=params, deadline=deadline)

    def revoke(self, user_token: str, meta_user_id: str, deadline: Deadline) -> bool:  # noqa: ARG002 - as every product
        """Always False: Meta has no such call; the person can remove the app in Instagram's settings."""
        return False

    def _extend(self, token: UserToken, deadline: Deadline) -> UserToken:
        params = {
            "grant_type": "ig_exchange_token",
            "client_secret": self._app.app_secret,
            "access_token": token.value,
        }
        requested_at = self._now()
        answer = self._graph.call(
            "extend_token", "GET", f"{self._app.graph_url}/access_token", params=params, deadline=deadline
        )
        # The login counts from its first token: anything its user did since, such as disconnecting, is newer.
        return replace(to_token(unwrapped(answer), requested_at), issued_at=token.issued_at)
