"""Facebook Login: connecting, the number of calls it takes, and the error for each way to find no account."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from instagram_connect.errors import (
    AccessTokenForeignError,
    AccessTokenInvalidError,
    BusinessPortfolioNotGrantedError,
    InstagramConnectError,
    LoginCodeUsedError,
    MetaAppMisconfiguredError,
    MetaUnavailableError,
    NoFacebookPageError,
    NoInstagramAccountError,
    PermissionMissingError,
    RedirectUriMismatchError,
    ScopesDeclinedError,
    ScopesNotRequestedError,
)
from instagram_connect.meta.facebook_login import FacebookLogin
from instagram_connect.meta.graph import GraphClient
from instagram_connect.models import DiscoveredAccount, Login
from instagram_connect.runtime.deadline import Deadline
from tests.support.fakes import NOW
from tests.support.meta_client import REDIRECT_URI, MetaClient

SCOPES = ["instagram_basic", "pages_show_list", "pages_read_engagement", "pages_manage_metadata"]


def logged_in(
    facebook: FacebookLogin, meta: MetaClient, person: str = "Ana Souza", **wanted: Any
) -> tuple[Login, tuple[DiscoveredAccount, ...]]:
    deadline = Deadline(20)
    code = meta.authorize(person, **{"scopes": SCOPES, **wanted})
    short_lived = facebook.exchange_code(code, REDIRECT_URI, deadline)
    return facebook.discover(short_lived, deadline)


def calls(meta: MetaClient) -> list[dict[str, Any]]:
    return list(meta.control("GET", "/calls"))


def test_login_returns_the_accounts_of_all_pages(facebook: FacebookLogin, meta: MetaClient) -> None:
    login, accounts = logged_in(facebook, meta)

    cafe, studio = accounts
    assert (cafe.instagram_business_id, cafe.username, cafe.name) == (
        "17841400000000001",
        "cafe.azul",
        'Café "Azul" ☕',
    )
    assert (studio.page_id, studio.page_name) == ("27640875392278831", "Ana's Estúdio 📸 & Söhne")
    assert studio.followers_count == 942
    assert cafe.access_token != studio.access_token
    assert login.meta_user_id == "10220000000000001"
    assert set(SCOPES) <= set(login.granted_scopes)
    assert login.data_access_expires_at == NOW + timedelta(days=90)


def test_returned_token_is_long_lived(facebook: FacebookLogin, meta: MetaClient) -> None:
    login, _ = logged_in(facebook, meta)

    assert login.token.expires_at is not None
    assert timedelta(days=59) < login.token.expires_at - NOW <= timedelta(days=60)


def test_missing_lifetime_is_requested_from_meta(facebook: FacebookLogin, meta: MetaClient) -> None:
    meta.control("POST", "/settings", {"omit_expires_in": True})

    login, _ = logged_in(facebook, meta)

    assert login.token.expires_at is not None
    assert timedelta(days=59) < login.token.expires_at - NOW <= timedelta(days=60)


def test_accounts_are_collected_over_all_result_pages(facebook: FacebookLogin, meta: MetaClient) -> None:
    meta.control("POST", "/settings", {"max_page_size": 1, "empty_pages": True})

    _, accounts = logged_in(facebook, meta)

    assert len(accounts) == 2


def test_next_link_without_cursors_is_followed(facebook: FacebookLogin, meta: MetaClient) -> None:
    profile = {"id": "17841400000000088", "username": "first"}
    page = {"id": "1", "name": "First", "access_token": "EAA1", "instagram_business_account": profile}
    first = {"data": [page], "paging": {"next": "https://graph.facebook.com/v25.0/me/accounts?limit=1&after=QVF1"}}
    second = {"data": [{**page, "id": "2", "instagram_business_account": {**profile, "id": "17841400000000089"}}]}
    for answer in (first, second):
        meta.control("POST", "/faults", {"operation": "list_accounts", "status": 200, "body": answer})

    _, accounts = logged_in(facebook, meta)

    assert [account.page_id for account in accounts] == ["1", "2"]


@pytest.mark.parametrize("expires_in", [1e30, "1e9999", -5, "soon", None, 10**40])
def test_implausible_lifetime_is_requested_from_meta(
    facebook: FacebookLogin, meta: MetaClient, expires_in: object
) -> None:
    token = meta.long_token(scopes=SCOPES)
    answer = {"access_token": token, "expires_in": expires_in}
    meta.control("POST", "/faults", {"operation": "extend_token", "status": 200, "body": answer})

    login, _ = logged_in(facebook, meta)

    assert login.token.expires_at is not None
    assert login.token.expires_at - NOW <= timedelta(days=60)


def test_page_id_cannot_change_the_subscription_path(facebook: FacebookLogin, meta: MetaClient) -> None:
    account = DiscoveredAccount("17841400000000001", access_token="EAA", page_id="../../me?x=1#")

    with pytest.raises(InstagramConnectError):
        facebook.subscribe(account, Deadline(2))
    assert [call["operation"] for call in calls(meta)] != ["read_me"]


def test_one_hundred_pages_are_listed_in_one_call(facebook: FacebookLogin, meta: MetaClient) -> None:
    ninety = [str(1048576_10000000 + number) for number in range(1, 101)]

    _, accounts = logged_in(facebook, meta, "Dmitri Agency", pages=ninety)

    assert len(accounts) == 90
    assert Counter(call["operation"] for call in calls(meta)) == {
        "exchange_code": 1,
        "extend_token": 1,
        "list_accounts": 1,
        "permissions": 1,
        "debug_token": 1,
    }


def test_further_pages_are_followed_by_cursor(facebook: FacebookLogin, meta: MetaClient) -> None:
    _, accounts = logged_in(facebook, meta, "Dmitri Agency")

    assert len({account.instagram_business_id for account in accounts}) == 108


@pytest.mark.parametrize(
    ("person", "wanted", "error"),
    [
        ("Chloé Dubois", {}, NoFacebookPageError),
        (
            "Emeka Business",
            {"scopes": [*SCOPES, "business_management"], "declined_scopes": ["business_management"]},
            BusinessPortfolioNotGrantedError,
        ),
        ("Chloé Dubois", {"scopes": [*SCOPES, "business_management"]}, NoFacebookPageError),
        ("Ana Souza", {"pages": []}, NoFacebookPageError),
        ("Ben Carter", {}, NoInstagramAccountError),
        ("Ana Souza", {"instagram_accounts": []}, NoInstagramAccountError),
        ("Ana Souza", {"declined_scopes": ["instagram_basic"]}, ScopesDeclinedError),
        ("Ana Souza", {"declined_scopes": ["pages_show_list"]}, ScopesDeclinedError),
        ("Ana Souza", {"scopes": ["pages_show_list", "pages_read_engagement"]}, ScopesNotRequestedError),
    ],
)
def test_each_reason_for_no_account_has_its_error(
    facebook: FacebookLogin,
    meta: MetaClient,
    person: str,
    wanted: dict[str, Any],
    error: type[InstagramConnectError],
) -> None:
    with pytest.raises(error):
        logged_in(facebook, meta, person, **wanted)


def test_portfolio_page_is_found_once_granted(facebook: FacebookLogin, meta: MetaClient) -> None:
    _, (account,) = logged_in(facebook, meta, "Emeka Business", scopes=[*SCOPES, "business_management"])

    assert account.username == "oja.emeka"


def test_ungranted_portfolio_pages_are_mentioned(facebook: FacebookLogin, meta: MetaClient) -> None:
    with pytest.raises(NoFacebookPageError) as caught:
        logged_in(facebook, meta, "Emeka Business")

    assert caught.value.reason == "BUSINESS_MANAGEMENT_NOT_REQUESTED"
    assert "business_management" in caught.value.details


def test_declined_scope_is_named(facebook: FacebookLogin, meta: MetaClient) -> None:
    with pytest.raises(ScopesDeclinedError) as caught:
        logged_in(facebook, meta, declined_scopes=["instagram_basic"])

    assert caught.value.details == "Not granted: instagram_basic."


def test_declined_scope_is_named_when_listing_is_rejected(facebook: FacebookLogin, meta: MetaClient) -> None:
    meta.control("POST", "/faults", {"operation": "list_accounts", "times": None, "error": "permission_denied"})

    with pytest.raises(ScopesDeclinedError) as caught:
        logged_in(facebook, meta, declined_scopes=["pages_read_engagement"])
    assert caught.value.details == "Not granted: pages_read_engagement."


def test_code_is_rejected_on_reuse(facebook: FacebookLogin, meta: MetaClient) -> None:
    code = meta.authorize()
    facebook.exchange_code(code, REDIRECT_URI, Deadline(20))

    with pytest.raises(LoginCodeUsedError):
        facebook.exchange_code(code, REDIRECT_URI, Deadline(20))


def test_different_redirect_uri_is_a_mismatch(facebook: FacebookLogin, meta: MetaClient) -> None:
    with pytest.raises(RedirectUriMismatchError):
        facebook.exchange_code(meta.authorize(), f"{REDIRECT_URI}/", Deadline(20))


def test_changed_app_secret_is_an_operator_error(facebook: FacebookLogin, meta: MetaClient) -> None:
    code = meta.authorize()
    meta.control("POST", "/apps", {"id": "1111", "secret": "rotated", "redirect_uris": [REDIRECT_URI]})

    with pytest.raises(MetaAppMisconfiguredError) as caught:
        facebook.exchange_code(code, REDIRECT_URI, Deadline(20))
    assert caught.value.reason == "APP_SECRET_INVALID"


@pytest.mark.parametrize("operation", ["extend_token", "list_accounts", "permissions", "debug_token"])
@pytest.mark.parametrize("error", ["server_error", "unknown_error", "html_502", "empty_500"])
def test_single_failure_of_any_later_call_is_retried(
    facebook: FacebookLogin, meta: MetaClient, operation: str, error: str
) -> None:
    meta.control("POST", "/faults", {"operation": operation, "times": 1, "error": error})

    _, accounts = logged_in(facebook, meta)

    assert len(accounts) == 2


@pytest.mark.parametrize("operation", ["permissions", "debug_token"])
def test_optional_calls_may_fail(facebook: FacebookLogin, meta: MetaClient, operation: str) -> None:
    meta.control("POST", "/faults", {"operation": operation, "times": None, "error": "server_error"})

    login, accounts = logged_in(facebook, meta)

    assert len(accounts) == 2
    assert "instagram_basic" in login.granted_scopes


@pytest.mark.parametrize("operation", ["extend_token", "list_accounts"])
def test_lasting_failure_is_meta_unavailable(facebook: FacebookLogin, meta: MetaClient, operation: str) -> None:
    meta.control("POST", "/faults", {"operation": operation, "times": None, "error": "server_error"})

    with pytest.raises(MetaUnavailableError):
        logged_in(facebook, meta)


def test_every_call_has_an_appsecret_proof(facebook: FacebookLogin, meta: MetaClient) -> None:
    meta.control("POST", "/settings", {"require_app_secret": True})

    _, accounts = logged_in(facebook, meta)
    facebook.subscribe(accounts[0], Deadline(20))

    assert len(accounts) == 2


def test_subscribes_with_the_page_token(facebook: FacebookLogin, meta: MetaClient) -> None:
    _, accounts = logged_in(facebook, meta)

    facebook.subscribe(accounts[0], Deadline(20))

    subscribed = meta.data(f"/{accounts[0].page_id}/subscribed_apps", access_token=accounts[0].access_token)
    assert "messages" in subscribed["data"][0]["subscribed_fields"]


def test_subscription_without_the_permission_is_an_error(facebook: FacebookLogin, meta: MetaClient) -> None:
    _, accounts = logged_in(facebook, meta, declined_scopes=["pages_manage_metadata"])

    with pytest.raises(PermissionMissingError):
        facebook.subscribe(accounts[0], Deadline(20))


def test_account_can_be_unsubscribed(facebook: FacebookLogin, meta: MetaClient) -> None:
    _, (account, _) = logged_in(facebook, meta)
    facebook.subscribe(account, Deadline(20))

    facebook.unsubscribe(account, Deadline(20))

    assert meta.data(f"/{account.page_id}/subscribed_apps", access_token=account.access_token)["data"] == []


def test_revoking_ends_the_users_grant(facebook: FacebookLogin, meta: MetaClient) -> None:
    login, _ = logged_in(facebook, meta)
    assert login.meta_user_id is not None

    assert facebook.revoke(login.token.value, login.meta_user_id, Deadline(20)) is True

    assert meta.debug(login.token.value)["is_valid"] is False


def dialog_parameters(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def test_dialog_url_has_the_configured_scopes(facebook: FacebookLogin) -> None:
    address = facebook.login_url(REDIRECT_URI, "s/1", rerequest=False)

    assert urlsplit(address).path == "/www.facebook.com/v25.0/dialog/oauth"
    assert dialog_parameters(address) == {
        "client_id": "1111",
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": "instagram_basic,pages_show_list,pages_read_engagement,pages_manage_metadata",
        "state": "s/1",
    }


def test_declined_permissions_can_be_requested_again(facebook: FacebookLogin) -> None:
    assert dialog_parameters(facebook.login_url(REDIRECT_URI, "s", rerequest=True))["auth_type"] == "rerequest"


def test_login_configuration_replaces_scopes(facebook: FacebookLogin, meta: MetaClient) -> None:
    for_business = FacebookLogin(replace(facebook._app, login_config_id="99"), GraphClient(meta.http), lambda: NOW)

    asked = dialog_parameters(for_business.login_url(REDIRECT_URI, "s", rerequest=False))

    assert (asked["config_id"], asked["override_default_response_type"]) == ("99", "true")
    assert "scope" not in asked


def foreign_token(meta: MetaClient) -> str:
    meta.control("POST", "/apps", {"id": "2222", "secret": "another", "redirect_uris": [REDIRECT_URI]})
    return str(
        meta.control("POST", "/authorize", {"person": "Ana Souza", "app_id": "2222", "response_type": "token"})[
            "access_token"
        ]
    )


def test_token_of_this_app_is_accepted_with_its_scopes(facebook: FacebookLogin, meta: MetaClient) -> None:
    value = meta.short_token(scopes=SCOPES)

    token = facebook.accept_token(value, Deadline(20))

    assert token.value == value
    assert set(SCOPES) <= set(token.granted_scopes or ())


def test_token_of_another_app_is_rejected(facebook: FacebookLogin, meta: MetaClient) -> None:
    with pytest.raises(AccessTokenForeignError):
        facebook.accept_token(foreign_token(meta), Deadline(20))


@pytest.mark.parametrize("app_id", ["2222", 2222, None])
def test_token_described_as_another_apps_is_rejected(facebook: FacebookLogin, meta: MetaClient, app_id: object) -> None:
    facts = {"app_id": app_id, "is_valid": True, "type": "USER", "scopes": SCOPES}
    meta.control("POST", "/faults", {"operation": "debug_token", "status": 200, "body": {"data": facts}})

    with pytest.raises(AccessTokenForeignError):
        facebook.accept_token("EAAx", Deadline(20))


def test_dead_token_has_its_reason(facebook: FacebookLogin, meta: MetaClient) -> None:
    value = meta.short_token(scopes=SCOPES)
    meta.advance(3 * 3600)

    with pytest.raises(AccessTokenInvalidError) as caught:
        facebook.accept_token(value, Deadline(20))
    assert caught.value.reason == "TOKEN_EXPIRED"


def test_garbage_and_page_tokens_are_rejected(facebook: FacebookLogin, meta: MetaClient) -> None:
    page_token = meta.page_token(meta.long_token(scopes=SCOPES), "104857600000001")

    for value, reason in (("rubbish", "TOKEN_INVALID"), (page_token, "NOT_A_USER_TOKEN")):
        with pytest.raises(AccessTokenInvalidError) as caught:
            facebook.accept_token(value, Deadline(20))
        assert caught.value.reason == reason


def test_token_without_a_required_scope_is_rejected_first(facebook: FacebookLogin, meta: MetaClient) -> None:
    declined = meta.short_token(scopes=SCOPES, declined_scopes=["instagram_basic"])
    never_asked = meta.short_token("Ben Carter", scopes=["pages_show_list"])

    with pytest.raises(ScopesDeclinedError):
        facebook.accept_token(declined, Deadline(20))
    with pytest.raises(ScopesNotRequestedError):
        facebook.accept_token(never_asked, Deadline(20))
    assert not {"extend_token", "list_accounts"} & {call["operation"] for call in calls(meta)}


def test_wrong_secret_is_an_operator_error(facebook: FacebookLogin, meta: MetaClient) -> None:
    value = meta.short_token(scopes=SCOPES)
    meta.control("POST", "/apps", {"id": "1111", "secret": "rotated", "redirect_uris": [REDIRECT_URI]})

    with pytest.raises(MetaAppMisconfiguredError):
        facebook.accept_token(value, Deadline(20))


def test_token_that_cannot_be_inspected_is_not_accepted(facebook: FacebookLogin, meta: MetaClient) -> None:
    meta.control("POST", "/faults", {"operation": "debug_token", "times": None, "error": "server_error"})

    with pytest.raises(MetaUnavailableError):
        facebook.accept_token(meta.short_token(scopes=SCOPES), Deadline(4))
