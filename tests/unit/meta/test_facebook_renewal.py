"""Facebook Login: renewing page and user tokens, and the errors that end them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from instagram_connect.errors import (
    InstagramConnectError,
    MetaActionBlockedError,
    MetaAppMisconfiguredError,
    MetaRateLimitedError,
    MetaRequestRejectedError,
    MetaUnavailableError,
    PermissionMissingError,
    ReconnectRequiredError,
)
from instagram_connect.meta.facebook_calls import FacebookApp
from instagram_connect.meta.facebook_login import FacebookLogin
from instagram_connect.meta.graph import GraphClient
from instagram_connect.models import DiscoveredAccount, Renewal
from instagram_connect.runtime.deadline import Deadline
from meta_simulator.call_log import fingerprint
from meta_simulator.seed import ANA_CAFE
from tests.support.fakes import NOW
from tests.support.meta_client import GRAPH, ORIGIN, REDIRECT_URI, VERSION, MetaClient

SCOPES = ["instagram_basic", "pages_show_list", "pages_read_engagement", "pages_manage_metadata"]
ANA = "Ana Souza"
CAFE = "17841400000000001"
DAY_S = 24 * 60 * 60
LONG_LIVED = timedelta(seconds=5183944)
DATA_ACCESS_END = NOW + timedelta(days=90)
KNOWN_END = NOW + timedelta(days=11)
UNIX_NOW = int(NOW.timestamp())
KEPT = Renewal(NOW, None, None, KNOWN_END, DATA_ACCESS_END, tells_data_access=True)


def account(page_token: str, page_id: str = ANA_CAFE.id) -> DiscoveredAccount:
    return DiscoveredAccount(CAFE, page_token, page_id=page_id)


def tokens(meta: MetaClient, days: float = 0) -> tuple[str, str]:
    """The user's and a page's token, the given days after the login."""
    person = meta.long_token(ANA, scopes=SCOPES)
    page = meta.page_token(person, ANA_CAFE.id)
    meta.advance(days * DAY_S)
    meta.control("DELETE", "/calls")
    return person, page


def renew(facebook: FacebookLogin, page: str, person: str | None) -> Renewal:
    return facebook.renew(account(page), person, KNOWN_END, Deadline(20))


def calls(meta: MetaClient) -> list[dict[str, Any]]:
    return list(meta.control("GET", "/calls"))


def operations(meta: MetaClient) -> list[str]:
    return [call["operation"] for call in calls(meta)]


def refusal(caught: pytest.ExceptionInfo[InstagramConnectError]) -> tuple[str | None, object, object]:
    context = caught.value.log_context
    return caught.value.reason, context["meta_code"], context["meta_subcode"]


def product(answer: Callable[[httpx.Request], httpx.Response]) -> FacebookLogin:
    """The product in front of a Meta with scripted responses."""
    app = FacebookApp("1111", "the-app-secret", f"{ORIGIN}{GRAPH}", ORIGIN, VERSION, ",".join(SCOPES), None)
    graph = GraphClient(httpx.Client(transport=httpx.MockTransport(answer)), sleep=lambda _: None)
    return FacebookLogin(app, graph, lambda: NOW)


def told(debug: dict[str, dict[str, object]], exchange: httpx.Response | None = None) -> FacebookLogin:
    """The product in front of a Meta with this debug_token response; an exchange returns EAAnew by default."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/debug_token"):
            return httpx.Response(200, json={"data": debug[request.url.params["input_token"]]})
        return exchange or httpx.Response(200, json={"access_token": "EAAnew", "token_type": "bearer"})

    return product(answer)


def test_page_is_verified_before_and_the_new_user_token_after(facebook: FacebookLogin, meta: MetaClient) -> None:
    person, page = tokens(meta)

    renewal = renew(facebook, page, person)

    made = calls(meta)
    assert [call["operation"] for call in made] == ["debug_token", "extend_token", "debug_token"]
    assert made[0]["fingerprints"]["input_token"] == fingerprint(page)
    assert made[1]["fingerprints"]["fb_exchange_token"] == fingerprint(person)
    assert made[2]["fingerprints"]["input_token"] == fingerprint(renewal.user_token or "")


