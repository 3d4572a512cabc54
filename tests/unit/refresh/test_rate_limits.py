"""How fast Meta is called while it says how much of the app's limit is used, and when not at all."""

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


def test_a_meta_that_says_nothing_is_called_at_full_speed(pace: Pacer, waits: list[float]) -> None:
    pace.learn(attempt())
    pace.wait()

    assert (pace.is_slow, pace.is_stopped, pace.app_used_percent, waits) == (False, False, None, [])
    assert pace.paused_until(NOW) is None


@pytest.mark.parametrize(
    ("percent", "is_slow", "is_stopped"),
    [(0, False, False), (74, False, False), (75, True, False), (89, True, False), (90, True, True), (1300, True, True)],
)
def test_from_75_percent_it_is_called_slowly_and_from_90_not_at_all(
    pace: Pacer, waits: list[float], percent: int, is_slow: bool, is_stopped: bool
) -> None:
    pace.learn(used(percent))
    pace.wait()

    assert (pace.is_slow, pace.is_stopped, pace.app_used_percent) == (is_slow, is_stopped, percent)
    assert waits == [SLOW_PAUSE_S] * is_slow
    assert pace.paused_until(NOW) == (NOW + APP_PAUSE if is_stopped else None)


@pytest.mark.parametrize("order", [(80, 10), (10, 80)])
def test_the_highest_use_of_a_batch_counts_in_whatever_order_answers_come(pace: Pacer, order: tuple[int, int]) -> None:
    for percent in order:
        pace.learn(used(percent))

    assert (pace.app_used_percent, pace.is_slow) == (80, True)


def test_the_highest_of_one_account_counts_too(pace: Pacer) -> None:
    pace.learn(attempt(Usage("app", 80), Usage("app", 10)))

    assert pace.app_used_percent == 80


@pytest.mark.parametrize("usage_type", ["instagram", "page", "pages", "unknown"])
def test_the_limit_of_one_account_holds_up_no_other(pace: Pacer, usage_type: str) -> None:
    pace.learn(attempt(Usage(usage_type, 100, 3600)))

    assert (pace.is_slow, pace.is_stopped, pace.app_used_percent) == (False, False, None)


@pytest.mark.parametrize("code", [4, 341, 613])
def test_a_refusal_of_the_whole_app_ends_the_batch_until_the_time_that_is_named(pace: Pacer, code: int) -> None:
    pace.learn(throttled(code))
    pace.learn(throttled(code, 60))

    assert pace.is_stopped
    assert pace.paused_until(NOW) == NOW + timedelta(seconds=600)


@pytest.mark.parametrize("retry_after_s", [None, 0])
def test_a_refusal_without_a_time_ends_the_batch_for_an_hour(pace: Pacer, retry_after_s: int | None) -> None:
    pace.learn(throttled(4, retry_after_s))

    assert pace.is_stopped
    assert pace.paused_until(NOW) == NOW + timedelta(hours=1)


@pytest.mark.parametrize("code", [17, 32, 80001, 80002, 80006])
def test_a_refusal_of_a_person_a_page_or_an_account_ends_nothing(pace: Pacer, code: int) -> None:
    for _ in range(MAX_CONSECUTIVE_FAILURES):
        pace.learn(throttled(code))

    assert not pace.is_stopped
    assert pace.paused_until(NOW) is None


@pytest.mark.parametrize(
    ("failures", "is_stopped"), [(MAX_CONSECUTIVE_FAILURES - 1, False), (MAX_CONSECUTIVE_FAILURES, True)]
)
def test_a_meta_that_fails_ten_times_in_a_row_is_left_alone_for_this_batch(
    pace: Pacer, failures: int, is_stopped: bool
) -> None:
    for _ in range(failures):
        pace.learn(attempt(error=MetaUnavailableError()))

    assert pace.is_stopped is is_stopped
    assert not pace.is_slow
    assert pace.paused_until(NOW) is None  # the next sweep tries again


def test_a_meta_that_refuses_to_extend_tokens_that_work_is_not_down(pace: Pacer) -> None:
    for _ in range(MAX_CONSECUTIVE_FAILURES):
        pace.learn(Attempt(TASK, None, None, (), MetaUnavailableError(), is_renewal_refused=True))

    assert not pace.is_stopped


def test_a_meta_that_extends_tokens_and_only_fails_to_tell_of_webhooks_is_not_down(pace: Pacer) -> None:
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
def test_any_answer_of_meta_interrupts_the_row(pace: Pacer, answer: Attempt) -> None:
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
def test_an_account_that_nearly_used_up_its_own_limits_is_left_alone(
    pace: Pacer, usage: tuple[Usage, ...], pause: timedelta | None
) -> None:
    assert pace.account_paused_until(attempt(*usage), NOW) == (None if pause is None else NOW + pause)


def test_slow_threads_wait_one_after_the_other() -> None:
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


def test_a_batch_that_begins_slow_stays_so_until_an_answer_says_otherwise() -> None:
    waits: list[float] = []
    pace = Pacer(75, 90, waits.append, starts_slow=True)

    pace.wait()
    assert waits == [SLOW_PAUSE_S]
    assert pace.paused_until(NOW) is None
