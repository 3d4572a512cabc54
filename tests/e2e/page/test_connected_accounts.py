"""What users do with connected accounts: disconnect, reconnect, renew."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.app import App, User
from tests.support.page import (
    Requests,
    account,
    connect_facebook,
    connect_instagram,
    expect_notice,
    screenshots,
    set_reconnect,
)


def test_disconnecting_asks_for_confirmation_and_explains_what_remains_at_facebook(page: Page) -> None:
    connect_facebook(page)
    item = account(page, "cafe.azul")
    item.get_by_role("button", name="Disconnect").click()
    expect(item.get_by_role("button", name="Keep it")).to_be_focused()
    screenshots(page, "disconnect-asks")
    item.get_by_role("button", name="Keep it").click()
    item.get_by_role("button", name="Disconnect").click()

    item.get_by_role("button", name="Yes, disconnect").click()

    expect_notice(page, "@cafe.azul is disconnected.")
    expect_notice(page, "because your other accounts need it")
    expect(item).to_contain_text("Disconnected")
    expect(item.get_by_role("button")).to_have_text(["Connect again"])
    expect(account(page, "estudio_ana")).to_contain_text("Connected, login valid")
    screenshots(page, "disconnected-facebook")


@pytest.mark.usefixtures("no_other_connections")
def test_disconnecting_the_last_account_of_a_login_leaves_nothing_to_do(page: Page) -> None:
    connect_facebook(page, "Emeka Business")
    account(page, "oja.emeka").get_by_role("button", name="Disconnect").click()

    page.get_by_role("button", name="Yes, disconnect").click()

    expect_notice(page, re.compile("^@oja.emeka is disconnected.$"))


def test_disconnecting_from_instagram_explains_where_to_remove_the_app(page: Page) -> None:
    connect_instagram(page)
    account(page, "luz.cria").get_by_role("button", name="Disconnect").click()

    page.get_by_role("button", name="Yes, disconnect").click()

    expect_notice(page, "“Apps and websites”")
    screenshots(page, "disconnected-instagram")


@pytest.mark.parametrize("product", ["facebook", "instagram"])
def test_reconnecting_uses_the_login_product_of_the_account(page: Page, app: App, user: User, product: str) -> None:
    connect_facebook(page) if product == "facebook" else connect_instagram(page)
    username = "cafe.azul" if product == "facebook" else "luz.cria"
    item = account(page, username)
    expect(item).to_contain_text("Connected, login valid")
    set_reconnect(app, user, username, status="needs_reauth")

    page.reload()

    expect(item).to_contain_text("Meta no longer accepts the login.")
    expect(item).to_contain_text("Reconnect to keep using this account.")
    screenshots(page, f"needs-reauth-{product}")
    item.get_by_role("button", name="Reconnect").click()
    expect(page).to_have_url(re.compile(f"www.{product}.com"))
    page.get_by_role("button", name="Ana Souza" if product == "facebook" else username).click()
    page.get_by_role("button", name=re.compile("Continue|Allow")).click()
    expect(item).to_contain_text("Connected, login valid")


@pytest.mark.parametrize(
    ("reason", "hint", "rerequests"),
    [
        ("PASSWORD_CHANGED", "The password was changed. Connect the account again.", False),
        ("PERMISSION_MISSING", "A permission was withdrawn. Connect again and leave all permissions ticked.", True),
    ],
)
def test_an_account_that_needs_its_user_shows_the_hint(
    page: Page, app: App, user: User, requests: Requests, reason: str, hint: str, rerequests: bool
) -> None:
    connect_facebook(page)
    item = account(page, "cafe.azul")
    expect(item).to_contain_text("Connected, login valid")
    set_reconnect(app, user, "cafe.azul", status="needs_reauth", reason=reason, hint=hint)

    page.reload()

    expect(item).to_contain_text(hint)
    expect(item).not_to_contain_text("Reconnect to keep using this account.")
    screenshots(page, f"needs-reauth-{reason.lower().replace('_', '-')}")
    item.get_by_role("button", name="Reconnect").click()
    expect(page).to_have_url(re.compile("www.facebook.com"))
    body: Any = requests.of("POST", "authorize")[-1].post_data_json
    # Without it Facebook does not ask again for withdrawn permissions.
    assert body["rerequest"] is rerequests


def test_an_account_that_expires_soon_still_works_and_shows_the_date(page: Page, app: App, user: User) -> None:
    connect_facebook(page)
    item = account(page, "cafe.azul")
    expect(item).to_contain_text("Connected, login valid")
    hint = "The login expires soon. Connect again to keep the account working."
    before = datetime(2030, 12, 8, 12, tzinfo=UTC)
    set_reconnect(app, user, "cafe.azul", status="active", reason="LOGIN_ENDS", hint=hint, before=before)

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
