"""A person in a browser: signs in, clicks through Meta's dialog, and sees the accounts or what to do."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from local import browser as installed_browser
from tests.e2e.conftest import App, User

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENSHOTS = Path(__file__).parents[2] / "test-results" / "screenshots"


@pytest.fixture(scope="module")
def browser_page(stack: dict[str, str]) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed_browser.ensure(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1000, "height": 800})
        page.set_default_timeout(30_000)
        yield page
        browser.close()


@pytest.fixture
def page(browser_page: Page, app: App, user: User) -> Page:
    """The page with a signed-in user."""
    browser_page.goto(app.stack["web_url"])
    browser_page.evaluate("sessionStorage.clear()")
    browser_page.reload()
    browser_page.get_by_label("E-mail").fill(user.email)
    browser_page.get_by_label("Password").fill(user.password)
    browser_page.get_by_role("button", name="Sign in").click()
    return browser_page


def log_in_at_meta(page: Page, person: str) -> None:
    page.get_by_role("button", name="Connect Instagram").click()
    page.get_by_role("button", name=person).click()


def screenshot(page: Page, name: str) -> None:
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def test_a_person_connects_and_sees_both_accounts(page: Page) -> None:
    log_in_at_meta(page, "Ana Souza")
    screenshot(page, "dialog")
    page.get_by_role("button", name="Continue").click()

    expect(page.get_by_role("listitem")).to_have_count(2, timeout=30_000)
    expect(page.get_by_text("@cafe.azul")).to_be_visible()
    expect(page).not_to_have_url(re.compile("code="))
    screenshot(page, "connected")


def test_only_the_pages_that_stay_ticked_are_connected(page: Page) -> None:
    log_in_at_meta(page, "Ana Souza")
    page.get_by_label("@estudio_ana").uncheck()
    page.get_by_role("button", name="Continue").click()

    expect(page.get_by_text("@cafe.azul")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("listitem")).to_have_count(1)


def test_cancelling_says_that_nothing_was_connected(page: Page) -> None:
    log_in_at_meta(page, "Ana Souza")
    page.get_by_role("button", name="Cancel").click()

    expect(page.get_by_role("alert")).to_contain_text("You cancelled the login.")
    screenshot(page, "cancelled")


def test_a_declined_permission_is_named(page: Page) -> None:
    log_in_at_meta(page, "Ana Souza")
    page.locator("input[value=instagram_basic]").uncheck()
    page.get_by_role("button", name="Continue").click()

    expect(page.get_by_role("alert")).to_contain_text("Not granted: instagram_basic.", timeout=30_000)
    screenshot(page, "declined")


def test_a_page_without_instagram_says_how_to_link_one(page: Page) -> None:
    log_in_at_meta(page, "Ben Carter")
    page.get_by_role("button", name="Continue").click()

    expect(page.get_by_role("alert")).to_contain_text("professional account", timeout=30_000)
