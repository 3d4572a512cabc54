"""Instagram API with Facebook Login: from a code or access token to the Instagram accounts of a person's Pages.

Sources: Meta's "Manually Build a Login Flow", "Facebook Login for Business", "Long-Lived Access Tokens", "Debug-Token",
"Secure Graph API Calls", "Page Subscribed Apps" and "User Permissions". A connection takes four sequential calls
(exchange, extend, list, subscribe) for up to a hundred Pages; all other calls run in parallel with the third.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from instagram_connect.errors import (
    AccessTokenForeignError,
    AccessTokenInvalidError,
    BusinessPortfolioNotGrantedError,
    LoginOutcomeUnknownError,
    MetaError,
    MetaRequestRejectedError,
    NoAccountError,
    NoFacebookPageError,
    NoInstagramAccountError,
    PermissionMissingError,
    ReconnectRequiredError,
    ScopesDeclinedError,
    ScopesNotRequestedError,
)
from instagram_connect.meta.facebook_calls import FacebookApp, FacebookCalls
from instagram_connect.meta.facebook_pages import accounts_of
from instagram_connect.meta.graph import GraphClient
from instagram_connect.meta.graph_errors import DEAD_TOKEN_SUBCODES, TOKEN_EXPIRED, names_its_cause
from instagram_connect.meta.json_values import (
    require_success,
    to_count,
    to_id,
    to_moment,
    to_object,
    to_objects,
    to_texts,
    to_token,
)
from instagram_connect.models import DiscoveredAccount, Login, Provider, Renewal, UserToken
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger

# Without these scopes Meta does not return a Page's Instagram account.
REQUIRED_SCOPES = ("instagram_basic", "pages_show_list", "pages_read_engagement")
# Without this scope Meta leaves out Pages that belong to a business portfolio.
PORTFOLIO_SCOPE = "business_management"

SIDE_CALL_S = 5.0  # for calls whose answers a connection can do without

# The Page edge accepts Page field names only; Meta then sends every Instagram field that the app subscribed to.
SUBSCRIBED_PAGE_FIELDS = "messages,message_reactions,messaging_postbacks,message_reads,messaging_referrals,feed,mention"


class FacebookLogin:
    """Connects with Facebook Login. Holds no state of a login; safe to share between threads."""

    provider = Provider.FACEBOOK

    def __init__(self, app: FacebookApp, graph: GraphClient, now: Callable[[], datetime]) -> None:
        self._app = app
        self._graph = graph
        self._now = now
        self._calls = FacebookCalls(app, graph, now)
        self._base_url = self._calls.base_url

    def login_url(self, redirect_uri: str, state: str, *, rerequest: bool) -> str:
        """The dialog's address. With `rerequest` Meta asks again for permissions that were declined before."""
        question = {
            "client_id": self._app.app_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "state": state,
        }
        if self._app.login_config_id:
            # Without the override a configuration may return a token in the fragment, which no server sees.
            question |= {"config_id": self._app.login_config_id, "override_default_response_type": "true"}
        else:
            question["scope"] = self._app.scopes
        if rerequest:
            question["auth_type"] = "rerequest"
        return f"{self._app.dialog_url}/{self._app.graph_version}/dialog/oauth?{urlencode(question)}"

    def exchange_code(self, code: str, redirect_uri: str, deadline: Deadline) -> UserToken:
        """Exchange a code, which is spent by it, for a short-lived token. Raises LoginError, MetaError."""
        params = {
            "client_id": self._app.app_id,
            "client_secret": self._app.app_secret,
            "redirect_uri": redirect_uri,
            "code": code,
        }
        requested_at = self._now()
        answer = self._graph.exchange_code(
            "GET", f"{self._base_url}/oauth/access_token", params=params, deadline=deadline
        )
        return to_token(answer, requested_at, missing=LoginOutcomeUnknownError)

    def accept_token(self, access_token: str, deadline: Deadline) -> UserToken:
        """Accept a token from another login if debug_token says that it is valid, a user token, and this app's.

        Raises AccessTokenInvalidError, AccessTokenForeignError; ScopesDeclinedError, ScopesNotRequestedError;
        MetaError.
        """
        try:
            details = self._calls.inspect(access_token, deadline)
        except MetaRequestRejectedError as error:
            if error.log_context.get("meta_code") == 100:  # Meta's answer for another app's token
                raise AccessTokenForeignError(log_context=error.log_context) from error
            raise
        if to_id(details.get("app_id")) not in (None, self._app.app_id):
            raise AccessTokenForeignError
        if details.get("is_valid") is not True:
            # Meta's 190/463 means expired; everything else was never valid or was revoked.
            is_expired = to_object(details.get("error")).get("subcode") == 463
            raise AccessTokenInvalidError(reason="TOKEN_EXPIRED" if is_expired else "TOKEN_INVALID")
        if to_id(details.get("app_id")) is None:
            raise AccessTokenForeignError
        if str(details.get("type")).upper() != "USER":
            raise AccessTokenInvalidError(reason="NOT_A_USER_TOKEN")
        scopes = to_texts(details.get("scopes"))
        if missing := [scope for scope in REQUIRED_SCOPES if scope not in scopes]:
            _check_scopes(self._calls.permissions(access_token, deadline), found_account=False)
            raise ScopesNotRequestedError(f"Not asked for: {', '.join(missing)}.")
        # This request is the login that counts, however old the token is.
        return UserToken(access_token, self._now(), to_moment(details.get("expires_at")), scopes)

    def discover(self, token: UserToken, deadline: Deadline) -> tuple[Login, tuple[DiscoveredAccount, ...]]:
        """Exchange the token for a long-lived one; return the grant and the Instagram accounts of the person's Pages.

        Returns at least one account: raises NoAccountError if there is none to connect; MetaError.
        """
        token = self._calls.extend(token, deadline)
        with ThreadPoolExecutor(max_workers=2) as beside:
            permissions = beside.submit(self._calls.permissions, token.value, deadline.within(SIDE_CALL_S))
            inspection = beside.submit(self._calls.inspect, token.value, deadline.within(SIDE_CALL_S))
            try:
                pages = list(self._calls.pages(token, deadline))
            except PermissionMissingError:
                _check_scopes(_known_or_empty(permissions, "permissions"), found_account=False)
                raise
        statuses = _known_or_empty(permissions, "permissions")
        details = _known_or_empty(inspection, "debug_token")
        accounts = accounts_of(pages, token)
        _check_scopes(statuses, found_account=bool(accounts))
        if not pages:
            raise _no_page(statuses)
        if not accounts:
            raise NoInstagramAccountError
        return self._login(token, statuses, details), accounts

    def subscribe(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        """Subscribe this app to the webhooks of the account's Page. Safe to repeat. Raises MetaError."""
        params = {"subscribed_fields": SUBSCRIBED_PAGE_FIELDS, **self._calls.signed(account.access_token)}
        url = f"{self._base_url}/{quote(account.page_id or '', safe='')}/subscribed_apps"
        answer = self._graph.call("subscribe_page", "POST", url, params=params, deadline=deadline)
        require_success(answer)

    def unsubscribe(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        """End the subscription of the account's Page. Safe to repeat. Raises MetaError."""
        url = f"{self._base_url}/{quote(account.page_id or '', safe='')}/subscribed_apps"
        params = self._calls.signed(account.access_token)
        require_success(self._graph.call("unsubscribe_page", "DELETE", url, params=params, deadline=deadline))

    def is_subscribed(self, account: DiscoveredAccount, deadline: Deadline) -> bool:
        """Whether this app is subscribed to the webhooks of the account's Page. Raises MetaError."""
        url = f"{self._base_url}/{quote(account.page_id or '', safe='')}/subscribed_apps"
        params = self._calls.signed(account.access_token)
        answer = self._graph.call("list_subscriptions", "GET", url, params=params, deadline=deadline)
        return any(to_id(entry.get("id")) in (None, self._app.app_id) for entry in to_objects(answer.get("data")))

    def renew(
        self, account: DiscoveredAccount, user_token: str | None, expires_at: datetime | None, deadline: Deadline
    ) -> Renewal:
        """Verify the Page token, which does not expire, and exchange the person's token for a newer one.

        Meta does not document whether an exchange moves the expiry, so only the answer counts. If the person's token
        has expired, the Page token stays in use; if it is invalid for an unnamed reason, the login is reported as
        ending now, because the Page token still works. Raises ReconnectRequiredError; MetaError.
        """
        page = self._alive(account.access_token, deadline)
        # A Page on which the person has no task has no token of its own; the person's is used.
        own = user_token or account.access_token
        try:
            token = self._calls.extend(UserToken(own, self._now(), None), deadline)
        except ReconnectRequiredError as error:
            death = error if names_its_cause(error) else self._death_of(own, deadline)
            if death and death.reason != TOKEN_EXPIRED and names_its_cause(death):
                raise death from None
            logger.info("Kept a Page whose person's token could not be exchanged", extra=error.log_context)
            ends_at = self._now() if death and death.reason != TOKEN_EXPIRED else expires_at
            return Renewal(self._now(), None, None, ends_at, **_data_access(page))
        person = self._alive(token.value, deadline)
        return Renewal(
            obtained_at=self._now(),
            access_token=token.value if account.access_token == own else None,
            user_token=token.value if user_token else None,
            # Meta may leave out `expires_in`; then debug_token has the expiry, and 0 means never.
            expires_at=token.expires_at or (to_moment(person["expires_at"]) if "expires_at" in person else expires_at),
            **_data_access(person, page),
        )

    def check_access(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        """Check that the Page's token works. Raises ReconnectRequiredError, PermissionMissingError; MetaError."""
        params = {"fields": "id", **self._calls.signed(account.access_token)}
        self._graph.call("read_me", "GET", f"{self._base_url}/me", params=params, deadline=deadline)

    def check_token(self, user_token: str, deadline: Deadline) -> None:
        """Check that the person's token works. Raises ReconnectRequiredError; MetaError."""
        self._calls.permissions(user_token, deadline)

    def revoke(self, user_token: str, meta_user_id: str, deadline: Deadline) -> bool:
        """Revoke everything that the person granted to this app; returns True. Raises MetaError."""
        url = f"{self._base_url}/{quote(meta_user_id, safe='')}/permissions"
        params = self._calls.signed(user_token)
        require_success(self._graph.call("revoke_app", "DELETE", url, params=params, deadline=deadline))
        return True

    def _alive(self, token: str, deadline: Deadline) -> dict[str, Any]:
        """debug_token's details of a valid token. Raises ReconnectRequiredError for an invalid one; MetaError."""
        details = self._calls.inspect(token, deadline)
        if details.get("is_valid") is not False:
            return details
        failure = to_object(details.get("error"))
        code, subcode = to_count(failure.get("code")), to_count(failure.get("subcode"))
        raise ReconnectRequiredError(
            reason=DEAD_TOKEN_SUBCODES.get(subcode or 0, "TOKEN_INVALID"),
            log_context={"meta_operation": "debug_token", "meta_code": code, "meta_subcode": subcode},
        )

    def _death_of(self, token: str, deadline: Deadline) -> ReconnectRequiredError | None:
        try:
            self._alive(token, deadline)
        except ReconnectRequiredError as error:
            return error
        return None

    def _login(self, token: UserToken, statuses: Mapping[str, Any], details: Mapping[str, Any]) -> Login:
        granted = [scope for scope, status in statuses.items() if status == "granted"]
        # Meta may leave out `expires_in`; then debug_token has the expiry, and 0 means never.
        expires_at = token.expires_at or to_moment(details.get("expires_at"))
        return Login(
            provider=self.provider,
            token=UserToken(token.value, token.issued_at, expires_at),
            meta_user_id=to_id(details.get("user_id")),
            granted_scopes=tuple(sorted(granted or to_texts(details.get("scopes")))),
            data_access_expires_at=to_moment(details.get("data_access_expires_at")),
        )


def _data_access(*told: Mapping[str, Any]) -> dict[str, Any]:
    """The expiry of data access from the first of these that has one; 0 is Meta's "never"."""
    moments = [details["data_access_expires_at"] for details in told if "data_access_expires_at" in details]
    return {
        "data_access_expires_at": to_moment(moments[0]) if moments else None,
        "tells_data_access": bool(moments),
    }


def _check_scopes(statuses: Mapping[str, Any], *, found_account: bool) -> None:
    missing = [scope for scope in REQUIRED_SCOPES if statuses.get(scope) != "granted"]
    declined = [scope for scope in missing if scope in statuses]
    if declined:
        raise ScopesDeclinedError(f"Not granted: {', '.join(declined)}.")
    # If Meta returned an account, an incomplete list of permissions does not matter.
    if missing and statuses and not found_account:
        raise ScopesNotRequestedError(f"Not asked for: {', '.join(missing)}.")


def _no_page(statuses: Mapping[str, Any]) -> NoAccountError:
    if statuses.get(PORTFOLIO_SCOPE) == "granted" or not statuses:
        return NoFacebookPageError()
    if PORTFOLIO_SCOPE in statuses:
        return BusinessPortfolioNotGrantedError()
    return NoFacebookPageError(
        f"No Facebook Page was shared. Pages of a business portfolio need {PORTFOLIO_SCOPE}, which was not asked for.",
        reason="BUSINESS_MANAGEMENT_NOT_REQUESTED",
    )


def _known_or_empty(future: Future[dict[str, Any]], question: str) -> dict[str, Any]:
    # These answers enrich a connection; a person who logged in does not lose theirs because Meta failed to give them.
    try:
        return future.result()
    except MetaError as error:
        logger.warning("Connecting without an answer", extra={"question": question, **error.log_context})
        return {}
