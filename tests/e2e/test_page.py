"""A person in a browser: signs in, clicks through Meta's dialogs, and sees the accounts or what to do."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, Route, expect, sync_playwright

from local import browser as installed_browser
from local import install, web
from tests.support import contract
from tests.support.app import App, Fault, User

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENSHOTS = Path(__file__).parents[2] / "test-results" / "screenshots"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}

# A function's first call loads its libraries, on a machine that may be busy.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed_browser.ensure(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that nobody has used yet."""
    context = browser.new_context(viewport={"width": DESKTOP["width"], "height": DESKTOP["height"]})
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def visitor(context: BrowserContext, app: App) -> Page:
    """The page as somebody sees it who is not signed in."""
    page = context.new_page()
    page.goto(app.stack["web_url"])
    return page


@pytest.fixture
def page(visitor: Page, user: User) -> Page:
    """The page with a signed-in user."""
    sign_in(visitor, user.email, user.password)
    expect(visitor.get_by_text("No account yet")).to_be_visible()
    return visitor


def sign_in(page: Page, email: str, password: str) -> None:
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def open_facebook(page: Page, person: str = "Ana Souza") -> None:
    """Up to the page of Facebook's dialog where the person chooses what to share."""
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
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=f"@{username}"))


def screenshots(page: Page, name: str) -> None:
    """The state at both widths; on a phone nothing is wider than the screen."""
    for device, size in (("desktop", DESKTOP), ("phone", PHONE)):
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        page.screenshot(path=SCREENSHOTS / f"{name}-{device}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    page.set_viewport_size({"width": DESKTOP["width"], "height": DESKTOP["height"]})


def expect_problem(page: Page, text: str, *, button: str | None) -> Locator:
    """The problem with its words, the focus, and the one button that helps, if any."""
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text(text)
    expect(problem).to_be_focused()
    expect(problem.get_by_role("button")).to_have_text([button] if button else [])
    return problem


def expect_news(page: Page, text: str | re.Pattern[str]) -> None:
    """The result of what the person just did, with the focus."""
    news = page.get_by_role("status").filter(has_text=text)
    expect(news).to_be_visible()
    expect(news).to_be_focused()


def exchanges_at_meta(app: App) -> int:
    return len(app.meta("GET", "/calls?operation=exchange_code"))


class Requests:
    """What a page asks of the API."""

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
        """The addresses at which Meta's dialog sent the person back."""
        return [request.url for request in self._seen if request.url.startswith(f"{redirect_uri}?")]


@pytest.fixture
def requests(page: Page, app: App) -> Requests:
    return Requests(page, app)


class Answers:
    """What the API is made to answer to a page, in place of the deployed functions."""

    def __init__(self, page: Page, app: App) -> None:
        self._page = page
        self._app = app

    def list(self, *accounts: dict[str, Any], logins: tuple[dict[str, Any], ...] = (), complete: bool = True) -> None:
        data = {"accounts": accounts, "unfinishedLogins": logins, "complete": complete}
        self._answer("GET", "accounts", 200, {"data": data})

    def defer(self, *accounts: dict[str, Any]) -> None:
        """The login works, but is stored later."""
        data = {"businessAccountId": None, "accounts": accounts}
        self._answer("POST", "exchange-token", 202, {"pending": True, "code": "STORAGE_DEFERRED", "data": data})

    def _answer(self, method: str, route: str, status: int, body: dict[str, Any]) -> None:
        url = f"{self._app.stack['api_url']}/api/instagram/{route}"
        body = {"success": True, "requestId": "6f1c", **body}
        contract.check(httpx.Response(status, json=body, request=httpx.Request(method, url)))
        headers = {"Access-Control-Allow-Origin": self._app.stack["web_url"]}
        self._page.unroute(url)
        self._page.route(url, lambda asked: asked.fulfill(status=status, headers=headers, json=body))


@pytest.fixture
def answers(page: Page, app: App) -> Answers:
    return Answers(page, app)


def an_account(username: str, **changes: Any) -> dict[str, Any]:
    """A stored account as the API shows it."""
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


def a_pending_account(username: str, **changes: Any) -> dict[str, Any]:
    return an_account(username, **{"id": None, "status": "pending", **changes})


def a_login(**changes: Any) -> dict[str, Any]:
    """An unfinished login as the API shows it."""
    started_at = datetime.now(UTC).isoformat()
    return {"provider": "facebook", "startedAt": started_at, "status": "pending", "code": None, **changes}


@pytest.fixture
def nobody_else_holds_an_account(app: App) -> None:
    """What Meta is told depends on who else has the same account connected."""
    with psycopg.connect(app.stack["database_url"]) as database:
        database.execute("delete from instagram_business_accounts")


def ask_to_connect_again(
    app: App,
    user: User,
    username: str,
    *,
    status: str,
    reason: str | None = None,
    hint: str | None = None,
    before: datetime | None = None,
) -> None:
    """The stored account as it is once its login has ended, or is about to."""
    with psycopg.connect(app.stack["database_url"]) as database:
        database.execute(
            "update public.instagram_business_accounts"
            " set status = %s, reconnect_reason = %s, reconnect_hint = %s, reconnect_before = %s"
            " where user_id = %s and username = %s",
            (status, reason, hint, before, user.id, username),
        )


# Signing in


def test_a_new_address_gets_an_account(visitor: Page, app: App) -> None:
    screenshots(visitor, "sign-in")

    sign_in(visitor, "somebody.new@example.com", "a long password")

    expect(visitor.get_by_text("No account yet")).to_be_visible()
    expect(visitor.get_by_text("somebody.new@example.com")).to_be_visible()
    screenshots(visitor, "no-accounts")


def test_a_wrong_password_is_said_to_be_wrong(visitor: Page, user: User) -> None:
    sign_in(visitor, user.email, "not the password")

    expect(visitor.get_by_role("alert")).to_contain_text("The password is wrong")
    expect(visitor.get_by_role("alert")).to_be_focused()
    screenshots(visitor, "wrong-password")


# Connecting


def test_facebook_connects_the_accounts_of_all_shared_pages(page: Page, app: App) -> None:
    open_facebook(page)
    screenshots(page, "facebook-dialog")
    page.get_by_role("button", name="Continue").click()

    expect_news(page, re.compile("Connected: .*@cafe.azul"))
    expect(page.get_by_role("listitem")).to_have_count(2)
    expect(account(page, "cafe.azul")).to_contain_text("Facebook Page Café")
    expect(account(page, "cafe.azul")).to_contain_text("followers")
    expect(account(page, "cafe.azul")).to_contain_text("Connected, login valid")
    expect(page).to_have_url(f"{app.stack['web_url']}/")
    screenshots(page, "connected-facebook")


def test_instagram_connects_an_account_without_a_page(page: Page, app: App) -> None:
    page.get_by_role("button", name="Connect with Instagram").click()
    page.get_by_role("button", name="luz.cria").click()
    screenshots(page, "instagram-dialog")
    page.get_by_role("button", name="Allow").click()

    expect_news(page, "Connected: @luz.cria")
    expect(account(page, "luz.cria")).to_contain_text("Instagram ·")
    expect(account(page, "luz.cria")).to_contain_text("Connected, login valid until")
    expect(page).to_have_url(f"{app.stack['web_url']}/")
    screenshots(page, "connected-instagram")


def test_only_the_accounts_that_stay_ticked_are_connected(page: Page) -> None:
    open_facebook(page)
    page.get_by_label("@estudio_ana").uncheck()
    page.get_by_role("button", name="Continue").click()

    expect(account(page, "cafe.azul")).to_be_visible()
    expect(page.get_by_role("listitem")).to_have_count(1)


def test_initials_stand_in_for_a_picture_that_is_gone(page: Page) -> None:
    def refuse_images(route: Route) -> None:
        route.abort() if route.request.resource_type == "image" else route.fallback()

    page.route("**/*", refuse_images)
    connect_facebook(page)

    expect(account(page, "cafe.azul").get_by_text("CA", exact=True)).to_be_visible()


def test_a_double_mount_exchanges_the_code_once(page: Page, app: App, requests: Requests, tmp_path: Path) -> None:
    runtime = install.node()
    assert runtime is not None
    web.build(tmp_path, runtime, mode="development")
    (script,) = (tmp_path / "assets").glob("*.js")

    # The script only: Chromium lets no page reach this machine that does not come from it itself.
    page.route("**/assets/*.js", lambda route: route.fulfill(path=script))
    page.reload()
    expect(page.get_by_text("No account yet")).to_be_visible()
    # Nothing keeps the list from being read at each mount, so here it shows that there are two.
    assert len(requests.of("GET", "accounts")) == 2

    connect_facebook(page)

    expect_news(page, "Connected:")
    assert len(requests.of("POST", "exchange-token")) == 1
    assert exchanges_at_meta(app) == 1


def test_a_reload_after_the_callback_exchanges_nothing_again(page: Page, app: App, requests: Requests) -> None:
    connect_facebook(page)
    expect(page.get_by_role("listitem")).to_have_count(2)

    page.reload()

    expect(page.get_by_role("listitem")).to_have_count(2)
    assert len(requests.of("POST", "exchange-token")) == 1
    assert exchanges_at_meta(app) == 1


def test_the_callback_opened_again_shows_the_same_outcome(page: Page, app: App, requests: Requests) -> None:
    connect_facebook(page)
    expect(page.get_by_role("listitem")).to_have_count(2)
    (callback,) = requests.callbacks(app.redirect_uri)

    page.goto(callback)

    expect_news(page, "Connected:")
    expect(page.get_by_role("listitem")).to_have_count(2)
    assert exchanges_at_meta(app) == 1


def test_a_reload_in_the_middle_of_the_exchange_ends_with_its_outcome(page: Page, app: App, fault: Fault) -> None:
    fault(operation="exchange_code", latency_ms=3000)
    connect_facebook(page)
    expect(page.get_by_text("Finishing the connection")).to_be_visible()
    screenshots(page, "finishing")

    page.reload()

    expect_news(page, "Connected:")
    assert exchanges_at_meta(app) == 1


# Connected, but stored later


def test_a_connection_that_is_stored_later_names_its_accounts(page: Page, app: App, answers: Answers) -> None:
    pending = a_pending_account("cafe.azul"), a_pending_account("estudio_ana")
    answers.defer(*pending)
    answers.list(*pending)

    page.goto(f"{app.redirect_uri}?code=x&state=x")

    expect_news(page, "Your login worked. @cafe.azul and @estudio_ana are being stored")
    expect(page).to_have_url(f"{app.stack['web_url']}/")
    expect(account(page, "cafe.azul")).to_contain_text(
        "Connected. It is being stored and will be ready within minutes."
    )
    expect(page.get_by_role("listitem").get_by_role("button")).to_have_count(0)
    screenshots(page, "stored-later")


def test_a_login_whose_accounts_are_not_known_yet_says_so(page: Page, app: App, answers: Answers) -> None:
    answers.defer()
    answers.list(logins=(a_login(),))

    page.goto(f"{app.redirect_uri}?code=x&state=x")

    expect_news(page, "Meta has not named your accounts yet: they appear here within minutes, by themselves.")
    login = page.get_by_role("listitem")
    expect(login).to_contain_text(re.compile(r"Your login with Facebook of \d\d:\d\d"))
    expect(login).to_contain_text("It is being completed; Meta did not answer in time.")
    expect(login.get_by_role("button")).to_have_count(0)
    screenshots(page, "login-being-completed")


def test_an_account_that_the_list_does_not_show_yet_is_waited_for(page: Page, app: App, answers: Answers) -> None:
    page.clock.install()
    answers.defer(a_pending_account("cafe.azul"))
    answers.list()
    page.goto(f"{app.redirect_uri}?code=x&state=x")
    expect_news(page, "Your login worked. @cafe.azul is being stored")
    expect(page.get_by_text("No account yet")).to_have_count(0)

    answers.list(an_account("cafe.azul"))
    page.clock.fast_forward(10_000)

    expect(account(page, "cafe.azul")).to_contain_text("Connected, login valid")
    expect(page.get_by_role("status").filter(has_text="Connected: @cafe.azul.")).to_be_visible()


def test_the_list_is_read_again_until_nothing_is_pending(page: Page, answers: Answers, requests: Requests) -> None:
    page.clock.install()
    answers.list(a_pending_account("cafe.azul"))
    page.reload()
    expect(account(page, "cafe.azul")).to_contain_text("It is being stored")
    connect = page.get_by_role("button", name="Connect with Facebook")
    connect.focus()

    answers.list(an_account("cafe.azul"))
    page.clock.fast_forward(10_000)

    expect(account(page, "cafe.azul")).to_contain_text("Connected, login valid")
    expect(account(page, "cafe.azul").get_by_role("button")).to_have_text(["Disconnect"])
    expect(page.get_by_role("status").filter(has_text="Connected: @cafe.azul.")).to_be_visible()
    expect(connect).to_be_focused()  # nobody asked for this news
    reads = len(requests.of("GET", "accounts"))
    page.clock.fast_forward(60_000)
    page.clock.fast_forward(60_000)
    assert len(requests.of("GET", "accounts")) == reads


def test_a_page_that_nobody_sees_does_not_read_the_list(page: Page, answers: Answers, requests: Requests) -> None:
    page.clock.install()
    answers.list(a_pending_account("cafe.azul"))
    page.reload()
    expect(account(page, "cafe.azul")).to_be_visible()
    reads = len(requests.of("GET", "accounts"))
    hide = "is => { Object.defineProperty(document, 'hidden', { value: is, configurable: true });"
    page.evaluate(f"{hide} document.dispatchEvent(new Event('visibilitychange')) }}", True)

    answers.list(an_account("cafe.azul"))
    page.clock.fast_forward(60_000)
    assert len(requests.of("GET", "accounts")) == reads
    page.evaluate(f"{hide} document.dispatchEvent(new Event('visibilitychange')) }}", False)

    expect(account(page, "cafe.azul")).to_contain_text("Connected, login valid")


def test_a_read_that_fails_meanwhile_is_made_again(page: Page, app: App, answers: Answers) -> None:
    page.clock.install()
    answers.list(a_pending_account("cafe.azul"))
    page.reload()
    expect(account(page, "cafe.azul")).to_be_visible()

    api = f"{app.stack['api_url']}/**"
    page.route(api, lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.clock.fast_forward(10_000)
    expect(account(page, "cafe.azul")).to_contain_text("It is being stored")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.unroute(api)
    answers.list(an_account("cafe.azul"))
    page.clock.fast_forward(10_000)

    expect(account(page, "cafe.azul")).to_contain_text("Connected, login valid")


def test_an_account_that_meta_names_later_appears_by_itself(page: Page, answers: Answers) -> None:
    page.clock.install()
    answers.list(an_account("estudio_ana", connectedAt="2026-01-01T00:00:00Z"), logins=(a_login(),))
    page.reload()
    expect(page.get_by_role("listitem")).to_have_count(2)

    answers.list(an_account("cafe.azul"), an_account("estudio_ana", connectedAt="2026-01-01T00:00:00Z"))
    page.clock.fast_forward(10_000)

    expect(account(page, "cafe.azul")).to_contain_text("Connected, login valid")
    expect(page.get_by_role("status").filter(has_text=re.compile("^Connected: @cafe.azul.$"))).to_be_visible()
    expect(page.get_by_text("Your login with")).to_have_count(0)


@pytest.mark.parametrize(
    ("product", "code", "why"),
    [
        ("facebook", "SCOPES_DECLINED", "Connect again and leave all of them ticked."),
        ("instagram", "RECONNECT_REQUIRED", "Meta no longer accepts it. Connect again."),
    ],
)
def test_a_login_that_could_not_be_completed_offers_a_new_one(
    page: Page, answers: Answers, requests: Requests, product: str, code: str, why: str
) -> None:
    login = a_login(provider=product)
    page.clock.install()
    answers.list(logins=(login,))
    page.reload()
    expect(page.get_by_role("listitem")).to_contain_text("It is being completed")

    answers.list(logins=({**login, "status": "needs_reauth", "code": code},))
    page.clock.fast_forward(10_000)

    item = page.get_by_role("listitem")
    expect(item).to_contain_text("It could not be completed.")
    expect(item).to_contain_text(why)
    expect(page.get_by_role("status").filter(has_text="A login could not be completed.")).to_be_visible()
    screenshots(page, f"login-ended-{product}")
    item.get_by_role("button", name=f"Connect again with {product.title()}").click()
    expect(page).to_have_url(re.compile(f"www.{product}.com"))
    (asked,) = requests.of("POST", "authorize")
    body: Any = asked.post_data_json
    # Without it Facebook does not ask again for what was declined.
    assert (body["provider"], body["rerequest"]) == (product, code == "SCOPES_DECLINED")


def test_accounts_that_cannot_be_read_are_said_to_be_safe(page: Page, answers: Answers) -> None:
    page.clock.install()
    answers.list(a_pending_account("cafe.azul"), complete=False)
    page.reload()

    note = page.get_by_text("Your other accounts cannot be shown right now. They are safe;")
    expect(note).to_be_visible()
    expect(account(page, "cafe.azul")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    screenshots(page, "list-incomplete")

    answers.list(an_account("cafe.azul"), an_account("estudio_ana"))
    page.clock.fast_forward(10_000)

    expect(page.get_by_role("listitem")).to_have_count(2)
    expect(note).to_have_count(0)
    # The other one was there before.
    expect(page.get_by_role("status").filter(has_text=re.compile("^Connected: @cafe.azul.$"))).to_be_visible()


# What can go wrong


@pytest.mark.parametrize("product", ["Facebook", "Instagram"])
def test_cancelling_says_that_nothing_was_connected(page: Page, product: str) -> None:
    page.get_by_role("button", name=f"Connect with {product}").click()
    page.get_by_role("button", name="Ana Souza" if product == "Facebook" else "luz.cria").click()
    page.get_by_role("button", name="Cancel").click()

    problem = expect_problem(page, "You cancelled the login.", button="Connect again")
    expect(page).not_to_have_url(re.compile("error="))
    screenshots(page, f"cancelled-{product.lower()}")
    problem.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Log in to continue")).to_be_visible()
    expect(page).to_have_url(re.compile(f"www.{product.lower()}.com"))


def test_a_declined_permission_is_named_and_asked_for_again(page: Page) -> None:
    open_facebook(page)
    page.locator("input[value=instagram_basic]").uncheck()
    page.get_by_role("button", name="Continue").click()

    problem = expect_problem(page, "instagram_basic", button="Connect again")
    expect(problem).to_contain_text("leave every permission ticked")
    screenshots(page, "declined")
    problem.get_by_role("button").click()
    page.get_by_role("button", name="Ana Souza").click()
    expect(page.locator("input[value=instagram_basic]")).to_be_checked()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("listitem")).to_have_count(2)


def test_a_page_without_instagram_says_who_links_one_and_how(page: Page) -> None:
    connect_facebook(page, "Ben Carter")

    problem = expect_problem(page, "None of the shared Facebook Pages", button="Connect again")
    expect(problem).to_contain_text("whoever manages the Facebook Page")
    expect(problem).to_contain_text("professional account")
    screenshots(page, "page-without-instagram")


def test_a_problem_of_the_operator_offers_no_button_but_what_to_report(page: Page, fault: Fault) -> None:
    fault(operation="exchange_code", error="wrong_secret")
    connect_facebook(page)

    problem = expect_problem(page, "The people who run this app have to fix this", button=None)
    expect(problem.locator("code")).to_have_text(re.compile("^[0-9a-f-]{36}$"))
    screenshots(page, "operator")


def test_a_callback_without_state_is_refused_unsent(page: Page, app: App, requests: Requests) -> None:
    page.goto(f"{app.redirect_uri}?code={app.log_in()}#_=_")

    expect_problem(page, "This login was not started here.", button="Connect again")
    expect(page).to_have_url(app.redirect_uri)
    assert requests.of("POST", "exchange-token") == []


@pytest.mark.parametrize("is_proxy_up", [False, True])
def test_a_server_that_is_down_can_be_tried_again_with_the_same_code(
    page: Page, app: App, requests: Requests, is_proxy_up: bool
) -> None:
    def fail(route: Route) -> None:
        if is_proxy_up:
            route.fulfill(status=502, content_type="text/html", body="<h1>Bad Gateway</h1>")
        else:
            route.abort("connectionrefused")

    open_facebook(page)
    api = f"{app.stack['api_url']}/**"
    page.route(api, fail)
    page.get_by_role("button", name="Continue").click()
    text = "The server is not working properly" if is_proxy_up else "The server cannot be reached."
    problem = expect_problem(page, text, button="Try again")
    screenshots(page, "server-broken" if is_proxy_up else "server-down")

    page.unroute(api)
    problem.get_by_role("button").click()

    expect_news(page, "Connected:")
    first, *others = requests.exchanged_codes()
    assert others == [first]


def test_a_list_that_cannot_be_read_can_be_tried_again(page: Page, app: App) -> None:
    api = f"{app.stack['api_url']}/**"
    page.route(api, lambda route: route.abort())
    page.reload()
    problem = expect_problem(page, "The server cannot be reached.", button="Try again")
    screenshots(page, "list-down")

    page.unroute(api)
    problem.get_by_role("button").click()

    expect(page.get_by_text("No account yet")).to_be_visible()


SIGN_OUT = "localStorage.clear()"
SPOIL_TOKEN = """
for (const [key, value] of Object.entries(localStorage)) {
  localStorage.setItem(key, value.replace(/"access_token":"[^"]+"/, '"access_token":"refused"'));
}
"""


@pytest.mark.parametrize("ended", [SIGN_OUT, SPOIL_TOKEN], ids=["signed_out", "token_refused"])
def test_a_session_that_ends_during_the_dialog_keeps_the_login(
    page: Page, context: BrowserContext, app: App, user: User, ended: str
) -> None:
    open_facebook(page)
    other_tab = context.new_page()
    other_tab.goto(f"{app.stack['web_url']}/config.json")  # the same storage, without the page's own code
    other_tab.evaluate(ended)
    other_tab.close()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Sign in to finish the connection")).to_be_visible()
    screenshots(page, "session-ended")

    page.reload()
    sign_in(page, user.email, user.password)

    expect_news(page, "Connected:")
    expect(page.get_by_role("listitem")).to_have_count(2)
    assert exchanges_at_meta(app) == 1


# Afterwards


def test_disconnecting_asks_first_and_says_what_remains(page: Page) -> None:
    connect_facebook(page)
    item = account(page, "cafe.azul")
    item.get_by_role("button", name="Disconnect").click()
    expect(item.get_by_role("button", name="Keep it")).to_be_focused()
    screenshots(page, "disconnect-asks")
    item.get_by_role("button", name="Keep it").click()
    item.get_by_role("button", name="Disconnect").click()

    item.get_by_role("button", name="Yes, disconnect").click()

    expect_news(page, "@cafe.azul is disconnected.")
    expect_news(page, "because your other accounts need it")
    expect(item).to_contain_text("Disconnected")
    expect(item.get_by_role("button")).to_have_text(["Connect again"])
    expect(account(page, "estudio_ana")).to_contain_text("Connected, login valid")
    screenshots(page, "disconnected-facebook")


@pytest.mark.usefixtures("nobody_else_holds_an_account")
def test_disconnecting_the_last_account_of_a_login_needs_nothing_more(page: Page) -> None:
    connect_facebook(page, "Emeka Business")
    account(page, "oja.emeka").get_by_role("button", name="Disconnect").click()

    page.get_by_role("button", name="Yes, disconnect").click()

    expect_news(page, re.compile("^@oja.emeka is disconnected.$"))


def test_disconnecting_from_instagram_tells_where_to_remove_the_app(page: Page) -> None:
    connect_instagram(page)
    account(page, "luz.cria").get_by_role("button", name="Disconnect").click()

    page.get_by_role("button", name="Yes, disconnect").click()

    expect_news(page, "“Apps and websites”")
    screenshots(page, "disconnected-instagram")


@pytest.mark.parametrize("product", ["facebook", "instagram"])
def test_an_account_that_needs_a_new_login_gets_it_from_its_own_product(
    page: Page, app: App, user: User, product: str
) -> None:
    connect_facebook(page) if product == "facebook" else connect_instagram(page)
    username = "cafe.azul" if product == "facebook" else "luz.cria"
    item = account(page, username)
    expect(item).to_contain_text("Connected, login valid")
    ask_to_connect_again(app, user, username, status="needs_reauth")

    page.reload()

    expect(item).to_contain_text("Meta no longer accepts the login.")
    expect(item).to_contain_text("Reconnect to go on.")
    screenshots(page, f"needs-reauth-{product}")
    item.get_by_role("button", name="Reconnect").click()
    expect(page).to_have_url(re.compile(f"www.{product}.com"))
    page.get_by_role("button", name="Ana Souza" if product == "facebook" else username).click()
    page.get_by_role("button", name=re.compile("Continue|Allow")).click()
    expect(item).to_contain_text("Connected, login valid")


@pytest.mark.parametrize(
    ("reason", "hint", "asks_again"),
    [
        ("PASSWORD_CHANGED", "The password was changed. Connect the account again.", False),
        ("PERMISSION_MISSING", "A permission was withdrawn. Connect again and leave all permissions ticked.", True),
    ],
)
def test_an_account_that_needs_its_user_says_what_to_do(
    page: Page, app: App, user: User, requests: Requests, reason: str, hint: str, asks_again: bool
) -> None:
    connect_facebook(page)
    item = account(page, "cafe.azul")
    expect(item).to_contain_text("Connected, login valid")
    ask_to_connect_again(app, user, "cafe.azul", status="needs_reauth", reason=reason, hint=hint)

    page.reload()

    expect(item).to_contain_text(hint)
    expect(item).not_to_contain_text("Reconnect to go on.")
    screenshots(page, f"needs-reauth-{reason.lower().replace('_', '-')}")
    item.get_by_role("button", name="Reconnect").click()
    expect(page).to_have_url(re.compile("www.facebook.com"))
    body: Any = requests.of("POST", "authorize")[-1].post_data_json
    # Without it Facebook does not ask again for what was taken back.
    assert body["rerequest"] is asks_again


def test_an_account_that_ends_soon_still_works_and_names_the_day(page: Page, app: App, user: User) -> None:
    connect_facebook(page)
    item = account(page, "cafe.azul")
    expect(item).to_contain_text("Connected, login valid")
    hint = "The login expires soon. Connect again to keep the account working."
    before = datetime(2030, 12, 8, 12, tzinfo=UTC)
    ask_to_connect_again(app, user, "cafe.azul", status="active", reason="LOGIN_ENDS", hint=hint, before=before)

    page.reload()

    expect(item).to_contain_text(f"Connect again before December 8, 2030. {hint}")
    expect(item).not_to_contain_text("login valid")
    expect(item.get_by_role("button")).to_have_text(["Connect again", "Disconnect"])
    expect(account(page, "estudio_ana")).to_contain_text("Connected, login valid")
    screenshots(page, "ends-soon")
    item.get_by_role("button", name="Connect again").click()
    expect(page).to_have_url(re.compile("www.facebook.com"))
    page.get_by_role("button", name="Ana Souza").click()
    page.get_by_role("button", name="Continue").click()
    expect(item).to_contain_text("Connected, login valid")
    expect(item).not_to_contain_text("Connect again")