def test_user_token_is_replaced_and_page_token_kept(facebook: FacebookLogin, meta: MetaClient) -> None:
    person, page = tokens(meta)

    renewal = renew(facebook, page, person)

    assert renewal.obtained_at == NOW
    assert renewal.access_token is None
    assert renewal.user_token not in (None, person)
    assert meta.debug(renewal.user_token or "")["is_valid"] is True


@pytest.mark.parametrize(
    ("behaviour", "end"),
    [("keeps_expiry", NOW + LONG_LIVED - timedelta(days=20)), ("extends", NOW + LONG_LIVED)],
)
def test_expiry_comes_from_the_exchange_response(
    facebook: FacebookLogin, meta: MetaClient, behaviour: str, end: object
) -> None:
    meta.control("POST", "/settings", {"long_lived_reexchange": behaviour})
    person, page = tokens(meta, days=20)

    renewal = renew(facebook, page, person)

    assert renewal.expires_at == end


@pytest.mark.parametrize(
    ("behaviour", "end"), [("keeps_expiry", NOW + LONG_LIVED), ("extends", NOW + LONG_LIVED + timedelta(days=20))]
)
def test_missing_expiry_is_requested_from_meta(
    facebook: FacebookLogin, meta: MetaClient, behaviour: str, end: object
) -> None:
    meta.control("POST", "/settings", {"long_lived_reexchange": behaviour, "omit_expires_in": True})
    person, page = tokens(meta, days=20)

    renewal = renew(facebook, page, person)

    assert renewal.expires_at == end


@pytest.mark.parametrize(
    ("described", "end"),
    [
        ({"is_valid": True, "expires_at": UNIX_NOW + 60}, NOW + timedelta(seconds=60)),
        ({"is_valid": True, "expires_at": 0}, None),
        ({"is_valid": True}, KNOWN_END),
        ({}, KNOWN_END),
    ],
)
def test_known_expiry_is_kept_without_a_new_one(described: dict[str, object], end: object) -> None:
    meta = told({"EAApage": {"is_valid": True}, "EAAnew": described})

    assert renew(meta, "EAApage", "EAAperson").expires_at == end


def test_data_access_end_comes_from_the_user_then_the_page(facebook: FacebookLogin, meta: MetaClient) -> None:
    person, page = tokens(meta)
    page_only = told({"EAApage": {"is_valid": True, "data_access_expires_at": UNIX_NOW + 60}, "EAAnew": {}})
    both = told(
        {
            "EAApage": {"is_valid": True, "data_access_expires_at": UNIX_NOW + 60},
            "EAAnew": {"is_valid": True, "data_access_expires_at": UNIX_NOW + 90},
        }
    )

    ends = [
        renew(facebook, page, person).data_access_expires_at,
        renew(page_only, "EAApage", "EAAperson").data_access_expires_at,
        renew(both, "EAApage", "EAAperson").data_access_expires_at,
    ]

    assert ends == [DATA_ACCESS_END, NOW + timedelta(seconds=60), NOW + timedelta(seconds=90)]


@pytest.mark.parametrize(
    ("page", "person", "expected"),
    [
        ({}, {}, (None, False)),
        ({"data_access_expires_at": UNIX_NOW}, {"data_access_expires_at": 0}, (None, True)),
        ({"data_access_expires_at": 0}, {}, (None, True)),
        ({"data_access_expires_at": UNIX_NOW}, {}, (NOW, True)),
    ],
)
def test_unlimited_data_access_differs_from_unknown(
    page: dict[str, object], person: dict[str, object], expected: object
) -> None:
    renewal = renew(told({"EAApage": page, "EAAnew": person}), "EAApage", "EAAperson")

    assert (renewal.data_access_expires_at, renewal.tells_data_access) == expected


