"""Instagram API with Facebook Login: from a code or access token to the Instagram accounts of a person's Pages.

Sources: Meta's "Manually Build a Login Flow", "Facebook Login for Business", "Long-Lived Access Tokens",
"Debug-Token", "Secure Graph API Calls", "Page Subscribed Apps" and "User Permissions". A connection takes four calls
after one another (exchange, extend, list, subscribe), however many Pages there are up to a hundred; what else is asked
runs beside the third.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from ..deadline import Deadline
from ..errors import (
    AccessTokenForeignError,
    AccessTokenInvalidError,
    BusinessPortfolioNotGrantedError,
    LoginOutcomeUnknownError,
    MetaAppMisconfiguredError,
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
from ..models import DiscoveredAccount, Login, Provider, UserToken
from ..observability import logger
from .answers import require_success, to_id, to_moment, to_object, to_objects, to_text, to_texts, to_token
from .facebook_pages import PAGE_FIELDS, accounts_of, next_cursor
from .graph import GraphClient

# Without these Meta does not show the Page's Instagram account at all.
REQUIRED_SCOPES = ("instagram_basic", "pages_show_list", "pages_read_engagement")
# Without this one Meta leaves out Pages that belong to a business portfolio.
PORTFOLIO_SCOPE = "business_management"

PAGE_LIMIT = 100  # the most that Meta returns at once
MAX_RESULT_PAGES = 100  # an endless chain of cursors must end
SIDE_CALL_S = 5.0  # what only enriches a connection may not hold it up for longer

# The Page edge takes Page field names only. Meta then sends every Instagram field that the app subscribed to.
SUBSCRIBED_PAGE_FIELDS = "messages,message_reactions,messaging_postbacks,message_reads,messaging_referrals,feed,mention"


@dataclass(frozen=True)
class FacebookApp:
    """The Meta app that people log in to. The URLs have no version and no trailing slash.

    `scopes` is comma-separated. With `login_config_id` (Facebook Login for Business) the configuration decides instead.
    """

    app_id: str
    app_secret: str = field(repr=False)
    graph_url: str
    dialog_url: str
    graph_version: str
    scopes: str
    login_config_id: str | None

    def secret_proof(self, token: str) -> str:
        """The `appsecret_proof` of a call made with `token`; Meta can be set to refuse calls without it."""
        return hmac.new(self.app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()


class FacebookLogin:
    """Facebook Login as a way to connect. Holds no state of a login; safe to share between threads."""

    provider = Provider.FACEBOOK

    def __init__(self, app: FacebookApp, graph: GraphClient, now: Callable[[], datetime]) -> None:
        self._app = app
        self._graph = graph
        self._now = now
        self._base_url = f"{app.graph_url}/{app.graph_version}"

    def login_url(self, redirect_uri: str, state: str, *, rerequest: bool) -> str:
        """The dialog's address. With `rerequest` Meta asks again for what was declined before."""
        question = {
            "client_id": self._app.app_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "state": state,
        }
        if self._app.login_config_id:
            # Without the override a configuration may answer with a token in the fragment, which no server sees.
            question |= {"config_id": self._app.login_config_id, "override_default_response_type": "true"}
        else:
            question["scope"] = self._app.scopes
        if rerequest:
            question["auth_type"] = "rerequest"
        return f"{self._app.dialog_url}/{self._app.graph_version}/dialog/oauth?{urlencode(question)}"

    def exchange_code(self, code: str, redirect_uri: str, deadline: Deadline) -> UserToken:
        """The short-lived token for a code. Spends the code. Raises LoginError, MetaError."""
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
        """The token of a login that somebody else made, once Meta says that it is alive, of this app and a person's.

        Raises AccessTokenInvalidError, AccessTokenForeignError; ScopesDeclinedError, ScopesNotRequestedError;
        MetaError.
        """
        try:
            details = self._inspect(access_token, deadline)
        except MetaRequestRejectedError as error:
            if error.log_context.get("meta_code") == 100:  # how Meta refuses to describe another app's token
                raise AccessTokenForeignError(log_context=error.log_context) from error
            raise
        except ReconnectRequiredError as error:  # about our own token, which is made of app id and secret
            raise MetaAppMisconfiguredError(reason="APP_SECRET_INVALID", log_context=error.log_context) from error
        if to_id(details.get("app_id")) not in (None, self._app.app_id):
            raise AccessTokenForeignError
        if details.get("is_valid") is not True:
            # Meta's 190/463 is a token at its end; everything else is one that never was or was taken back.
            is_expired = to_object(details.get("error")).get("subcode") == 463
            raise AccessTokenInvalidError(reason="TOKEN_EXPIRED" if is_expired else "TOKEN_INVALID")
        if to_id(details.get("app_id")) is None:
            raise AccessTokenForeignError
        if str(details.get("type")).upper() != "USER":
            raise AccessTokenInvalidError(reason="NOT_A_USER_TOKEN")
        scopes = to_texts(details.get("scopes"))
        if missing := [scope for scope in REQUIRED_SCOPES if scope not in scopes]:
            _check_scopes(self._permissions(access_token, deadline), found_account=False)
            raise ScopesNotRequestedError(f"Not asked for: {', '.join(missing)}.")
        # Handing the token in is the login that counts, however old the token is.
        return UserToken(access_token, self._now(), to_moment(details.get("expires_at")), scopes)

    def discover(self, token: UserToken, deadline: Deadline) -> tuple[Login, tuple[DiscoveredAccount, ...]]:
        """Trades the token for a long-lived one; what the person granted, and the Instagram accounts of their Pages.

        At least one account: raises NoAccountError when there is none to connect; MetaError.
        """
        token = self._extend(token, deadline)
        with ThreadPoolExecutor(max_workers=2) as beside:
            permissions = beside.submit(self._permissions, token.value, deadline.within(SIDE_CALL_S))
            inspection = beside.submit(self._inspect, token.value, deadline.within(SIDE_CALL_S))
            try:
                pages = list(self._pages(token, deadline))
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
        """Has Meta send the account's webhooks to this app. Raises MetaError; safe to repeat."""
        params = {"subscribed_fields": SUBSCRIBED_PAGE_FIELDS, **self._signed(account.access_token)}
        url = f"{self._base_url}/{quote(account.page_id or '', safe='')}/subscribed_apps"
        answer = self._graph.call("subscribe_page", "POST", url, params=params, deadline=deadline)
        require_success(answer)

    def unsubscribe(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        """Has Meta send no more webhooks of the account. Raises MetaError; safe to repeat."""
        url = f"{self._base_url}/{quote(account.page_id or '', safe='')}/subscribed_apps"
        params = self._signed(account.access_token)
        require_success(self._graph.call("unsubscribe_page", "DELETE", url, params=params, deadline=deadline))

    def check_token(self, user_token: str, deadline: Deadline) -> None:
        """Returns if the person's token still works. Raises ReconnectRequiredError when it does not; MetaError."""
        self._permissions(user_token, deadline)

    def revoke(self, user_token: str, meta_user_id: str, deadline: Deadline) -> bool:
        """Takes back everything that the person granted to this app; True, because Meta can. Raises MetaError."""
        url = f"{self._base_url}/{quote(meta_user_id, safe='')}/permissions"
        params = self._signed(user_token)
        require_success(self._graph.call("revoke_app", "DELETE", url, params=params, deadline=deadline))
        return True

    def _extend(self, token: UserToken, deadline: Deadline) -> UserToken:
        params = {
            "grant_type": "fb_exchange_token",
            "client_id": self._app.app_id,
            "client_secret": self._app.app_secret,
            "fb_exchange_token": token.value,
        }
        requested_at = self._now()
        answer = self._graph.call(
            "extend_token", "GET", f"{self._base_url}/oauth/access_token", params=params, deadline=deadline
        )
        # The login is as old as its first token: what its user did since, a disconnection too, counts more.
        return replace(to_token(answer, requested_at), issued_at=token.issued_at)

    def _pages(self, token: UserToken, deadline: Deadline) -> Iterator[dict[str, Any]]:
        params = {"fields": PAGE_FIELDS, "limit": str(PAGE_LIMIT), **self._signed(token.value)}
        for _ in range(MAX_RESULT_PAGES):
            answer = self._graph.call(
                "list_pages", "GET", f"{self._base_url}/me/accounts", params=params, deadline=deadline
            )
            yield from to_objects(answer.get("data"))
            after = next_cursor(to_object(answer.get("paging")))
            if after is None or after == params.get("after"):
                return
            params = {**params, "after": after}
        logger.warning("Stopped listing Pages", result_pages=MAX_RESULT_PAGES)

    def _permissions(self, token: str, deadline: Deadline) -> dict[str, Any]:
        answer = self._graph.call(
            "permissions",
            "GET",
            f"{self._base_url}/me/permissions",
            params=self._signed(token),
            deadline=deadline,
        )
        entries = to_objects(answer.get("data"))
        return {to_text(entry.get("permission")) or "": str(entry.get("status")) for entry in entries}

    def _inspect(self, token: str, deadline: Deadline) -> dict[str, Any]:
        params = {"input_token": token, "access_token": f"{self._app.app_id}|{self._app.app_secret}"}
        answer = self._graph.call(
            "debug_token", "GET", f"{self._base_url}/debug_token", params=params, deadline=deadline
        )
        return to_object(answer.get("data"))

    def _login(self, token: UserToken, statuses: Mapping[str, Any], details: Mapping[str, Any]) -> Login:
        granted = [scope for scope, status in statuses.items() if status == "granted"]
        # Meta may leave `expires_in` out; then only debug_token knows, and 0 means never.
        expires_at = token.expires_at or to_moment(details.get("expires_at"))
        return Login(
            provider=self.provider,
            token=UserToken(token.value, token.issued_at, expires_at),
            meta_user_id=to_id(details.get("user_id")),
            granted_scopes=tuple(sorted(granted or to_texts(details.get("scopes")))),
            data_access_expires_at=to_moment(details.get("data_access_expires_at")),
        )

    def _signed(self, token: str) -> dict[str, str]:
        return {"access_token": token, "appsecret_proof": self._app.secret_proof(token)}


def _check_scopes(statuses: Mapping[str, Any], *, found_account: bool) -> None:
    missing = [scope for scope in REQUIRED_SCOPES if statuses.get(scope) != "granted"]
    declined = [scope for scope in missing if scope in statuses]
    if declined:
        raise ScopesDeclinedError(f"Not granted: {', '.join(declined)}.")
    # An account that Meta shows all the same is worth more than a list of permissions that leaves one out.
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
