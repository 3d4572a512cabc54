"""Logins that fail, and what the page offers."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.support.app import App, Fault, User
from tests.support.page import (
    Requests,
    connect_facebook,
    exchanges_at_meta,
    expect_notice,
    expect_problem,
    open_facebook,
    screenshots,
    sign_in,
)


@pytest.mark.parametrize("product", ["Facebook", "Instagram"])
def test_cancelling_the_dialog_offers_a_new_login(page: Page, product: str) -> None:
    page.get_by_role("button", name=f"Connect with {product}").click()
    page.get_by_role("button", name="Ana Souza" if product == "Facebook" else "luz.cria").click()
    page.get_by_role("button", name="Cancel").click()

    problem = expect_problem(page, "You cancelled the login.", button="Connect again")
    expect(page).not_to_have_url(re.compile("error="))
    screenshots(page, f"cancelled-{product.lower()}")
    problem.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Log in to continue")).to_be_visible()
    expect(page).to_have_url(re.compile(f"www.{product.lower()}.com"))


def test_a_declined_permission_is_named_and_requested_again(page: Page) -> None:
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


def test_a_facebook_page_without_instagram_explains_who_must_link_one(page: Page) -> None:
    connect_facebook(page, "Ben Carter")

    problem = expect_problem(page, "None of the shared Facebook Pages", button="Connect again")
    expect(problem).to_contain_text("the person who manages the Facebook Page")
    expect(problem).to_contain_text("professional account")
    screenshots(page, "page-without-instagram")


def test_an_operator_problem_offers_no_button_and_shows_the_request_id(page: Page, fault: Fault) -> None:
    fault(operation="exchange_code", error="wrong_secret")
    connect_facebook(page)

    problem = expect_problem(page, "Only the people who run this app can fix this", button=None)
    expect(problem.locator("code")).to_have_text(re.compile("^[0-9a-f-]{36}$"))
    screenshots(page, "operator")


def test_a_callback_without_state_is_never_sent(page: Page, app: App, requests: Requests) -> None:
    page.goto(f"{app.redirect_uri}?code={app.log_in()}#_=_")

    expect_problem(page, "This login was not started here.", button="Connect again")
    expect(page).to_have_url(app.redirect_uri)
    assert requests.of("POST", "exchange-token") == []


@pytest.mark.parametrize("is_proxy_up", [False, True])
def test_retrying_after_a_server_failure_sends_the_same_code(
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

    expect_notice(page, "Connected:")
    first, *others = requests.exchanged_codes()
    assert others == [first]


def test_reading_the_list_can_be_retried(page: Page, app: App) -> None:
    api = f"{app.stack['api_url']}/**"
    page.route(api, lambda route: route.abort())
    page.reload()
    problem = expect_problem(page, "The server cannot be reached.", button="Try again")
    screenshots(page, "list-down")

    page.unroute(api)
    problem.get_by_role("button").click()

    expect(page.get_by_text("No accounts yet")).to_be_visible()


SIGN_OUT = "localStorage.clear()"
SPOIL_TOKEN = """
for (const [key, value] of Object.entries(localStorage)) {
  localStorage.setItem(key, value.replace(/"access_token":"[^"]+"/, '"access_token":"refused"'));
}
"""


@pytest.mark.parametrize("ended", [SIGN_OUT, SPOIL_TOKEN], ids=["signed_out", "token_refused"])
def test_the_login_survives_a_session_that_ends_during_the_dialog(
    page: Page, context: BrowserContext, app: App, user: User, ended: str
) -> None:
    open_facebook(page)
    other_tab = context.new_page()
    other_tab.goto(f"{app.stack['web_url']}/config.json")  # shares the storage but does not run the page's code
    other_tab.evaluate(ended)
    other_tab.close()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Sign in to finish the connection")).to_be_visible()
    screenshots(page, "session-ended")

    page.reload()
    sign_in(page, user.email, user.password)

    expect_notice(page, "Connected:")
    expect(page.get_by_role("listitem")).to_have_count(2)
    assert exchanges_at_meta(app) == 1
