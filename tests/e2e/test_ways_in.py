"""Logins other than a Facebook code: Instagram Login and Supabase Auth's Facebook login; and the login state."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local.database import connect
from tests.support.app import SCOPES, App, User


def facebook_token(app: App, **wanted: Any) -> str:
    """The provider_token in the session of Supabase Auth's own Facebook login."""
    body = {"person": "Ana Souza", "response_type": "token", "scopes": SCOPES, **wanted}
    return str(app.meta("POST", "/authorize", body)["access_token"])


@pytest.mark.parametrize("shape", ["flat", "wrapped"])
def test_instagram_login_connects_one_account_with_both_its_ids(app: App, user: User, shape: str) -> None:
    app.meta("POST", "/settings", {"instagram_answers": shape})

    response = app.exchange(user, app.log_in_to_instagram("luz.cria"), provider="instagram")

    (account,) = response.json()["data"]["accounts"]
    (row,) = app.read(user, "instagram_business_accounts?select=*").json()
    assert (account["provider"], account["username"], account["pageId"]) == ("instagram", "luz.cria", None)
    assert row["instagram_business_id"] == "17841400000000005"
    assert row["meta_user_id"] not in (None, "17841400000000005")
    assert row["webhook_subscribed_at"] is not None
    assert len(app.calls("subscribe_instagram")) == 1


def test_account_connected_with_both_products_keeps_its_row(app: App, user: User) -> None:
    by_facebook = app.connect(user)[0]

    by_instagram = app.exchange(user, app.log_in_to_instagram(), provider="instagram").json()["data"]["accounts"][0]
    again = app.connect(user)[0]

    assert by_facebook["id"] == by_instagram["id"] == again["id"]
    assert [account["provider"] for account in (by_facebook, by_instagram, again)] == [
        "facebook",
        "instagram",
        "facebook",
    ]


def test_unticked_basic_permission_is_named(app: App, user: User) -> None:
    code = app.log_in_to_instagram(declined_scopes=["instagram_business_basic"])

    response = app.exchange(user, code, provider="instagram")

    assert (response.status_code, response.json()["code"]) == (403, "SCOPES_DECLINED")
    assert "instagram_business_basic" in response.json()["details"]


def test_personal_account_is_rejected_with_a_hint(app: App, user: User) -> None:
    app.meta("POST", "/settings", {"instagram_personal_accounts": True})

    response = app.exchange(user, app.log_in_to_instagram("pia.privat"), provider="instagram")

    assert (response.status_code, response.json()["code"]) == (422, "ACCOUNT_NOT_PROFESSIONAL")


def test_code_of_one_product_is_rejected_by_the_other(app: App, user: User) -> None:
    facebook, instagram = app.log_in(), app.log_in_to_instagram()

    responses = [app.exchange(user, facebook, provider="instagram"), app.exchange(user, instagram)]

    assert [response.json()["code"] for response in responses] == ["OAUTH_CODE_USED", "OAUTH_CODE_INVALID"]
    assert app.exchange(user, facebook, provider="facebook").status_code == 200


def test_supabase_auths_facebook_token_connects(app: App, user: User) -> None:
    response = app.call(user, "POST", "/instagram/exchange-token", {"accessToken": facebook_token(app)})

    assert response.status_code == 200
    assert [account["username"] for account in response.json()["data"]["accounts"]] == ["cafe.azul", "estudio_ana"]
    assert app.calls("exchange_code") == []


def test_facebook_token_can_be_sent_again(app: App, user: User) -> None:
    body = {"accessToken": facebook_token(app)}

    responses = [app.call(user, "POST", "/instagram/exchange-token", body) for _ in range(2)]

    assert responses[0].json()["data"]["businessAccountId"] == responses[1].json()["data"]["businessAccountId"]


