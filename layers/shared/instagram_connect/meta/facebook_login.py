"""Instagram API with Facebook Login: from an authorization code to the Instagram accounts of a person's Pages.

Sources: Meta's "Manually Build a Login Flow", "Long-Lived Access Tokens", "Debug-Token", "Secure Graph API Calls",
"IG User" and "Page Subscribed Apps". A connection takes four calls after one another (exchange, extend, list,
subscribe), however many Pages there are up to a hundred; what else is asked runs beside the third.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from ..deadline import Deadline
from ..errors import (
    MetaError,
    MetaRequestRejectedError,
    NoFacebookPageError,
    NoInstagramAccountError,
    PermissionMissingError,
    ScopesDeclinedError,
    ScopesNotRequestedError,
)
from ..models import DiscoveredAccount, Login, Provider, UserToken
from ..observability import logger
from .graph import GraphClient

# Without these Meta does not show the Page's Instagram account at all.
REQUIRED_SCOPES = ("instagram_basic", "pages_show_list", "pages_read_engagement")

PROFILE_FIELDS = "id,username,name,biography,website,profile_picture_url,followers_count,follows_count,media_count"
PAGE_FIELDS = f"id,name,access_token,tasks,instagram_business_account{{{PROFILE_FIELDS}}}"
PAGE_LIMIT = 100  # the most that Meta returns at once
MAX_RESULT_PAGES = 100  # an endless chain of cursors must end
YEAR_3000 = 32_503_680_000  # in Unix seconds: a time or lifetime beyond it is no answer
SIDE_CALL_S = 5.0  # what only enriches a connection may not hold it up for longer

# The Page edge takes Page field names only. Meta then sends every Instagram field that the app subscribed to.
SUBSCRIBED_PAGE_FIELDS = "messages,message_reactions,messaging_postbacks,message_reads,messaging_referrals,feed,mention"


@dataclass(frozen=True)
class FacebookApp:
    """The Meta app that people log in to. `graph_url` has no version and no trailing slash."""

    app_id: str
    app_secret: str = field(repr=False)
    graph_url: str
    graph_version: str

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

    def exchange_code(self, code: str, redirect_uri: str, deadline: Deadline) -> UserToken:
        """The short-lived token for a code. Spends the code. Raises LoginError, MetaError."""
        params = {
            "client_id": self._app.app_id,
            "client_secret": self._app.app_secret,
            "redirect_uri": redirect_uri,
            "code": code,
        }
        requested_at = self._now()
        answer = self._graph.exchange_code(f"{self._base_url}/oauth/access_token", params=params, deadline=deadline)
        return self._token(answer, requested_at)

    def extend(self, token: UserToken, deadline: Deadline) -> UserToken:
        """The long-lived token (about 60 days) for a token that is still alive. Raises MetaError."""
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
        return self._token(answer, requested_at)

    def discover(self, token: UserToken, deadline: Deadline) -> tuple[Login, tuple[DiscoveredAccount, ...]]:
        """What the person granted, and the Instagram accounts of their Pages: at least one.

        Raises ScopesDeclinedError, NoFacebookPageError or NoInstagramAccountError when there is nothing to connect;
        MetaError.
        """
        with ThreadPoolExecutor(max_workers=2) as beside:
            permissions = beside.submit(self._permissions, token, deadline.within(SIDE_CALL_S))
            inspection = beside.submit(self._inspect, token, deadline.within(SIDE_CALL_S))
            try:
                pages = list(self._pages(token, deadline))
            except PermissionMissingError:
                _check_scopes(_known_or_empty(permissions, "permissions"), found_account=False)
                raise
        statuses = _known_or_empty(permissions, "permissions")
        details = _known_or_empty(inspection, "debug_token")
        accounts = _accounts(pages, token)
        _check_scopes(statuses, found_account=bool(accounts))
        if not pages:
            raise NoFacebookPageError
        if not accounts:
            raise NoInstagramAccountError
        return self._login(token, statuses, details), accounts

    def subscribe(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        """Has Meta send the account's webhooks to this app. Raises MetaError; safe to repeat."""
        params = {"subscribed_fields": SUBSCRIBED_PAGE_FIELDS, **self._signed(account.access_token)}
        url = f"{self._base_url}/{quote(account.page_id or '', safe='')}/subscribed_apps"
        answer = self._graph.call("subscribe_page", "POST", url, params=params, deadline=deadline)
        if answer.get("success") is False:
            raise MetaRequestRejectedError(log_context={"cause": "answer without success"})

    def _pages(self, token: UserToken, deadline: Deadline) -> Iterator[dict[str, Any]]:
        params = {"fields": PAGE_FIELDS, "limit": str(PAGE_LIMIT), **self._signed(token.value)}
        for _ in range(MAX_RESULT_PAGES):
            answer = self._graph.call(
                "list_accounts", "GET", f"{self._base_url}/me/accounts", params=params, deadline=deadline
            )
            yield from _objects(answer.get("data"))
            after = _next_cursor(_object(answer.get("paging")))
            if after is None or after == params.get("after"):
                return
            params = {**params, "after": after}
        logger.warning("Stopped listing Pages", result_pages=MAX_RESULT_PAGES)

    def _permissions(self, token: UserToken, deadline: Deadline) -> dict[str, Any]:
        answer = self._graph.call(
            "permissions",
            "GET",
            f"{self._base_url}/me/permissions",
            params=self._signed(token.value),
            deadline=deadline,
        )
        entries = _objects(answer.get("data"))
        return {_text(entry.get("permission")) or "": str(entry.get("status")) for entry in entries}

    def _inspect(self, token: UserToken, deadline: Deadline) -> dict[str, Any]:
        params = {"input_token": token.value, "access_token": f"{self._app.app_id}|{self._app.app_secret}"}
        answer = self._graph.call(
            "debug_token", "GET", f"{self._base_url}/debug_token", params=params, deadline=deadline
        )
        return _object(answer.get("data"))

    def _login(self, token: UserToken, statuses: Mapping[str, Any], details: Mapping[str, Any]) -> Login:
        granted = [scope for scope, status in statuses.items() if status == "granted"]
        # Meta may leave `expires_in` out; then only debug_token knows, and 0 means never.
        expires_at = token.expires_at or _moment(details.get("expires_at"))
        return Login(
            provider=self.provider,
            token=UserToken(token.value, token.issued_at, expires_at),
            meta_user_id=_text(details.get("user_id")),
            granted_scopes=tuple(sorted(granted or _texts(details.get("scopes")))),
            data_access_expires_at=_moment(details.get("data_access_expires_at")),
        )

    def _signed(self, token: str) -> dict[str, str]:
        return {"access_token": token, "appsecret_proof": self._app.secret_proof(token)}

    def _token(self, answer: Mapping[str, Any], requested_at: datetime) -> UserToken:
        value = answer.get("access_token")
        if not isinstance(value, str) or not value:
            raise MetaRequestRejectedError(log_context={"cause": "answer without access_token"})
        lifetime_s = _seconds(answer.get("expires_in"))
        # Counted from before the call, so that the token is never believed to live longer than it does.
        expires_at = requested_at + timedelta(seconds=lifetime_s) if lifetime_s else None
        return UserToken(value, requested_at, expires_at)