@pytest.mark.parametrize("stored", [None, "EAAperson"])
def test_account_without_a_page_token_gets_the_new_user_token(stored: str | None) -> None:
    meta = told({"EAAperson": {"is_valid": True}, "EAAnew": {"is_valid": True, "expires_at": UNIX_NOW + 60}})

    renewal = renew(meta, "EAAperson", stored)

    assert (renewal.access_token, renewal.user_token) == ("EAAnew", "EAAnew" if stored else None)
    assert renewal.expires_at == NOW + timedelta(seconds=60)


def test_expired_user_token_does_not_end_the_page(facebook: FacebookLogin, meta: MetaClient) -> None:
    person, page = tokens(meta, days=61)

    renewal = renew(facebook, page, person)

    assert renewal == KEPT
    assert operations(meta) == ["debug_token", "extend_token"]
    facebook.check_access(account(page), Deadline(20))


@pytest.mark.parametrize(
    ("end", "subcode", "reason"),
    [
        ("password_changed", 460, "PASSWORD_CHANGED"),
        ("app_removed", 458, "APP_REMOVED"),
        ("checkpoint", 459, "ACCOUNT_CHECKPOINT"),
        ("unconfirmed_user", 464, "ACCOUNT_UNCONFIRMED"),
        ("logged_out", 467, "TOKEN_INVALID"),
        ("expired", 463, "TOKEN_EXPIRED"),
    ],
)
def test_revoked_login_ends_the_account_with_its_reason(
    facebook: FacebookLogin, meta: MetaClient, end: str, subcode: int, reason: str
) -> None:
    person, page = tokens(meta)
    meta.control("POST", "/tokens/revoke", {"person": ANA, "reason": end})

    with pytest.raises(ReconnectRequiredError) as renewing:
        renew(facebook, page, person)
    made = operations(meta)
    with pytest.raises(ReconnectRequiredError) as checking:
        facebook.check_access(account(page), Deadline(20))

    assert refusal(renewing) == refusal(checking) == (reason, 190, subcode)
    assert made == ["debug_token"]


def test_lost_role_ends_that_page_only(facebook: FacebookLogin, meta: MetaClient) -> None:
    person = meta.long_token(ANA, scopes=SCOPES)
    cafe = meta.page_token(person, ANA_CAFE.id)
    studio = meta.page_token(person, "27640875392278831")
    meta.control("POST", "/tokens/revoke", {"person": ANA, "page": ANA_CAFE.id, "reason": "lost_page_role"})

    with pytest.raises(ReconnectRequiredError) as caught:
        renew(facebook, cafe, person)
    other = facebook.renew(account(studio, "27640875392278831"), person, None, Deadline(20))

    assert refusal(caught) == ("PAGE_ROLE_LOST", 190, 492)
    assert other.user_token


@pytest.mark.parametrize(("end", "subcode"), [("password_changed", 460), ("app_removed", 458)])
def test_named_cause_on_the_user_token_requires_reconnect(
    facebook: FacebookLogin, meta: MetaClient, end: str, subcode: int
) -> None:
    person, page = tokens(meta)
    meta.control("POST", "/tokens/revoke", {"token": person, "reason": end})

    with pytest.raises(ReconnectRequiredError) as caught:
        renew(facebook, page, person)

    assert refusal(caught)[1:] == (190, subcode)
    assert operations(meta) == ["debug_token", "extend_token"]


@pytest.mark.parametrize("fault", ["invalid_token", "session_invalid", "consent_blocked"])
def test_exchange_failure_without_a_cause_keeps_a_working_token(
    facebook: FacebookLogin, meta: MetaClient, fault: str
) -> None:
    person, page = tokens(meta)
    meta.control("POST", "/faults", {"operation": "extend_token", "times": None, "error": fault})

    renewal = renew(facebook, page, person)

    assert renewal == KEPT
    assert calls(meta)[-1]["fingerprints"]["input_token"] == fingerprint(person)