def test_token_of_another_app_is_rejected_and_nothing_is_stored(app: App, user: User) -> None:
    app.meta("POST", "/apps", {"id": "3333", "secret": "another", "redirect_uris": [app.redirect_uri]})

    response = app.call(user, "POST", "/instagram/exchange-token", {"accessToken": facebook_token(app, app_id="3333")})

    assert (response.status_code, response.json()["code"]) == (403, "ACCESS_TOKEN_FOREIGN")
    assert app.read(user, "instagram_business_accounts?select=id").json() == []


def test_token_without_the_scopes_is_rejected(app: App, user: User) -> None:
    token = facebook_token(app, declined_scopes=["instagram_basic"])

    response = app.call(user, "POST", "/instagram/exchange-token", {"accessToken": token})

    assert (response.status_code, response.json()["code"]) == (403, "SCOPES_DECLINED")


def test_access_token_for_instagram_is_rejected_with_an_explanation(app: App, user: User) -> None:
    body = {"accessToken": "IGAAx", "provider": "instagram"}

    response = app.call(user, "POST", "/instagram/exchange-token", body)

    assert (response.status_code, response.json()["code"]) == (400, "INVALID_REQUEST")
    assert "send a code" in response.json()["details"]


def authorize(app: App, user: User, provider: str = "facebook") -> dict[str, str]:
    body = {"provider": provider, "redirectUri": app.redirect_uri}
    response: dict[str, str] = app.call(user, "POST", "/instagram/authorize", body).raise_for_status().json()["data"]
    return response


@pytest.mark.parametrize("provider", ["facebook", "instagram"])
def test_authorize_url_is_accepted_by_the_dialog(app: App, user: User, provider: str) -> None:
    start = authorize(app, user, provider)

    dialog = app.http.get(start["authorizeUrl"])

    assert dialog.status_code == 200
    assert parse_qs(urlsplit(start["authorizeUrl"]).query)["state"] == [start["state"]]


def test_state_is_valid_for_one_login_of_its_user(app: App, user: User) -> None:
    state = authorize(app, user)["state"]
    code = app.log_in()

    stranger = app.exchange(app.sign_up(), code, state=state)
    first = app.exchange(user, code, state=state)
    again = app.exchange(user, code, state=state)
    another = app.exchange(user, app.log_in(), state=state)

    assert stranger.json()["reason"] == "STATE_OF_ANOTHER_USER"
    assert (first.status_code, again.json()["data"]) == (200, first.json()["data"])
    assert another.json()["reason"] == "STATE_USED"


def test_state_determines_the_product(app: App, user: User) -> None:
    state = authorize(app, user, "instagram")["state"]

    response = app.exchange(user, app.log_in_to_instagram(), state=state)

    assert response.json()["data"]["accounts"][0]["provider"] == "instagram"


def test_ungranted_portfolio_pages_are_distinguished_from_no_pages(app: App, user: User) -> None:
    scopes = [*SCOPES, "business_management"]
    declined = app.exchange(user, app.log_in("Emeka Business", scopes=scopes, declined_scopes=["business_management"]))
    granted = app.exchange(user, app.log_in("Emeka Business", scopes=scopes))
    none = app.exchange(user, app.log_in("Chloé Dubois", scopes=scopes))

    assert declined.json()["code"] == "BUSINESS_PORTFOLIO_NOT_GRANTED"
    assert granted.status_code == 200
    assert none.json()["code"] == "NO_FACEBOOK_PAGE"


def test_user_token_is_stored_once_with_instagram_login(app: App, user: User) -> None:
    app.exchange(user, app.log_in_to_instagram(), provider="instagram").raise_for_status()

    with connect(app.stack["database_url"]) as database:
        rows = database.execute(
            """
            select access_token_ciphertext is not null, user_token_ciphertext is not null, expires_at is not null
            from instagram_credentials
            join instagram_business_accounts as account on account.id = business_account_id
            where account.user_id = %s
            """,
            [user.id],
        ).fetchall()
    assert rows == [(True, False, True)]
