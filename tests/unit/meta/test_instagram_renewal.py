"""Instagram Login: extending a token by sixty days, the errors of an extension, and the subscription check."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from instagram_connect.errors import (
    InstagramConnectError,
    MetaActionBlockedError,
    MetaRateLimitedError,
    MetaRequestRejectedError,
    MetaUnavailableError,
    PermissionMissingError,
    ReconnectRequiredError,
)
from instagram_connect.meta.graph import GraphClient
from instagram_connect.meta.instagram_login import InstagramApp, InstagramLogin
from instagram_connect.models import DiscoveredAccount
from instagram_connect.runtime.deadline import Deadline
from meta_simulator.call_log import fingerprint
from tests.support.fakes import NOW
from tests.support.instagram_client import CAFE, GRAPH, InstagramClient
from tests.support.meta_client import ORIGIN, VERSION, MetaClient

DAY_S = 24 * 60 * 60
LONG_LIVED = timedelta(seconds=5183944)
KNOWN_END = NOW + timedelta(days=11)


def account(token: str) -> DiscoveredAccount:
    return DiscoveredAccount(CAFE, token)


def aged_token(meta: MetaClient, instagram: InstagramClient, days: float = 2) -> str:
    token = instagram.long_token()
    meta.advance(days * DAY_S)
    meta.control("DELETE", "/calls")
    return token


def calls(meta: MetaClient) -> list[dict[str, Any]]:
    return list(meta.control("GET", "/calls"))


def product(
    answer: Callable[[httpx.Request], httpx.Response], now: Callable[[], datetime] = lambda: NOW
) -> InstagramLogin:
    """The product in front of a Meta with scripted responses."""
    app = InstagramApp("7777", "the-instagram-secret", f"{ORIGIN}{GRAPH}", ORIGIN, ORIGIN, VERSION, "a,b")
    return InstagramLogin(app, GraphClient(httpx.Client(transport=httpx.MockTransport(answer))), now)


def refusal(caught: pytest.ExceptionInfo[InstagramConnectError]) -> tuple[str | None, object, object]:
    context = caught.value.log_context
    return caught.value.reason, context["meta_code"], context["meta_subcode"]


def test_token_is_extended_by_sixty_days(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    token = aged_token(meta, instagram, days=50)

    renewal = instagram_login.renew(account(token), None, KNOWN_END, Deadline(20))

    assert (renewal.obtained_at, renewal.expires_at) == (NOW, NOW + LONG_LIVED)
    assert (renewal.user_token, renewal.tells_data_access) == (None, False)
    meta.advance(20 * DAY_S)  # after the old token expired, if Meta returned a new one
    assert instagram.me(renewal.access_token or "")["user_id"] == CAFE


@pytest.mark.parametrize("changes", [True, False])
def test_token_from_the_response_is_kept_whether_changed_or_not(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient, changes: bool
) -> None:
    meta.control("POST", "/settings", {"instagram_refresh_changes_token": changes})
    token = aged_token(meta, instagram)

    renewal = instagram_login.renew(account(token), None, KNOWN_END, Deadline(20))

    assert renewal.access_token
    assert (renewal.access_token != token) is changes


def test_refresh_is_one_get_with_grant_type_and_token() -> None:
    sent: list[httpx.Request] = []

    def keep(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"access_token": "IGAA2", "token_type": "bearer", "expires_in": 60})

    product(keep).renew(account("IGAA1"), None, None, Deadline(20))

    (request,) = sent
    address = urlsplit(str(request.url))
    assert (request.method, request.content) == ("GET", b"")
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{ORIGIN}{GRAPH}/refresh_access_token"
    assert parse_qs(address.query, strict_parsing=True, keep_blank_values=True) == {
        "grant_type": ["ig_refresh_token"],
        "access_token": ["IGAA1"],
    }


@pytest.mark.parametrize("more", [{}, {"expires_in": None}, {"expires_in": 0}, {"expires_in": "soon"}])
def test_response_without_a_lifetime_gives_no_expiry(more: dict[str, object]) -> None:
    meta = product(lambda _: httpx.Response(200, json={"access_token": "IGAA2", **more}))

    renewal = meta.renew(account("IGAA1"), None, KNOWN_END, Deadline(20))

    assert (renewal.access_token, renewal.expires_at) == ("IGAA2", None)


@pytest.mark.parametrize("wrap", [lambda answer: answer, lambda answer: {"data": [answer]}])
def test_both_response_shapes_are_parsed(wrap: Callable[[object], object]) -> None:
    meta = product(lambda _: httpx.Response(200, json=wrap({"access_token": "IGAA2", "expires_in": 3600})))

    renewal = meta.renew(account("IGAA1"), None, KNOWN_END, Deadline(20))

    assert (renewal.access_token, renewal.expires_at) == ("IGAA2", NOW + timedelta(hours=1))


def test_lifetime_counts_from_before_the_call_and_token_age_from_its_response() -> None:
    clock = [NOW]

    def answer_slowly(_: httpx.Request) -> httpx.Response:
        clock[0] += timedelta(seconds=7)
        return httpx.Response(200, json={"access_token": "IGAA2", "expires_in": 60})

    renewal = product(answer_slowly, lambda: clock[0]).renew(account("IGAA1"), None, None, Deadline(20))

    assert renewal.expires_at == NOW + timedelta(seconds=60)
    assert renewal.obtained_at == NOW + timedelta(seconds=7)


@pytest.mark.parametrize("answer", [{}, {"access_token": ""}, {"access_token": 5}, {"data": []}, {"expires_in": 9}])
def test_response_without_a_token_is_no_renewal(answer: dict[str, object]) -> None:
    with pytest.raises(MetaRequestRejectedError):
        product(lambda _: httpx.Response(200, json=answer)).renew(account("IGAA1"), None, KNOWN_END, Deadline(20))


def test_too_young_token_is_rejected_but_not_dead(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    token = aged_token(meta, instagram, days=0.9)

    with pytest.raises(ReconnectRequiredError) as caught:
        instagram_login.renew(account(token), None, KNOWN_END, Deadline(20))

    assert refusal(caught) == ("TOKEN_INVALID", 100, None)
    instagram_login.check_access(account(token), Deadline(20))


@pytest.mark.parametrize(
    ("end", "subcode", "reason"),
    [
        ("expired", 463, "TOKEN_EXPIRED"),
        ("app_removed", 458, "APP_REMOVED"),
        ("password_changed", 460, "PASSWORD_CHANGED"),
        ("checkpoint", 459, "ACCOUNT_CHECKPOINT"),
        ("logged_out", 467, "TOKEN_INVALID"),
    ],
)
def test_dead_token_is_neither_renewed_nor_accessible_and_has_its_reason(
    instagram_login: InstagramLogin,
    instagram: InstagramClient,
    meta: MetaClient,
    end: str,
    subcode: int,
    reason: str,
) -> None:
    token = aged_token(meta, instagram)
    meta.control("POST", "/tokens/revoke", {"token": token, "reason": end})

    with pytest.raises(ReconnectRequiredError) as renewing:
        instagram_login.renew(account(token), None, KNOWN_END, Deadline(20))
    with pytest.raises(ReconnectRequiredError) as checking:
        instagram_login.check_access(account(token), Deadline(20))

    assert refusal(renewing) == refusal(checking) == (reason, 190, subcode)


def test_token_not_renewed_for_sixty_days_has_expired(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    token = aged_token(meta, instagram, days=60)

    with pytest.raises(ReconnectRequiredError) as caught:
        instagram_login.renew(account(token), None, KNOWN_END, Deadline(20))

    assert refusal(caught) == ("TOKEN_EXPIRED", 190, 463)
    assert len(calls(meta)) == 1


def test_missing_basic_permission_fails_every_call(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    token = aged_token(meta, instagram)
    instagram.authorize(declined_scopes=["instagram_business_basic"])

    with pytest.raises(PermissionMissingError) as renewing:
        instagram_login.renew(account(token), None, KNOWN_END, Deadline(20))
    with pytest.raises(PermissionMissingError) as checking:
        instagram_login.check_access(account(token), Deadline(20))

    assert refusal(renewing) == refusal(checking) == (None, 10, None)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("server_error", MetaUnavailableError),
        ("html_502", MetaUnavailableError),
        ("app_rate_limit", MetaRateLimitedError),
        ("buc_rate_limit", MetaRateLimitedError),
        ("blocked", MetaActionBlockedError),
    ],
)
def test_errors_unrelated_to_the_token_keep_their_type(
    instagram_login: InstagramLogin,
    instagram: InstagramClient,
    meta: MetaClient,
    fault: str,
    error: type[InstagramConnectError],
) -> None:
    token = aged_token(meta, instagram)
    meta.control("POST", "/faults", {"operation": "refresh_instagram_token", "times": None, "error": fault})

    with pytest.raises(error):
        instagram_login.renew(account(token), None, KNOWN_END, Deadline(20))


def test_single_refresh_failure_is_retried(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    token = aged_token(meta, instagram)
    meta.control("POST", "/faults", {"operation": "refresh_instagram_token", "error": "server_error"})

    assert instagram_login.renew(account(token), None, KNOWN_END, Deadline(20)).expires_at == NOW + LONG_LIVED


def test_access_is_checked_with_the_accounts_token_and_one_field(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    token = aged_token(meta, instagram)

    instagram_login.check_access(account(token), Deadline(20))

    (made,) = calls(meta)
    assert (made["method"], made["path"], sorted(made["parameters"])) == (
        "GET",
        f"/{VERSION}/me",
        ["access_token", "fields"],
    )
    assert made["fingerprints"]["access_token"] == fingerprint(token)


def test_is_subscribed_returns_what_meta_reports(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    token = aged_token(meta, instagram)
    seen = [instagram_login.is_subscribed(account(token), Deadline(20))]

    instagram_login.subscribe(account(token), Deadline(20))
    seen.append(instagram_login.is_subscribed(account(token), Deadline(20)))
    meta.control("POST", "/subscriptions/drop", {"account": "cafe.azul"})
    seen.append(instagram_login.is_subscribed(account(token), Deadline(20)))

    assert seen == [False, True, False]
    (asked, *_) = (call for call in calls(meta) if call["operation"] == "list_instagram_subscriptions")
    assert (asked["method"], asked["path"], asked["parameters"], asked["fingerprints"]["access_token"]) == (
        "GET",
        f"/{VERSION}/me/subscribed_apps",
        ["access_token"],
        fingerprint(token),
    )


@pytest.mark.parametrize("answer", [{}, {"data": []}, {"data": None}, {"data": {}}, {"data": ["text", None]}])
def test_response_without_a_subscription_means_not_subscribed(answer: dict[str, object]) -> None:
    meta = product(lambda _: httpx.Response(200, json=answer))

    assert meta.is_subscribed(account("IGAA1"), Deadline(20)) is False


def test_dead_token_is_not_a_missing_subscription(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    token = aged_token(meta, instagram)
    meta.control("POST", "/tokens/revoke", {"token": token, "reason": "app_removed"})

    with pytest.raises(ReconnectRequiredError) as caught:
        instagram_login.is_subscribed(account(token), Deadline(20))
    assert refusal(caught) == ("APP_REMOVED", 190, 458)


def test_repr_of_renewals_and_errors_has_no_token(
    instagram_login: InstagramLogin, instagram: InstagramClient, meta: MetaClient
) -> None:
    token = aged_token(meta, instagram)
    renewal = instagram_login.renew(account(token), None, KNOWN_END, Deadline(20))
    meta.control("POST", "/tokens/revoke", {"token": token, "reason": "expired"})

    with pytest.raises(ReconnectRequiredError) as caught:
        instagram_login.renew(account(token), None, KNOWN_END, Deadline(20))

    assert "IGAA" not in f"{renewal!r} {caught.value!r} {caught.value.details} {caught.value.log_context}"
