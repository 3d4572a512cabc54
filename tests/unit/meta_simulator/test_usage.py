"""Rate limits: usage headers, and errors beyond 100 percent."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from meta_simulator.recent_calls import MAX_COUNTED_CALLS, RecentCalls
from meta_simulator.seed import ANA_CAFE, BEN_BAKERY
from tests.support.instagram_client import CAFE, InstagramClient
from tests.support.meta_client import NOON, REDIRECT_URI, MetaClient, error_of

MINUTE = 60
HOUR = 60 * MINUTE
APP_USAGE = "X-App-Usage"
ACCOUNT_USAGE = "X-Business-Use-Case-Usage"


def _limit(meta: MetaClient, **settings: int | None) -> None:
    meta.control("POST", "/settings", settings)


def _app_percent(response: httpx.Response) -> int:
    usage = json.loads(response.headers[APP_USAGE])
    assert usage["total_time"] == usage["total_cputime"] == usage["call_count"]
    return int(usage["call_count"])


def _account_usage(response: httpx.Response, account_id: str) -> Any:
    (entry,) = json.loads(response.headers[ACCOUNT_USAGE])[account_id]
    return entry


def test_there_are_no_usage_headers_without_limits(meta: MetaClient, instagram: InstagramClient) -> None:
    responses = [
        meta.get("/me", access_token=meta.long_token()),
        instagram.get("/me", access_token=instagram.long_token()),
    ]

    assert not any(name in response.headers for response in responses for name in (APP_USAGE, ACCOUNT_USAGE))


def test_app_is_limited_once_its_usage_reaches_100_percent(meta: MetaClient) -> None:
    ana_token, ben_token = meta.long_token(), meta.long_token("Ben Carter")
    _limit(meta, app_calls_per_hour=4)

    responses = [
        meta.get("/me", access_token=token) for token in (ana_token, ben_token, ana_token, ben_token, ana_token)
    ]

    assert [_app_percent(response) for response in responses] == [25, 50, 75, 100, 125]
    assert [response.status_code for response in responses] == [200, 200, 200, 200, 400]
    assert error_of(responses[-1]) == (4, None)
    assert meta.control("GET", "/calls?operation=read_me")[-1]["error_code"] == 4


def test_every_kind_of_call_counts_for_the_app(meta: MetaClient) -> None:
    code, token = meta.authorize(), meta.long_token()
    _limit(meta, app_calls_per_hour=100)

    responses = [
        meta.exchange(code),
        meta.extend(token),
        meta.get("/debug_token", access_token=meta.app_token, input_token=token),
        meta.get("/me/accounts", access_token=token),
        meta.get("/1", access_token=token),
    ]

    assert [_app_percent(response) for response in responses] == [1, 2, 3, 4, 5]
    assert responses[-1].status_code == 400


def test_rate_limited_call_has_no_effect(meta: MetaClient) -> None:
    code = meta.authorize()
    _limit(meta, app_calls_per_hour=1)
    meta.exchange("garbage")

    rejected = meta.exchange(code)

    assert error_of(rejected) == (4, None)
    _limit(meta, app_calls_per_hour=None)
    assert meta.exchange(code).status_code == 200


def test_limits_are_separate_per_product_and_app(meta: MetaClient, instagram: InstagramClient) -> None:
    meta.control("POST", "/apps", {"id": "2222", "secret": "other", "redirect_uris": [REDIRECT_URI]})
    token, cafe = meta.long_token(), instagram.long_token()
    _limit(meta, app_calls_per_hour=2)

    responses = [
        meta.get("/me", access_token=token),
        meta.get("/me", access_token=token),
        instagram.get("/me", access_token=cafe),
        meta.get("/debug_token", access_token="2222|other", input_token="EAAx"),
    ]

    assert [_app_percent(response) for response in responses] == [50, 100, 50, 50]


def test_unattributed_calls_and_the_code_exchange_have_no_usage_headers(
    meta: MetaClient, instagram: InstagramClient
) -> None:
    _limit(meta, app_calls_per_hour=1, account_calls_per_hour=1)

    responses = [
        meta.get("/me"),
        meta.get("/me", access_token="EAAunknown"),
        meta.exchange("x", client_id="999"),
        instagram.exchange(instagram.authorize()),
        instagram.exchange(instagram.authorize()),
    ]

    assert not any(name in response.headers for response in responses for name in (APP_USAGE, ACCOUNT_USAGE))
    assert responses[-1].status_code == 200


def test_calls_leave_the_window_after_an_hour(meta: MetaClient) -> None:
    token = meta.long_token()
    _limit(meta, app_calls_per_hour=2)
    meta.get("/me", access_token=token)
    meta.advance(HOUR / 2)
    meta.get("/me", access_token=token)
    meta.advance(HOUR / 2 - 1)

    rejected = meta.get("/me", access_token=token)
    meta.advance(HOUR / 2 + 1)  # the rejected call is still in the window
    answered = meta.get("/me", access_token=token)

    assert (rejected.status_code, _app_percent(rejected)) == (400, 150)
    assert (answered.status_code, _app_percent(answered)) == (200, 100)


def test_account_usage_rises_and_says_when_access_returns(meta: MetaClient, instagram: InstagramClient) -> None:
    cafe, luz = instagram.long_token(), instagram.long_token("luz.cria")
    _limit(meta, account_calls_per_hour=2)

    first = instagram.get("/me", access_token=cafe)
    meta.advance(20 * MINUTE)
    second = instagram.get("/me", access_token=cafe)
    third = instagram.get("/me", access_token=cafe)
    others = instagram.get("/me", access_token=luz)

    assert _account_usage(first, CAFE) == {
        "type": "instagram",
        "call_count": 50,
        "total_cputime": 50,
        "total_time": 50,
        "estimated_time_to_regain_access": 0,
    }
    assert (second.status_code, error_of(third), others.status_code) == (200, (80002, None), 200)
    assert _account_usage(second, CAFE)["estimated_time_to_regain_access"] == 40
    # The rejected call counts too, so two calls have to leave the window before one is allowed.
    assert _account_usage(third, CAFE)["estimated_time_to_regain_access"] == 60
    assert _account_usage(third, CAFE)["call_count"] == 150


def test_access_returns_when_announced(meta: MetaClient, instagram: InstagramClient) -> None:
    token = instagram.long_token()
    _limit(meta, account_calls_per_hour=2)
    instagram.get("/me", access_token=token)
    meta.advance(90)
    last = instagram.get("/me", access_token=token)
    minutes = _account_usage(last, CAFE)["estimated_time_to_regain_access"]
    meta.advance(minutes * MINUTE)

    assert instagram.get("/me", access_token=token).status_code == 200


def test_page_token_counts_for_the_linked_account_or_the_page(meta: MetaClient) -> None:
    cafe = meta.page_token(meta.long_token(), ANA_CAFE.id)
    bakery = meta.page_token(meta.long_token("Ben Carter"), BEN_BAKERY.id)
    _limit(meta, account_calls_per_hour=4)

    assert _account_usage(meta.get("/me", access_token=cafe), CAFE)["call_count"] == 25
    assert _account_usage(meta.get("/me", access_token=bakery), BEN_BAKERY.id)["call_count"] == 25


def test_user_token_counts_for_no_account(meta: MetaClient) -> None:
    token = meta.long_token()
    _limit(meta, app_calls_per_hour=10, account_calls_per_hour=1)

    responses = [meta.get("/me", access_token=token) for _ in range(2)]

    assert [response.status_code for response in responses] == [200, 200]
    assert APP_USAGE in responses[0].headers
    assert ACCOUNT_USAGE not in responses[0].headers


def test_account_limit_takes_precedence_and_both_headers_are_sent(meta: MetaClient, instagram: InstagramClient) -> None:
    token = instagram.long_token()
    _limit(meta, app_calls_per_hour=1, account_calls_per_hour=1)
    instagram.get("/me", access_token=token)

    rejected = instagram.get("/me", access_token=token)

    assert error_of(rejected) == (80002, None)
    assert _app_percent(rejected) == _account_usage(rejected, CAFE)["call_count"] == 200


def test_only_setting_a_limit_restarts_counting(meta: MetaClient) -> None:
    token = meta.long_token()
    _limit(meta, app_calls_per_hour=10)
    meta.get("/me", access_token=token)

    _limit(meta, max_page_size=7)

    assert _app_percent(meta.get("/me", access_token=token)) == 20

    _limit(meta, app_calls_per_hour=10)

    assert _app_percent(meta.get("/me", access_token=token)) == 10


def test_faults_are_sent_unchanged_and_not_counted(meta: MetaClient) -> None:
    token = meta.long_token()
    _limit(meta, app_calls_per_hour=10)
    meta.control("POST", "/faults", {"operation": "read_me", "status": 503})

    planned, answered = (meta.get("/me", access_token=token) for _ in range(2))

    assert APP_USAGE not in planned.headers
    assert _app_percent(answered) == 10


@pytest.mark.parametrize("name", ["app_calls_per_hour", "account_calls_per_hour"])
@pytest.mark.parametrize("value", [0, MAX_COUNTED_CALLS + 1])
def test_limit_out_of_range_is_rejected(meta: MetaClient, name: str, value: int) -> None:
    assert meta.http.post("/_simulator/settings", json={name: value}).status_code == 422


def test_memory_for_calls_is_bounded() -> None:
    calls = RecentCalls()
    for _ in range(MAX_COUNTED_CALLS + 5):
        usage = calls.add(("app",), NOON, MAX_COUNTED_CALLS)

    assert (usage.percent, usage.is_exceeded) == (100, True)
    later = calls.add(("app",), NOON + timedelta(hours=1), MAX_COUNTED_CALLS)
    assert (later.percent, later.is_exceeded) == (0, False)