@pytest.mark.parametrize("failure", [{"code": 190}, {"code": 190, "subcode": 0}, {}])
def test_unexplained_dead_user_token_asks_for_a_login_while_the_page_works(
    failure: dict[str, object],
) -> None:
    lone = httpx.Response(400, json={"error": {"code": 190, "message": "x"}})
    meta = told({"EAApage": {"is_valid": True}, "EAAperson": {"is_valid": False, "error": failure}}, exchange=lone)

    renewal = renew(meta, "EAApage", "EAAperson")

    assert renewal == Renewal(NOW, None, None, NOW)


def test_rejected_exchange_without_a_page_token_keeps_what_is_known() -> None:
    lone = httpx.Response(400, json={"error": {"code": 190, "message": "x"}})
    meta = told({"EAAperson": {"is_valid": True}}, exchange=lone)

    assert renew(meta, "EAAperson", None) == Renewal(NOW, None, None, KNOWN_END)


def test_rejected_exchange_of_an_undescribable_token_ends_nothing(facebook: FacebookLogin, meta: MetaClient) -> None:
    person, page = tokens(meta)
    meta.control("POST", "/faults", {"operation": "extend_token", "times": None, "error": "invalid_token"})
    meta.control("POST", "/faults", {"operation": "debug_token", "skip": 1, "times": None, "error": "server_error"})

    with pytest.raises(MetaUnavailableError):
        renew(facebook, page, person)


def test_dead_new_token_is_not_kept() -> None:
    meta = told({"EAApage": {"is_valid": True}, "EAAnew": {"is_valid": False, "error": {"code": 190}}})

    with pytest.raises(ReconnectRequiredError):
        renew(meta, "EAApage", "EAAperson")


def test_unexplained_exchange_failure_gets_its_cause_from_the_token(facebook: FacebookLogin, meta: MetaClient) -> None:
    person, page = tokens(meta)
    meta.control("POST", "/tokens/revoke", {"token": person, "reason": "password_changed"})
    meta.control("POST", "/faults", {"operation": "extend_token", "times": None, "error": "invalid_token"})

    with pytest.raises(ReconnectRequiredError) as caught:
        renew(facebook, page, person)

    assert refusal(caught) == ("PASSWORD_CHANGED", 190, 460)


def test_unexplained_exchange_failure_keeps_the_page_of_an_expired_user_token(
    facebook: FacebookLogin, meta: MetaClient
) -> None:
    person, page = tokens(meta, days=61)
    meta.control("POST", "/faults", {"operation": "extend_token", "times": None, "error": "invalid_token"})

    assert renew(facebook, page, person) == KEPT


@pytest.mark.parametrize("subcode", [None, 0, 467])
def test_dead_token_without_a_cause_is_invalid(subcode: int | None) -> None:
    failure = {"code": 190, "message": "EAApage is bad", **({} if subcode is None else {"subcode": subcode})}
    meta = told({"EAApage": {"is_valid": False, "error": failure}})

    with pytest.raises(ReconnectRequiredError) as caught:
        renew(meta, "EAApage", "EAAperson")

    assert refusal(caught) == ("TOKEN_INVALID", 190, subcode)
    assert "EAApage" not in f"{caught.value!r} {caught.value.details} {caught.value.log_context}"


@pytest.mark.parametrize("failure", [None, "text", [], {}, {"code": "x", "subcode": []}])
def test_dead_token_with_an_unreadable_reason_is_dead(failure: object) -> None:
    with pytest.raises(ReconnectRequiredError) as caught:
        renew(told({"EAApage": {"is_valid": False, "error": failure}}), "EAApage", None)
    assert refusal(caught) == ("TOKEN_INVALID", None, None)


