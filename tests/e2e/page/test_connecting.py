"""Signing in and connecting accounts in a browser."""

import re
from pathlib import Path

from playwright.sync_api import Page, Route, expect

from local import install, web
from tests.support.app import App, Fault, User
from tests.support.page import (
    Requests,
    account,
    connect_facebook,
    exchanges_at_meta,
    expect_notice,
    open_facebook,
    screenshots,
    sign_in,
)

# Signing in


def test_signing_in_with_a_new_address_creates_an_account(visitor: Page, app: App) -> None:
    screenshots(visitor, "sign-in")

    sign_in(visitor, "somebody.new@example.com", "a long password")

    expect(visitor.get_by_text("No accounts yet")).to_be_visible()
    expect(visitor.get_by_text("somebody.new@example.com")).to_be_visible()
    screenshots(visitor, "no-accounts")


def test_a_wrong_password_is_reported(visitor: Page, user: User) -> None:
    sign_in(visitor, user.email, "not the password")

    expect(visitor.get_by_role("alert")).to_contain_text("That password is wrong")
    expect(visitor.get_by_role("alert")).to_be_focused()
    screenshots(visitor, "wrong-password")


# Connecting


def test_facebook_connects_the_accounts_of_all_shared_pages(page: Page, app: App) -> None:
    open_facebook(page)
    screenshots(page, "facebook-dialog")
    page.get_by_role("button", name="Continue").click()

    expect_notice(page, re.compile("Connected: .*@cafe.azul"))
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

    expect_notice(page, "Connected: @luz.cria")
    expect(account(page, "luz.cria")).to_contain_text("Instagram ·")
    expect(account(page, "luz.cria")).to_contain_text("Connected, login valid until")
    expect(page).to_have_url(f"{app.stack['web_url']}/")
    screenshots(page, "connected-instagram")


def test_only_ticked_accounts_are_connected(page: Page) -> None:
    open_facebook(page)
    page.get_by_label("@estudio_ana").uncheck()
    page.get_by_role("button", name="Continue").click()

    expect(account(page, "cafe.azul")).to_be_visible()
    expect(page.get_by_role("listitem")).to_have_count(1)


def test_initials_replace_a_picture_that_fails_to_load(page: Page) -> None:
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

    # Replace only the script: Chromium blocks other pages from reaching loopback addresses.
    page.route("**/assets/*.js", lambda route: route.fulfill(path=script))
    page.reload()
    expect(page.get_by_text("No accounts yet")).to_be_visible()
    # The list is read on every mount, which proves that there are two.
    assert len(requests.of("GET", "accounts")) == 2

    connect_facebook(page)

    expect_notice(page, "Connected:")
    assert len(requests.of("POST", "exchange-token")) == 1
    assert exchanges_at_meta(app) == 1


def test_a_reload_after_the_callback_does_not_exchange_again(page: Page, app: App, requests: Requests) -> None:
    connect_facebook(page)
    expect(page.get_by_role("listitem")).to_have_count(2)

    page.reload()

    expect(page.get_by_role("listitem")).to_have_count(2)
    assert len(requests.of("POST", "exchange-token")) == 1
    assert exchanges_at_meta(app) == 1


def test_reopening_the_callback_shows_the_same_result(page: Page, app: App, requests: Requests) -> None:
    connect_facebook(page)
    expect(page.get_by_role("listitem")).to_have_count(2)
    (callback,) = requests.callbacks(app.redirect_uri)

    page.goto(callback)

    expect_notice(page, "Connected:")
    expect(page.get_by_role("listitem")).to_have_count(2)
    assert exchanges_at_meta(app) == 1


def test_a_reload_during_the_exchange_shows_its_result(page: Page, app: App, fault: Fault) -> None:
    fault(operation="exchange_code", latency_ms=3000)
    connect_facebook(page)
    expect(page.get_by_text("Finishing the connection")).to_be_visible()
    screenshots(page, "finishing")

    page.reload()

    expect_notice(page, "Connected:")
    assert exchanges_at_meta(app) == 1
