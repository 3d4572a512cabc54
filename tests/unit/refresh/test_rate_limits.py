"""The pace of calls to Meta by reported usage, and when calling stops."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from instagram_connect.errors import (
    InstagramConnectError,
    MetaRateLimitedError,
    MetaUnavailableError,
    ReconnectRequiredError,
)
from instagram_connect.meta.usage import Usage
from instagram_connect.models import Provider
from instagram_connect.refresh.account_refresh import Attempt
from instagram_connect.refresh.models import EncryptedRenewal, RefreshTask
from instagram_connect.refresh.rate_limits import APP_PAUSE, MAX_CONSECUTIVE_FAILURES, SLOW_PAUSE_S, Pacer
from tests.support.fakes import NOW, USER_ID

SLOW, STOP = 75, 90
TASK = RefreshTask(
    account_id="9a000000-0000-4000-8000-000000000001",
    user_id=USER_ID,
    provider=Provider.INSTAGRAM,
    instagram_business_id="17841400000000001",
    meta_user_id=None,
    page_id=None,
    issued_at=NOW,
    expires_at=None,
    data_access_expires_at=None,
    access_token_ciphertext="c",
    user_token_ciphertext=None,
)


def attempt(*usage: Usage, error: InstagramConnectError | None = None) -> Attempt:
    return Attempt(TASK, None, None, usage, error)


def used(percent: int) -> Attempt:
    return attempt(Usage("app", percent))


def throttled(code: int, retry_after_s: int | None = 600) -> Attempt:
    return attempt(error=MetaRateLimitedError(retry_after_s=retry_after_s, log_context={"meta_code": code}))


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def pace(waits: list[float]) -> Pacer:
    return Pacer(SLOW, STOP, waits.append)


def test_full_speed_without_usage_headers(pace: Pacer, waits: list[float]) -> None:
    pace.learn(attempt())
    pace.wait()

    assert (pace.is_slow, pace.is_stopped, pace.app_used_percent, waits) == (False, False, None, [])
    assert pace.paused_until(NOW) is None


@pytest.mark.parametrize(
    ("percent", "is_slow", "is_stopped"),
    [(0, False, False), (74, False, False), (75, True, False), (89, True, False), (90, True, True), (1300, True, True)],
)
def test_slows_from_75_percent_and_stops_from_90(
    pace: Pacer, waits: list[float], percent: int, is_slow: bool, is_stopped: bool
) -> None:
    pace.learn(used(percent))
    pace.wait()

    assert (pace.is_slow, pace.is_stopped, pace.app_used_percent) == (is_slow, is_stopped, percent)
    assert waits == [SLOW_PAUSE_S] * is_slow
    assert pace.paused_until(NOW) == (NOW + APP_PAUSE if is_stopped else None)


@pytest.mark.parametrize("order", [(80, 10), (10, 80)])
def test_highest_usage_counts_in_any_order(pace: Pacer, order: tuple[int, int]) -> None:
    for percent in order:
        pace.learn(used(percent))

    assert (pace.app_used_percent, pace.is_slow) == (80, True)


def test_highest_usage_of_one_account_counts(pace: Pacer) -> None:
    pace.learn(attempt(Usage("app", 80), Usage("app", 10)))

    assert pace.app_used_percent == 80


@pytest.mark.parametrize("usage_type", ["instagram", "page", "pages", "unknown"])
def test_account_limit_does_not_affect_others(pace: Pacer, usage_type: str) -> None:
    pace.learn(attempt(Usage(usage_type, 100, 3600)))

    assert (pace.is_slow, pace.is_stopped, pace.app_used_percent) == (False, False, None)


@pytest.mark.parametrize("code", [4, 341, 613])
def test_app_rate_limit_stops_until_the_given_time(pace: Pacer, code: int) -> None:
    pace.learn(throttled(code))
    pace.learn(throttled(code, 60))

    assert pace.is_stopped
    assert pace.paused_until(NOW) == NOW + timedelta(seconds=600)


@pytest.mark.parametrize("retry_after_s", [None, 0])
def test_app_rate_limit_without_a_time_stops_for_an_hour(pace: Pacer, retry_after_s: int | None) -> None:
    pace.learn(throttled(4, retry_after_s))

    assert pace.is_stopped
    assert pace.paused_until(NOW) == NOW + timedelta(hours=1)


@pytest.mark.parametrize("code", [17, 32, 80001, 80002, 80006])
def test_user_page_or_account_rate_limit_does_not_stop(pace: Pacer, code: int) -> None:
    for _ in range(MAX_CONSECUTIVE_FAILURES):
        pace.learn(throttled(code))

    assert not pace.is_stopped
    assert pace.paused_until(NOW) is None


@pytest.mark.parametrize(
    ("failures", "is_stopped"), [(MAX_CONSECUTIVE_FAILURES - 1, False), (MAX_CONSECUTIVE_FAILURES, True)]
)
def test_stops_after_ten_consecutive_failures(pace: Pacer, failures: int, is_stopped: bool) -> None:
    for _ in range(failures):
        pace.learn(attempt(error=MetaUnavailableError()))

    assert pace.is_stopped is is_stopped
    assert not pace.is_slow
    assert pace.paused_until(NOW) is None  # the next sweep tries again


def test_rejected_extensions_of_working_tokens_are_not_an_outage(pace: Pacer) -> None:
    for _ in range(MAX_CONSECUTIVE_FAILURES):
        pace.learn(Attempt(TASK, None, None, (), MetaUnavailableError(), is_renewal_refused=True))

    assert not pace.is_stopped


def test_failing_subscription_checks_alone_are_not_an_outage(pace: Pacer) -> None:
    renewal = EncryptedRenewal(NOW, "c", None, None, None, None)
    for _ in range(MAX_CONSECUTIVE_FAILURES):
        pace.learn(Attempt(TASK, renewal, None, (), MetaUnavailableError()))

    assert not pace.is_stopped


@pytest.mark.parametrize(
    "answer",
    [
        attempt(),
        attempt(error=ReconnectRequiredError(reason="APP_REMOVED")),
        Attempt(TASK, None, None, (), MetaUnavailableError(), is_renewal_refused=True),
    ],
    ids=["success", "dead token", "refusal"],
)
def test_any_response_resets_the_failure_count(pace: Pacer, answer: Attempt) -> None:
    for _ in range(MAX_CONSECUTIVE_FAILURES - 1):
        pace.learn(attempt(error=MetaUnavailableError()))
    pace.learn(answer)
    pace.learn(attempt(error=MetaUnavailableError()))

    assert not pace.is_stopped


@pytest.mark.parametrize(
    ("usage", "pause"),
    [
        ((), None),
        ((Usage("instagram", 89, 600),), None),
        ((Usage("app", 100, 600),), None),
        ((Usage("instagram", 90),), APP_PAUSE),
        ((Usage("page", 100, 600),), timedelta(seconds=600)),
        ((Usage("page", 90, 60), Usage("pages", 90, 600)), timedelta(seconds=600)),
        ((Usage("pages", 89, 600), Usage("page", 90, 60)), timedelta(seconds=60)),
    ],
)
def test_account_near_its_own_limit_is_skipped(pace: Pacer, usage: tuple[Usage, ...], pause: timedelta | None) -> None:
    assert pace.account_paused_until(attempt(*usage), NOW) == (None if pause is None else NOW + pause)


def test_slowed_threads_are_spaced_out() -> None:
    at_once, most = 0, 0
    guard = threading.Lock()

    def sleep(_: float) -> None:
        nonlocal at_once, most
        with guard:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.002)
        with guard:
            at_once -= 1

    pace = Pacer(SLOW, STOP, sleep)
    pace.learn(used(SLOW))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: pace.wait(), range(24)))

    assert most == 1


def test_slow_start_lasts_until_a_response_says_otherwise() -> None:
    waits: list[float] = []
    pace = Pacer(75, 90, waits.append, starts_slow=True)

    pace.wait()
    assert waits == [SLOW_PAUSE_S]
    assert pace.paused_until(NOW) is None
