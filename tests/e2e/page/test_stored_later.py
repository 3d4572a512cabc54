"""Connections that are stored later, as the browser shows them."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.app import App
from tests.support.page import (
    ApiStub,
    Requests,
    account,
    expect_notice,
    pending_account,
    screenshots,
    stored_account,
    unfinished_login,
)


def test_a_deferred_connection_lists_its_accounts(page: Page, app: App, api: ApiStub) -> None:
    pending = pending_account("cafe.azul"), pending_account("estudio_ana")
    api.defer(*pending)
    api.list(*pending)

    page.goto(f"{app.redirect_uri}?code=x&state=x")

    expect_notice(page, "Your login worked. @cafe.azul and @estudio_ana are being saved")
    expect(page).to_have_url(f"{app.stack['web_url']}/")
    expect(account(page, "cafe.azul")).to_contain_text(
        "Connected. We are saving it; it will be ready within a few minutes."
    )
    expect(page.get_by_role("listitem").get_by_role("button")).to_have_count(0)
    screenshots(page, "stored-later")


def test_a_login_with_unknown_accounts_is_shown_as_unfinished(page: Page, app: App, api: ApiStub) -> None:
    api.defer()
    api.list(logins=(unfinished_login(),))

    page.goto(f"{app.redirect_uri}?code=x&state=x")

    expect_notice(page, "Meta has not listed your accounts yet; they will appear here within a few minutes.")
    login = page.get_by_role("listitem")
    expect(login).to_contain_text(re.compile(r"Your Facebook login at \d\d:\d\d"))
    expect(login).to_contain_text("Still being completed, because Meta did not respond in time.")
    expect(login.get_by_role("button")).to_have_count(0)
    screenshots(page, "login-being-completed")


def test_the_page_waits_for_a_deferred_account_to_appear(page: Page, app: App, api: ApiStub) -> None:
    page.clock.install()
    api.defer(pending_account("cafe.azul"))
    api.list()
    page.goto(f"{app.redirect_uri}?code=x&state=x")
    expect_notice(page, "Your login worked. @cafe.azul is being saved")
    expect(page.get_by_text("No accounts yet")).to_have_count(0)

    api.list(stored_account("cafe.azul"))
    page.clock.fast_forward(10_000)

    expect(account(page, "cafe.azul")).to_contain_text("Connected, login does not expire")
    expect(page.get_by_role("status").filter(has_text="Connected: @cafe.azul.")).to_be_visible()


def test_the_list_is_polled_until_nothing_is_pending(page: Page, api: ApiStub, requests: Requests) -> None:
    page.clock.install()
    api.list(pending_account("cafe.azul"))
    page.reload()
    expect(account(page, "cafe.azul")).to_contain_text("We are saving it")
    connect = page.get_by_role("button", name="Connect with Facebook")
    connect.focus()

    api.list(stored_account("cafe.azul"))
    page.clock.fast_forward(10_000)

    expect(account(page, "cafe.azul")).to_contain_text("Connected, login does not expire")
    expect(account(page, "cafe.azul").get_by_role("button")).to_have_text(["Disconnect"])
    expect(page.get_by_role("status").filter(has_text="Connected: @cafe.azul.")).to_be_visible()
    expect(connect).to_be_focused()  # a background update does not take focus
    reads = len(requests.of("GET", "accounts"))
    page.clock.fast_forward(60_000)
    page.clock.fast_forward(60_000)
    assert len(requests.of("GET", "accounts")) == reads


def test_a_hidden_page_does_not_poll(page: Page, api: ApiStub, requests: Requests) -> None:
    page.clock.install()
    api.list(pending_account("cafe.azul"))
    page.reload()
    expect(account(page, "cafe.azul")).to_be_visible()
    reads = len(requests.of("GET", "accounts"))
    hide = "is => { Object.defineProperty(document, 'hidden', { value: is, configurable: true });"
    page.evaluate(f"{hide} document.dispatchEvent(new Event('visibilitychange')) }}", True)

    api.list(stored_account("cafe.azul"))
    page.clock.fast_forward(60_000)
    assert len(requests.of("GET", "accounts")) == reads
    page.evaluate(f"{hide} document.dispatchEvent(new Event('visibilitychange')) }}", False)

    expect(account(page, "cafe.azul")).to_contain_text("Connected, login does not expire")


def test_a_failed_poll_is_retried_silently(page: Page, app: App, api: ApiStub) -> None:
    page.clock.install()
    api.list(pending_account("cafe.azul"))
    page.reload()
    expect(account(page, "cafe.azul")).to_be_visible()

    every_route = f"{app.stack['api_url']}/**"
    page.route(every_route, lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.clock.fast_forward(10_000)
    expect(account(page, "cafe.azul")).to_contain_text("We are saving it")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.unroute(every_route)
    api.list(stored_account("cafe.azul"))
    page.clock.fast_forward(10_000)

    expect(account(page, "cafe.azul")).to_contain_text("Connected, login does not expire")


def test_an_account_that_meta_lists_later_appears_automatically(page: Page, api: ApiStub) -> None:
    page.clock.install()
    api.list(stored_account("estudio_ana", connectedAt="2026-01-01T00:00:00Z"), logins=(unfinished_login(),))
    page.reload()
    expect(page.get_by_role("listitem")).to_have_count(2)

    api.list(stored_account("cafe.azul"), stored_account("estudio_ana", connectedAt="2026-01-01T00:00:00Z"))
    page.clock.fast_forward(10_000)

    expect(account(page, "cafe.azul")).to_contain_text("Connected, login does not expire")
    expect(page.get_by_role("status").filter(has_text=re.compile("^Connected: @cafe.azul.$"))).to_be_visible()
    expect(page.get_by_text("Your Facebook login")).to_have_count(0)


@pytest.mark.parametrize(
    ("product", "code", "why"),
    [
        ("facebook", "SCOPES_DECLINED", "Connect again and leave all permissions ticked."),
        ("instagram", "RECONNECT_REQUIRED", "Meta no longer accepts this login. Connect again."),
    ],
)
def test_a_login_that_could_not_be_completed_offers_a_new_one(
    page: Page, api: ApiStub, requests: Requests, product: str, code: str, why: str
) -> None:
    login = unfinished_login(provider=product)
    page.clock.install()
    api.list(logins=(login,))
    page.reload()
    expect(page.get_by_role("listitem")).to_contain_text("Still being completed")

    api.list(logins=({**login, "status": "needs_reauth", "code": code},))
    page.clock.fast_forward(10_000)

    item = page.get_by_role("listitem")
    expect(item).to_contain_text("This login could not be completed.")
    expect(item).to_contain_text(why)
    expect(page.get_by_role("status").filter(has_text="A login could not be completed.")).to_be_visible()
    screenshots(page, f"login-ended-{product}")
    item.get_by_role("button", name=f"Connect again with {product.title()}").click()
    expect(page).to_have_url(re.compile(f"www.{product}.com"))
    (authorize,) = requests.of("POST", "authorize")
    body: Any = authorize.post_data_json
    # Without it Facebook does not ask again for declined permissions.
    assert (body["provider"], body["rerequest"]) == (product, code == "SCOPES_DECLINED")


def test_unreadable_accounts_are_reported_as_safe(page: Page, api: ApiStub) -> None:
    page.clock.install()
    api.list(pending_account("cafe.azul"), complete=False)
    page.reload()

    note = page.get_by_text("Your other accounts cannot be shown right now. They are safe,")
    expect(note).to_be_visible()
    expect(account(page, "cafe.azul")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    screenshots(page, "list-incomplete")

    api.list(stored_account("cafe.azul"), stored_account("estudio_ana"))
    page.clock.fast_forward(10_000)

    expect(page.get_by_role("listitem")).to_have_count(2)
    expect(note).to_have_count(0)
    # The other account was there before.
    expect(page.get_by_role("status").filter(has_text=re.compile("^Connected: @cafe.azul.$"))).to_be_visible()