def test_changed_app_secret_never_ends_an_account(facebook: FacebookLogin, meta: MetaClient) -> None:
    person, page = tokens(meta)
    meta.control("POST", "/apps", {"id": "1111", "secret": "rotated", "redirect_uris": [REDIRECT_URI]})

    for ask in (
        lambda: renew(facebook, page, person),
        lambda: facebook.check_access(account(page), Deadline(20)),
        lambda: facebook.is_subscribed(account(page), Deadline(20)),
    ):
        with pytest.raises(MetaAppMisconfiguredError) as caught:
            ask()
        assert caught.value.reason in ("APP_SECRET_INVALID", "APP_SECRET_PROOF_INVALID")


@pytest.mark.parametrize("operation", ["debug_token", "extend_token"])
@pytest.mark.parametrize("fault", ["wrong_secret", "unknown_application", "capability_missing", "invalid_proof"])
def test_app_errors_are_app_errors_in_every_call(
    facebook: FacebookLogin, meta: MetaClient, operation: str, fault: str
) -> None:
    person, page = tokens(meta)
    meta.control("POST", "/faults", {"operation": operation, "times": None, "error": fault})

    with pytest.raises(MetaAppMisconfiguredError):
        renew(facebook, page, person)


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("server_error", MetaUnavailableError),
        ("html_502", MetaUnavailableError),
        ("app_rate_limit", MetaRateLimitedError),
        ("blocked", MetaActionBlockedError),
    ],
)
def test_errors_unrelated_to_the_token_keep_their_type(
    facebook: FacebookLogin, meta: MetaClient, skip: int, fault: str, error: type[InstagramConnectError]
) -> None:
    person, page = tokens(meta)
    meta.control("POST", "/faults", {"path": "*", "skip": skip, "times": None, "error": fault})

    with pytest.raises(error):
        renew(facebook, page, person)


@pytest.mark.parametrize("operation", ["debug_token", "extend_token"])
def test_single_failure_is_retried(facebook: FacebookLogin, meta: MetaClient, operation: str) -> None:
    person, page = tokens(meta)
    meta.control("POST", "/faults", {"operation": operation, "error": "server_error"})

    assert renew(facebook, page, person).user_token


def test_exchange_response_without_a_token_is_no_renewal() -> None:
    meta = told({"EAApage": {"is_valid": True}}, exchange=httpx.Response(200, json={"expires_in": 60}))

    with pytest.raises(MetaRequestRejectedError):
        renew(meta, "EAApage", "EAAperson")


def test_exchange_sends_app_and_user_token_to_the_versioned_url() -> None:
    sent: list[httpx.Request] = []

    def keep(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"access_token": "EAAnew", "data": {"is_valid": True}})

    renew(product(keep), "EAApage", "EAAperson")

    addresses = [urlsplit(str(request.url)) for request in sent]
    assert [(request.method, address.path) for request, address in zip(sent, addresses, strict=True)] == [
        ("GET", f"{GRAPH}/{VERSION}/debug_token"),
        ("GET", f"{GRAPH}/{VERSION}/oauth/access_token"),
        ("GET", f"{GRAPH}/{VERSION}/debug_token"),
    ]
    app_token = ["1111|the-app-secret"]
    assert [parse_qs(address.query, strict_parsing=True) for address in addresses] == [
        {"input_token": ["EAApage"], "access_token": app_token},
        {
            "grant_type": ["fb_exchange_token"],
            "client_id": ["1111"],
            "client_secret": ["the-app-secret"],
            "fb_exchange_token": ["EAAperson"],
        },
        {"input_token": ["EAAnew"], "access_token": app_token},
    ]


