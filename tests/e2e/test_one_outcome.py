"""One code sent repeatedly, concurrently or after a kill: one exchange, one outcome, for its own user only."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from instagram_connect.connections.connect_once import LEAST_TIME_BETWEEN_ATTEMPTS_S
from tests.support.app import SCOPES, App, Fault, User
from tests.support.sabotage import kill_function


def test_repeated_code_returns_the_first_outcome_with_its_own_request_id(app: App, user: User) -> None:
    code = app.log_in()

    first, second = app.exchange(user, code).json(), app.exchange(user, code).json()

    assert first["data"] == second["data"]
    assert first["requestId"] != second["requestId"]
    assert len(app.calls("exchange_code")) == 1


@pytest.mark.parametrize("suffix", ["#_", "#_=_"])
def test_metas_url_fragment_does_not_change_the_code(app: App, user: User, suffix: str) -> None:
    code = app.log_in()

    first, second = app.exchange(user, code).json(), app.exchange(user, f"{code}{suffix}").json()

    assert first["data"] == second["data"]


def test_six_concurrent_requests_make_one_exchange(app: App, user: User, fault: Fault) -> None:
    fault(operation="list_accounts", times=1, latency_ms=1500)
    code = app.log_in()

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: app.exchange(user, code), range(6)))

    assert [answer.status_code for answer in answers] == [200] * 6
    assert all(answer.json()["data"] == answers[0].json()["data"] for answer in answers)
    assert len(app.calls("exchange_code")) == 1
    assert len(app.calls("list_accounts")) == 1


def test_repeated_code_returns_the_first_error(app: App, user: User, fault: Fault) -> None:
    fault(operation="list_accounts", times=None, error="expired_token")
    code = app.log_in()
    first = app.exchange(user, code)
    app.meta("DELETE", "/faults")

    second = app.exchange(user, code)

    assert (first.status_code, first.json()["code"]) == (409, "RECONNECT_REQUIRED")
    assert {**second.json(), "requestId": ""} == {**first.json(), "requestId": ""}
    assert len(app.calls("exchange_code")) == 1


def test_errors_that_pass_are_retried_with_the_same_code(app: App, user: User, fault: Fault) -> None:
    fault(operation="exchange_code", times=1, error="wrong_secret")
    code = app.log_in()

    first, at_once = app.exchange(user, code), app.exchange(user, code)
    time.sleep(LEAST_TIME_BETWEEN_ATTEMPTS_S)
    later = app.exchange(user, code)

    assert [answer.json().get("code") for answer in (first, at_once)] == ["META_APP_MISCONFIGURED"] * 2
    assert later.status_code == 200


def test_burst_does_not_call_a_rate_limited_app_again(app: App, user: User, fault: Fault) -> None:
    fault(operation="exchange_code", times=None, error="app_rate_limit")
    code = app.log_in()

    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda _: app.exchange(user, code), range(3)))

    assert {answer.json()["code"] for answer in answers} == {"META_RATE_LIMITED"}
    assert len(app.calls("exchange_code")) == 1


def test_repeated_code_of_a_disconnected_account_is_an_error(app: App, user: User) -> None:
    code = app.log_in("Emeka Business", scopes=[*SCOPES, "business_management"])
    (account,) = app.exchange(user, code).json()["data"]["accounts"]
    app.call(user, "DELETE", f"/instagram/accounts/{account['id']}").raise_for_status()

    assert app.exchange(user, code).json()["code"] == "ACCOUNT_DISCONNECTED"


def test_another_users_spent_code_is_unusable(app: App, user: User) -> None:
    code = app.log_in()
    app.exchange(user, code).raise_for_status()
    stranger = app.sign_up()

    answer = app.exchange(stranger, code)

    assert (answer.status_code, answer.json()["code"]) == (400, "OAUTH_CODE_USED")
    assert app.read(stranger, "instagram_business_accounts?select=id").json() == []


def test_kill_between_meta_and_storage_loses_nothing(app: App, fault: Fault) -> None:
    """Both products at once, because each costs the time that the killed function would have had."""
    exchanged = {"facebook": "exchange_code", "instagram": "exchange_instagram_code"}
    next_calls = {"facebook": "list_accounts", "instagram": "read_instagram_me"}
    users = {product: app.sign_up() for product in exchanged}
    for operation in next_calls.values():
        fault(operation=operation, times=1, hang_seconds=20)
    codes = {"facebook": app.log_in(), "instagram": app.log_in_to_instagram()}

    def send(product: str) -> httpx.Response:
        body = {"code": codes[product], "redirectUri": app.redirect_uri, "provider": product}
        headers = {"Authorization": f"Bearer {users[product].token}"}
        return app.http.post(app.exchange_url, headers=headers, json=body)

    with ThreadPoolExecutor(2) as threads:
        interrupted = threads.map(send, exchanged)
        for operation in next_calls.values():
            _wait_for(app, operation)
        assert kill_function(app.stack, "exchange_token")
        assert all(answer.status_code >= 500 for answer in interrupted)

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda product: _repeat(app, users[product], codes[product], product), exchanged))

    for product, answer in zip(exchanged, answers, strict=True):
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["accounts"][0]["username"] == "cafe.azul"
        assert len(app.calls(exchanged[product])) == 1


def _wait_for(app: App, operation: str) -> None:
    deadline = time.monotonic() + 30
    while not app.calls(operation):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)  # the token is kept beside this call


def _repeat(app: App, user: User, code: str, product: str) -> httpx.Response:
    """As a frontend does: again while the answer says that waiting is all there is to do."""
    for _ in range(4):
        answer = app.exchange(user, code, provider=product)
        body: dict[str, Any] = answer.json()
        if body["success"] or body["actor"] != "nobody":
            return answer
        time.sleep(body.get("retryAfterSeconds", 1))
    return answer