def _accounts(pages: Iterable[Mapping[str, Any]], token: UserToken) -> tuple[DiscoveredAccount, ...]:
    accounts: dict[str, DiscoveredAccount] = {}
    for page in pages:
        profile = _object(page.get("instagram_business_account"))
        instagram_business_id = _text(profile.get("id"))
        if instagram_business_id is None:
            continue
        accounts.setdefault(
            instagram_business_id,
            DiscoveredAccount(
                instagram_business_id=instagram_business_id,
                # A Page on which the person has no task comes without a token; theirs still reads the account.
                access_token=str(page.get("access_token") or token.value),
                username=_text(profile.get("username")),
                name=_text(profile.get("name")),
                biography=_text(profile.get("biography")),
                website=_text(profile.get("website")),
                profile_picture_url=_text(profile.get("profile_picture_url")),
                followers_count=_count(profile.get("followers_count")),
                follows_count=_count(profile.get("follows_count")),
                media_count=_count(profile.get("media_count")),
                page_id=_text(page.get("id")),
                page_name=_text(page.get("name")),
                page_tasks=_texts(page.get("tasks")),
            ),
        )
    return tuple(accounts.values())


def _check_scopes(statuses: Mapping[str, Any], *, found_account: bool) -> None:
    missing = [scope for scope in REQUIRED_SCOPES if statuses.get(scope) != "granted"]
    declined = [scope for scope in missing if scope in statuses]
    if declined:
        raise ScopesDeclinedError(f"Not granted: {', '.join(declined)}.")
    # An account that Meta shows all the same is worth more than a list of permissions that leaves one out.
    if missing and statuses and not found_account:
        raise ScopesNotRequestedError(f"Not asked for: {', '.join(missing)}.")


def _known_or_empty(future: Future[dict[str, Any]], question: str) -> dict[str, Any]:
    # These answers enrich a connection; a person who logged in does not lose theirs because Meta failed to give them.
    try:
        return future.result()
    except MetaError as error:
        logger.warning("Connecting without an answer", extra={"question": question, **error.log_context})
        return {}


def _next_cursor(paging: Mapping[str, Any]) -> str | None:
    # The last result page is the one without `next`; one with it may be empty, or come without `cursors`. The address
    # itself is not followed: it holds the token, and where it leads is not ours to trust.
    if not paging.get("next"):
        return None
    in_address = parse_qs(urlsplit(str(paging["next"])).query).get("after", [None])[0]
    return _text(_object(paging.get("cursors")).get("after")) or in_address


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    if value is None:
        return None
    # What Postgres cannot store (NUL) or UTF-8 not express (half an emoji) must not cost the whole connection.
    return str(value).replace("\0", "").encode("utf-8", "replace").decode() or None


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(filter(None, map(_text, values))) if isinstance(values, list) else ()


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 2**63 else None


def _seconds(value: Any) -> int:
    try:
        seconds = int(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return seconds if 0 < seconds < YEAR_3000 else 0


def _moment(value: Any) -> datetime | None:
    seconds = _seconds(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