def test_access_is_checked_with_page_token_and_proof(facebook: FacebookLogin, meta: MetaClient) -> None:
    meta.control("POST", "/settings", {"require_app_secret": True})
    person = meta.extend(meta.short_token(ANA, scopes=SCOPES)).json()["access_token"]
    proof = facebook._app.secret_proof(person)
    pages = meta.accounts(person, fields="access_token", appsecret_proof=proof)
    page = next(str(entry["access_token"]) for entry in pages if entry["id"] == ANA_CAFE.id)
    meta.control("DELETE", "/calls")

    facebook.check_access(account(page), Deadline(20))

    (made,) = calls(meta)
    assert (made["method"], made["path"], sorted(made["parameters"])) == (
        "GET",
        f"/{VERSION}/me",
        ["access_token", "appsecret_proof", "fields"],
    )
    assert made["fingerprints"]["access_token"] == fingerprint(page)


def test_missing_permission_is_not_a_dead_token(facebook: FacebookLogin, meta: MetaClient) -> None:
    _, page = tokens(meta)
    meta.control("POST", "/faults", {"path": "*/me", "times": None, "error": "permission_error"})

    with pytest.raises(PermissionMissingError) as caught:
        facebook.check_access(account(page), Deadline(20))
    assert refusal(caught) == (None, 200, None)


def test_is_subscribed_returns_what_meta_reports(facebook: FacebookLogin, meta: MetaClient) -> None:
    _, page = tokens(meta)
    seen = [facebook.is_subscribed(account(page), Deadline(20))]

    facebook.subscribe(account(page), Deadline(20))
    seen.append(facebook.is_subscribed(account(page), Deadline(20)))
    meta.control("POST", "/subscriptions/drop", {"account": ANA_CAFE.id})
    seen.append(facebook.is_subscribed(account(page), Deadline(20)))

    assert seen == [False, True, False]
    (asked, *_) = (call for call in calls(meta) if call["operation"] == "list_page_subscriptions")
    assert (asked["method"], asked["path"], sorted(asked["parameters"])) == (
        "GET",
        f"/{VERSION}/{ANA_CAFE.id}/subscribed_apps",
        ["access_token", "appsecret_proof"],
    )


@pytest.mark.parametrize(
    ("answer", "subscribed"),
    [
        ({"data": [{"id": "1111", "name": "This app"}]}, True),
        ({"data": [{"id": 1111}]}, True),
        ({"data": [{"id": "2222"}, {"id": "1111"}]}, True),
        ({"data": [{"subscribed_fields": ["feed"]}]}, True),
        ({"data": [{"id": "2222"}]}, False),
        ({"data": []}, False),
        ({"data": {"id": "1111"}}, False),
        ({}, False),
    ],
)
def test_subscription_of_another_app_does_not_count(answer: dict[str, object], subscribed: bool) -> None:
    meta = product(lambda _: httpx.Response(200, json=answer))

    assert meta.is_subscribed(account("EAApage"), Deadline(20)) is subscribed


def test_page_id_cannot_change_the_request_path() -> None:
    sent: list[str] = []

    def keep(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.raw_path.decode().partition("?")[0])
        return httpx.Response(200, json={"data": []})

    product(keep).is_subscribed(account("EAApage", "../me?x=1#"), Deadline(20))

    assert sent == [f"{GRAPH}/{VERSION}/..%2Fme%3Fx%3D1%23/subscribed_apps"]


def test_repr_of_a_renewal_has_no_token(facebook: FacebookLogin, meta: MetaClient) -> None:
    person, page = tokens(meta)

    assert "EAA" not in repr(renew(facebook, page, person))


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        ("app_removed", ReconnectRequiredError, "APP_REMOVED"),
        ("invalid_token", MetaAppMisconfiguredError, "APP_SECRET_INVALID"),
        ("permission_denied", MetaAppMisconfiguredError, "APP_CAPABILITY_MISSING"),
    ],
)
def test_rejected_token_inspection_blames_the_user_only_with_a_named_cause(
    facebook: FacebookLogin, meta: MetaClient, error: str, kind: type[InstagramConnectError], reason: str
) -> None:
    person, page = tokens(meta)
    meta.control("POST", "/faults", {"operation": "debug_token", "error": error})

    with pytest.raises(kind) as caught:
        renew(facebook, page, person)

    assert caught.value.reason == reason
