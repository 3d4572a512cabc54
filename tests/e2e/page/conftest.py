"""The web page in a browser, with a user and Meta's dialogs."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from local import browser as installed_browser
from local.database import connect
from tests.support.app import App, User
from tests.support.page import DESKTOP, ApiStub, Requests, sign_in

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# A function's first call loads its libraries, possibly on a busy machine.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed_browser.ensure(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh browser profile."""
    context = browser.new_context(viewport={"width": DESKTOP["width"], "height": DESKTOP["height"]})
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def visitor(context: BrowserContext, app: App) -> Page:
    """The page, signed out."""
    page = context.new_page()
    page.goto(app.stack["web_url"])
    return page


@pytest.fixture
def page(visitor: Page, user: User) -> Page:
    """The page, signed in."""
    sign_in(visitor, user.email, user.password)
    expect(visitor.get_by_text("No accounts yet")).to_be_visible()
    return visitor


@pytest.fixture
def requests(page: Page, app: App) -> Requests:
    return Requests(page, app)


@pytest.fixture
def api(page: Page, app: App) -> ApiStub:
    return ApiStub(page, app)


@pytest.fixture
def no_other_connections(app: App) -> None:
    """Whether Meta's grant is revoked depends on who else has the account connected."""
    with connect(app.stack["database_url"]) as database:
        database.execute("delete from instagram_business_accounts")
