"""Instagram Login: one account from one login, with the right one of its two ids; the error for each rejection."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from instagram_connect.errors import (
    AccountNotProfessionalError,
    InstagramConnectError,
    InvalidRequestError,
    LoginCodeExpiredError,
    LoginCodeUsedError,
    LoginOutcomeUnknownError,
    MetaAppMisconfiguredError,
    MetaRateLimitedError,
    MetaRequestRejectedError,
    MetaUnavailableError,
    ReconnectRequiredError,
    RedirectUriMismatchError,
    ScopesDeclinedError,
)
from instagram_connect.meta.graph import GraphClient
from instagram_connect.meta.instagram_login import SUBSCRIBED_FIELDS, InstagramApp, InstagramLogin
from instagram_connect.models import DiscoveredAccount, Login, Provider, UserToken
from instagram_connect.runtime.deadline import Deadline
from meta_simulator.call_log import fingerprint
from meta_simulator.instagram.app_scoped_ids import app_scoped_id
from tests.support.fakes import NOW
from tests.support.instagram_client import ALL_SCOPES, CAFE, GRAPH, InstagramClient
from tests.support.meta_client import ORIGIN, REDIRECT_URI, VERSION, MetaClient

API_URL = "https://api.instagram.test"


def logged_in(
    instagram_login: InstagramLogin, instagram: InstagramClient, person: str = "cafe.azul", **wanted: object
) -> tuple[Login, DiscoveredAccount]:
    code = instagram.authorize(person, **wanted)
    short_lived = instagram_login.exchange_code(code, REDIRECT_URI, Deadline(20))
    login, (account,) = instagram_login.discover(short_lived, Deadline(20))
    return login, account


def calls(meta: MetaClient) -> list[dict[str, Any]]:
    return list(meta.control("GET", "/calls"))


def answer_with(meta: MetaClient, operation: str, body: object) -> None:
    meta.control("POST", "/faults", {"operation": operation, "status": 200, "body": body})


def product(
    answer: Callable[[httpx.Request], httpx.Response], now: Callable[[], datetime] = lambda: NOW
) -> InstagramLogin:
    """The product in front of a Meta with scripted responses."""
    app = InstagramApp("7777", "the-instagram-secret", f"{ORIGIN}{GRAPH}", API_URL, ORIGIN, VERSION, "a,b")
    http = httpx.Client(transport=httpx.MockTransport(answer))
    return InstagramLogin(app, GraphClient(http, sleep=lambda _: None), now)


def subscribed_fields(instagram: InstagramClient, token: str) -> list[str]:
    listed = instagram.get("/me/subscribed_apps", access_token=token).json()["data"]
    return [name for entry in listed for name in entry["subscribed_fields"]]


@pytest.mark.parametrize("shape", ["flat", "wrapped"])
def test_login_returns_its_account_with_both_ids_from_both_response_shapes(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient, shape: str
) -> None:
    meta.control("POST", "/settings", {"instagram_answers": shape})

    login, account = logged_in(instagram_login, instagram)

    assert (account.instagram_business_id, login.meta_user_id) == (CAFE, app_scoped_id("7777", CAFE))
    assert (account.username, account.name) == ("cafe.azul", 'Café "Azul" ☕')
    assert account.page_id is None
    assert account.access_token == login.token.value
    assert login.provider is Provider.INSTAGRAM
    assert login.granted_scopes == tuple(sorted(ALL_SCOPES))
    assert login.data_access_expires_at is None


@pytest.mark.parametrize(
    "answer",
    [
        {"access_token": "IGAA1", "user_id": 1, "permissions": ["instagram_business_basic", "b"]},
        {"access_token": "IGAA1", "user_id": "1", "permissions": "instagram_business_basic,b"},
        {"access_token": "IGAA1", "user_id": "1", "permissions": "instagram_business_basic, b"},
        {"data": [{"access_token": "IGAA1", "user_id": 1, "permissions": ["instagram_business_basic", "b"]}]},
        {"data": [{"access_token": "IGAA1", "user_id": "1", "permissions": "instagram_business_basic,b"}]},
    ],
)
def test_permissions_are_read_from_lists_and_text(
    instagram_login: InstagramLogin, meta: MetaClient, answer: dict[str, Any]
) -> None:
    answer_with(meta, "exchange_instagram_code", answer)

    token = instagram_login.exchange_code("any", REDIRECT_URI, Deadline(20))

    assert (token.value, token.granted_scopes) == ("IGAA1", ("instagram_business_basic", "b"))
    assert token.issued_at == NOW


@pytest.mark.parametrize("wrap", [lambda profile: profile, lambda profile: {"data": [profile]}])
def test_numeric_ids_keep_every_digit(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient, wrap: Callable[[Any], Any]
) -> None:
    answer_with(meta, "read_instagram_me", wrap({"id": 27640875392278831, "user_id": 17841499999999993}))

    login, account = logged_in(instagram_login, instagram)

    assert (account.instagram_business_id, login.meta_user_id) == ("17841499999999993", "27640875392278831")
    assert (account.username, account.followers_count) == (None, None)


def test_returned_token_lasts_sixty_days(instagram_login: InstagramLogin, instagram: InstagramClient) -> None:
    login, account = logged_in(instagram_login, instagram)

    assert login.token.issued_at == NOW
    assert login.token.expires_at is not None
    assert timedelta(days=59) < login.token.expires_at - NOW <= timedelta(days=60)
    assert instagram.me(account.access_token)["username"] == "cafe.azul"


def test_lifetime_counts_from_before_the_call() -> None:
    clock = [NOW]

    def answer_slowly(request: httpx.Request) -> httpx.Response:
        clock[0] += timedelta(seconds=7)
        return httpx.Response(200, json={"access_token": "IGAA1", "expires_in": 5_184_000, "user_id": CAFE, "id": "2"})

    login, _ = product(answer_slowly, lambda: clock[0]).discover(UserToken("IGAA0", NOW, None), Deadline(20))

    assert (login.token.issued_at, login.token.expires_at) == (NOW, NOW + timedelta(days=60))


def test_missing_lifetime_is_not_invented(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    answer_with(meta, "extend_instagram_token", {"access_token": instagram.long_token(), "token_type": "bearer"})

    login, _ = logged_in(instagram_login, instagram)

    assert login.token.expires_at is None


def test_only_ticked_permissions_count_as_granted(instagram_login: InstagramLogin, instagram: InstagramClient) -> None:
    login, _ = logged_in(instagram_login, instagram, declined_scopes=["instagram_business_manage_messages"])

    assert set(login.granted_scopes) == set(ALL_SCOPES) - {"instagram_business_manage_messages"}


@pytest.mark.parametrize("shape", ["flat", "wrapped"])
def test_missing_basic_permission_is_named_without_further_calls(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient, shape: str
) -> None:
    meta.control("POST", "/settings", {"instagram_answers": shape})

    with pytest.raises(ScopesDeclinedError) as caught:
        logged_in(instagram_login, instagram, declined_scopes=["instagram_business_basic"])

    assert caught.value.details == "Not granted: instagram_business_basic."
    assert [call["operation"] for call in calls(meta)] == ["exchange_instagram_code"]


def test_unknown_permissions_do_not_count_as_declined(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    answer_with(meta, "exchange_instagram_code", {"access_token": instagram.short_token(), "user_id": 1})

    login, account = logged_in(instagram_login, instagram)

    assert (account.instagram_business_id, login.granted_scopes) == (CAFE, ())


def test_personal_account_is_rejected(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    meta.control("POST", "/settings", {"instagram_personal_accounts": True})

    with pytest.raises(AccountNotProfessionalError):
        logged_in(instagram_login, instagram, "pia.privat")


@pytest.mark.parametrize("upper_case", [False, True])
@pytest.mark.parametrize(("person", "id_"), [("cafe.azul", CAFE), ("luz.cria", "17841400000000005")])
def test_business_and_creator_accounts_connect_in_every_spelling(
    instagram_login: InstagramLogin,
    instagram: InstagramClient,
    meta: MetaClient,
    person: str,
    id_: str,
    upper_case: bool,
) -> None:
    meta.control("POST", "/settings", {"instagram_upper_case_account_types": upper_case})

    _, account = logged_in(instagram_login, instagram, person)

    assert account.instagram_business_id == id_


@pytest.mark.parametrize(
    "profile",
    [
        {"id": "27640875392278831", "username": "cafe.azul"},
        {"id": "27640875392278831", "user_id": None},
        {"id": "27640875392278831", "user_id": ""},
        {"data": [{"id": "27640875392278831"}]},
        {"data": []},
        {},
    ],
)
def test_app_scoped_id_never_replaces_a_missing_professional_id(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient, profile: dict[str, Any]
) -> None:
    answer_with(meta, "read_instagram_me", profile)

    with pytest.raises(MetaRequestRejectedError) as caught:
        logged_in(instagram_login, instagram)
    assert caught.value.log_context == {"cause": "answer without user_id"}


@pytest.mark.parametrize(
    "answer", [{}, {"data": []}, {"data": [{}]}, {"access_token": ""}, {"access_token": 5}, {"data": {}}]
)
@pytest.mark.parametrize(
    ("operation", "error"),
    [("exchange_instagram_code", LoginOutcomeUnknownError), ("extend_instagram_token", MetaRequestRejectedError)],
)
def test_response_without_a_token_is_rejected(
    instagram_login: InstagramLogin,
    instagram: InstagramClient,
    meta: MetaClient,
    operation: str,
    error: type[InstagramConnectError],
    answer: object,
) -> None:
    answer_with(meta, operation, answer)

    with pytest.raises(error):
        logged_in(instagram_login, instagram)


@pytest.mark.parametrize("user_id", [True, 1.5, [], {"a": 1}])
def test_id_that_is_neither_text_nor_integer_is_ignored(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient, user_id: object
) -> None:
    answer_with(meta, "read_instagram_me", {"id": "27640875392278831", "user_id": user_id})

    with pytest.raises(MetaRequestRejectedError):
        logged_in(instagram_login, instagram)


def test_unticking_everything_is_a_declined_permission(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    answer_with(meta, "exchange_instagram_code", {"access_token": "IGAAx", "user_id": 1, "permissions": []})

    with pytest.raises(ScopesDeclinedError):
        logged_in(instagram_login, instagram)


def test_code_is_rejected_on_reuse(instagram_login: InstagramLogin, instagram: InstagramClient) -> None:
    code = instagram.authorize()
    instagram_login.exchange_code(code, REDIRECT_URI, Deadline(20))

    with pytest.raises(LoginCodeUsedError):
        instagram_login.exchange_code(code, REDIRECT_URI, Deadline(20))


def test_code_older_than_an_hour_is_expired(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    code = instagram.authorize()
    meta.advance(3600)

    with pytest.raises(LoginCodeExpiredError):
        instagram_login.exchange_code(code, REDIRECT_URI, Deadline(20))


def test_different_redirect_uri_is_a_mismatch_and_keeps_the_code_usable(
    instagram_login: InstagramLogin, instagram: InstagramClient
) -> None:
    code = instagram.authorize()

    with pytest.raises(RedirectUriMismatchError):
        instagram_login.exchange_code(code, f"{REDIRECT_URI}/", Deadline(20))
    assert instagram_login.exchange_code(code, REDIRECT_URI, Deadline(20)).value


def test_changed_app_secret_is_an_operator_error(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    code = instagram.authorize()
    rotated = {"id": "7777", "secret": "rotated", "product": "instagram", "redirect_uris": [REDIRECT_URI]}
    meta.control("POST", "/apps", rotated)

    with pytest.raises(MetaAppMisconfiguredError) as caught:
        instagram_login.exchange_code(code, REDIRECT_URI, Deadline(20))
    assert caught.value.reason == "APP_SECRET_INVALID"


@pytest.mark.parametrize("text", ["Invalid platform app", "Invalid Client ID", "Invalid client_id"])
def test_unknown_app_is_an_operator_error(instagram_login: InstagramLogin, meta: MetaClient, text: str) -> None:
    body = {"error_type": "OAuthException", "code": 400, "error_message": text}
    meta.control("POST", "/faults", {"operation": "exchange_instagram_code", "status": 400, "body": body})

    with pytest.raises(MetaAppMisconfiguredError) as caught:
        instagram_login.exchange_code("any", REDIRECT_URI, Deadline(20))
    assert caught.value.reason == "APP_ID_INVALID"


def test_rate_limited_exchange_is_not_retried(instagram_login: InstagramLogin, meta: MetaClient) -> None:
    body = {"error_type": "OAuthRateLimitException", "code": 429, "error_message": "You have exceeded the limit"}
    meta.control("POST", "/faults", {"operation": "exchange_instagram_code", "status": 429, "body": body})

    with pytest.raises(MetaRateLimitedError) as caught:
        instagram_login.exchange_code("any", REDIRECT_URI, Deadline(20))
    assert caught.value.retry_after_s == 3600
    assert len(calls(meta)) == 1


@pytest.mark.parametrize("failure", [httpx.ReadTimeout("x"), httpx.ReadError("x"), httpx.RemoteProtocolError("x")])
def test_exchange_with_a_lost_response_is_sent_once(failure: httpx.HTTPError) -> None:
    sent: list[httpx.Request] = []

    def lose(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        raise failure

    with pytest.raises(LoginOutcomeUnknownError):
        product(lose).exchange_code("the-code", REDIRECT_URI, Deadline(20))
    assert len(sent) == 1


@pytest.mark.parametrize("error", ["server_error", "unknown_error", "html_502", "empty_500"])
def test_exchange_with_a_server_error_is_sent_once_and_in_doubt(
    instagram_login: InstagramLogin, meta: MetaClient, error: str
) -> None:
    meta.control("POST", "/faults", {"operation": "exchange_instagram_code", "times": None, "error": error})

    with pytest.raises(LoginOutcomeUnknownError):
        instagram_login.exchange_code("any", REDIRECT_URI, Deadline(20))
    assert len(calls(meta)) == 1


def test_exchange_posts_a_form_and_its_url_has_no_secret() -> None:
    sent: list[httpx.Request] = []

    def keep(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"access_token": "IGAA1"})

    product(keep).exchange_code("the code&", REDIRECT_URI, Deadline(20))

    (request,) = sent
    assert (request.method, str(request.url)) == ("POST", f"{API_URL}/oauth/access_token")
    assert parse_qs(request.content.decode()) == {
        "client_id": ["7777"],
        "client_secret": ["the-instagram-secret"],
        "grant_type": ["authorization_code"],
        "redirect_uri": [REDIRECT_URI],
        "code": ["the code&"],
    }


@pytest.mark.parametrize("operation", ["extend_instagram_token", "read_instagram_me"])
@pytest.mark.parametrize("error", ["server_error", "unknown_error", "html_502", "empty_500"])
def test_single_failure_of_a_later_call_is_retried(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient, operation: str, error: str
) -> None:
    meta.control("POST", "/faults", {"operation": operation, "error": error})

    _, account = logged_in(instagram_login, instagram)

    assert account.instagram_business_id == CAFE


@pytest.mark.parametrize("operation", ["extend_instagram_token", "read_instagram_me"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("server_error", MetaUnavailableError),
        ("permission_denied", ScopesDeclinedError),
        ("invalid_token", ReconnectRequiredError),
        ("app_rate_limit", MetaRateLimitedError),
    ],
)
def test_lasting_failure_of_a_later_call_keeps_its_type(
    instagram_login: InstagramLogin,
    instagram: InstagramClient,
    meta: MetaClient,
    operation: str,
    fault: str,
    error: type[InstagramConnectError],
) -> None:
    meta.control("POST", "/faults", {"operation": operation, "times": None, "error": fault})

    with pytest.raises(error):
        logged_in(instagram_login, instagram)


@pytest.mark.parametrize(("rerequest", "more"), [(False, {}), (True, {"force_reauth": ["true"]})])
def test_dialog_url_has_all_parameters(
    instagram_login: InstagramLogin, rerequest: bool, more: dict[str, list[str]]
) -> None:
    address = urlsplit(instagram_login.login_url(f"{REDIRECT_URI}?a=1&b=ü", "st&te", rerequest=rerequest))

    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{ORIGIN}/www.instagram.com/oauth/authorize"
    assert parse_qs(address.query, strict_parsing=True) == {
        "client_id": ["7777"],
        "redirect_uri": [f"{REDIRECT_URI}?a=1&b=ü"],
        "response_type": ["code"],
        "scope": [",".join(ALL_SCOPES)],
        "state": ["st&te"],
        **more,
    }


def test_dialog_accepts_its_url(instagram_login: InstagramLogin, meta: MetaClient) -> None:
    answer = meta.http.get(instagram_login.login_url(REDIRECT_URI, "the-state", rerequest=False))

    assert answer.status_code == 200
    assert "the-state" in answer.text


def test_subscribes_and_unsubscribes_with_the_accounts_token(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    _, account = logged_in(instagram_login, instagram)

    instagram_login.subscribe(account, Deadline(20))
    begun = subscribed_fields(instagram, account.access_token)
    instagram_login.unsubscribe(account, Deadline(20))

    assert begun == SUBSCRIBED_FIELDS.split(",")
    assert subscribed_fields(instagram, account.access_token) == []
    edges = {
        call["operation"]: (call["method"], call["path"], call["fingerprints"]["access_token"])
        for call in calls(meta)
        if call["operation"] in ("subscribe_instagram", "unsubscribe_instagram")
    }
    own = fingerprint(account.access_token)
    assert edges == {
        "subscribe_instagram": ("POST", f"/{VERSION}/me/subscribed_apps", own),
        "unsubscribe_instagram": ("DELETE", f"/{VERSION}/{CAFE}/subscribed_apps", own),
    }


def test_subscription_without_success_has_failed(instagram_login: InstagramLogin, meta: MetaClient) -> None:
    answer_with(meta, "subscribe_instagram", {"success": False})

    with pytest.raises(MetaRequestRejectedError):
        instagram_login.subscribe(DiscoveredAccount(CAFE, "IGAA1"), Deadline(20))


def test_account_id_cannot_change_the_unsubscribe_path() -> None:
    sent: list[str] = []

    def keep(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.raw_path.decode().partition("?")[0])
        return httpx.Response(200, json={"success": True})

    product(keep).unsubscribe(DiscoveredAccount("../me?x=1#", "IGAA1"), Deadline(20))

    assert sent == [f"{GRAPH}/{VERSION}/..%2Fme%3Fx%3D1%23/subscribed_apps"]


def test_revoking_makes_no_call(instagram_login: InstagramLogin, meta: MetaClient) -> None:
    assert instagram_login.revoke("IGAA1", "27640875392278831", Deadline(20)) is False
    assert calls(meta) == []


def test_access_token_is_rejected_without_calling_meta(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    token = instagram.long_token()
    meta.control("DELETE", "/calls")

    with pytest.raises(InvalidRequestError) as caught:
        instagram_login.accept_token(token, Deadline(20))
    assert "accessToken" in caught.value.details
    assert token not in caught.value.details
    assert calls(meta) == []


def test_connecting_takes_four_sequential_calls(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    _, account = logged_in(instagram_login, instagram)
    instagram_login.subscribe(account, Deadline(20))

    made = calls(meta)
    assert [call["operation"] for call in made] == [
        "exchange_instagram_code",
        "extend_instagram_token",
        "read_instagram_me",
        "subscribe_instagram",
    ]
    assert all(before["ended"] <= after["started"] for before, after in pairwise(made))


def test_profile_is_read_with_the_long_lived_token(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    _, account = logged_in(instagram_login, instagram)

    (read,) = (call for call in calls(meta) if call["operation"] == "read_instagram_me")
    assert read["fingerprints"]["access_token"] == fingerprint(account.access_token)
    assert read["path"] == f"/{VERSION}/me"


def test_interrupted_login_resumes_without_known_scopes(
    instagram_login: InstagramLogin, instagram: InstagramClient
) -> None:
    kept = UserToken(instagram.short_token(), NOW, None)

    _, (account,) = instagram_login.discover(kept, Deadline(20))

    assert account.instagram_business_id == CAFE


def test_error_text_has_neither_secret_nor_token(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    meta.control("POST", "/faults", {"operation": "read_instagram_me", "times": None, "error": "invalid_token"})
    token = instagram_login.exchange_code(instagram.authorize(), REDIRECT_URI, Deadline(20))

    with pytest.raises(ReconnectRequiredError) as caught:
        instagram_login.discover(token, Deadline(20))

    told = f"{caught.value!r} {caught.value.details} {caught.value.log_context} {token!r}"
    assert "IGAA" not in told
    assert "the-instagram-secret" not in told
