"""Helpers for tests of the web page in a browser: act as a user, stub the API, check what is shown."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, Request, expect

from local.database import connect
from tests.support import contract
from tests.support.app import App, User

SCREENSHOTS = Path(__file__).parents[2] / "test-results" / "screenshots"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


def sign_in(page: Page, email: str, password: str) -> None:
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def open_facebook(page: Page, person: str = "Ana Souza") -> None:
    """Go to the step of Facebook's dialog where the user chooses what to share."""
    page.get_by_role("button", name="Connect with Facebook").click()
    page.get_by_role("button", name=person).click()


def connect_facebook(page: Page, person: str = "Ana Souza") -> None:
    open_facebook(page, person)
    page.get_by_role("button", name="Continue").click()


def connect_instagram(page: Page, username: str = "luz.cria") -> None:
    page.get_by_role("button", name="Connect with Instagram").click()
    page.get_by_role("button", name=username).click()
    page.get_by_role("button", name="Allow").click()


def account(page: Page, username: str) -> Locator:
    """Find an account's entry in the list."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=f"@{username}"))


def screenshots(page: Page, name: str) -> None:
    """Save the page at desktop and phone width, and check that nothing is wider than the screen."""
    for device, size in (("desktop", DESKTOP), ("phone", PHONE)):
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        page.screenshot(path=SCREENSHOTS / f"{name}-{device}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    page.set_viewport_size({"width": DESKTOP["width"], "height": DESKTOP["height"]})


def expect_problem(page: Page, text: str, *, button: str | None) -> Locator:
    """Expect a focused problem with this text and only this button, or none."""
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text(text)
    expect(problem).to_be_focused()
    expect(problem.get_by_role("button")).to_have_text([button] if button else [])
    return problem


def expect_notice(page: Page, text: str | re.Pattern[str]) -> None:
    """Expect the result of the user's last action, focused."""
    notice = page.get_by_role("status").filter(has_text=text)
    expect(notice).to_be_visible()
    expect(notice).to_be_focused()


def exchanges_at_meta(app: App) -> int:
    """Count the code exchanges that reached Meta."""
    return len(app.meta("GET", "/calls?operation=exchange_code"))


class Requests:
    """Records the page's requests."""

    def __init__(self, page: Page, app: App) -> None:
        self._api = f"{app.stack['api_url']}/api/instagram/"
        self._seen: list[Request] = []
        page.on("request", lambda request: self._seen.append(request))

    def of(self, method: str, route: str) -> list[Request]:
        return [request for request in self._seen if (request.method, request.url) == (method, self._api + route)]

    def exchanged_codes(self) -> list[str]:
        bodies: list[Any] = [request.post_data_json for request in self.of("POST", "exchange-token")]
        return [body["code"] for body in bodies]

    def callbacks(self, redirect_uri: str) -> list[str]:
        """Return the callback URLs that Meta's dialog redirected to."""
        return [request.url for request in self._seen if request.url.startswith(f"{redirect_uri}?")]


class ApiStub:
    """Replaces API responses in the browser, checked against the HTTP contract."""

    def __init__(self, page: Page, app: App) -> None:
        self._page = page
        self._app = app

    def list(self, *accounts: dict[str, Any], logins: tuple[dict[str, Any], ...] = (), complete: bool = True) -> None:
        data = {"accounts": accounts, "unfinishedLogins": logins, "complete": complete}
        self._respond("GET", "accounts", 200, {"data": data})

    def defer(self, *accounts: dict[str, Any]) -> None:
        """Let the login succeed with its accounts stored later."""
        data = {"businessAccountId": None, "accounts": accounts}
        self._respond("POST", "exchange-token", 202, {"pending": True, "code": "STORAGE_DEFERRED", "data": data})

    def _respond(self, method: str, route: str, status: int, body: dict[str, Any]) -> None:
        url = f"{self._app.stack['api_url']}/api/instagram/{route}"
        body = {"success": True, "requestId": "6f1c", **body}
        contract.check(httpx.Response(status, json=body, request=httpx.Request(method, url)))
        headers = {"Access-Control-Allow-Origin": self._app.stack["web_url"]}
        self._page.unroute(url)
        self._page.route(url, lambda route: route.fulfill(status=status, headers=headers, json=body))


def stored_account(username: str, **changes: Any) -> dict[str, Any]:
    """Build a stored account as the API returns it."""
    return {
        "id": "29a67df6-2e35-4b52-ab6e-421cd677a3b3",
        "provider": "facebook",
        "instagramBusinessId": f"id of {username}",
        "username": username,
        "name": username.replace(".", " ").title(),
        "pageId": "27640875392278831",
        "pageName": "Café",
        "profilePictureUrl": None,
        "followersCount": 18250,
        "tokenExpiresAt": None,
        "connectedAt": datetime.now(UTC).isoformat(),
        "status": "active",
        "reconnectReason": None,
        "reconnectHint": None,
        "reconnectBefore": None,
        **changes,
    }


def pending_account(username: str, **changes: Any) -> dict[str, Any]:
    return stored_account(username, **{"id": None, "status": "pending", **changes})


def unfinished_login(**changes: Any) -> dict[str, Any]:
    """Build an unfinished login as the API returns it."""
    started_at = datetime.now(UTC).isoformat()
    return {"provider": "facebook", "startedAt": started_at, "status": "pending", "code": None, **changes}


def set_reconnect(
    app: App,
    user: User,
    username: str,
    *,
    status: str,
    reason: str | None = None,
    hint: str | None = None,
    before: datetime | None = None,
) -> None:
    """Change a stored account to one whose login has expired or is about to."""
    with connect(app.stack["database_url"]) as database:
        database.execute(
            "update public.instagram_business_accounts"
            " set status = %s, reconnect_reason = %s, reconnect_hint = %s, reconnect_before = %s"
            " where user_id = %s and username = %s",
            (status, reason, hint, before, user.id, username),
        )
