"""Refreshing a batch: no account blocks another, and no token issued by Meta is lost."""

import io
from datetime import datetime, timedelta
from typing import Any

import pytest

from instagram_connect.errors import (
    ConfigurationError,
    MetaActionBlockedError,
    MetaAppMisconfiguredError,
    MetaRateLimitedError,
    MetaRequestRejectedError,
    MetaUnavailableError,
    PermissionMissingError,
    ReconnectRequiredError,
    RefreshInProgressError,
    StorageError,
    TokenEncryptionError,
)
from instagram_connect.models import Provider
from instagram_connect.refresh.rate_limits import MAX_CONSECUTIVE_FAILURES, SLOW_PAUSE_S
from instagram_connect.runtime.deadline import Deadline
from tests.support.counting import counts
from tests.support.fakes import NOW
from tests.support.refreshing import EXPIRES_AT, NEW_END, OWNER, STORAGE_DOWN, Refreshing, password_changed, task

APP_IS_THROTTLED = MetaRateLimitedError(retry_after_s=600, log_context={"meta_code": 4})
NAMES = ("a", "b", "c", "d")


@pytest.fixture
def world() -> Refreshing:
    return Refreshing()


@pytest.fixture
def one_by_one() -> Refreshing:
    """One account after the other, in the order given."""
    return Refreshing(concurrency=1)


def test_refreshed_account_is_stored_and_returned(world: Refreshing, counted: dict[str, Any]) -> None:
    claims = world.lease(task("a"))

    outcomes = world.batch.work(OWNER, claims, Deadline(60))

    written = world.storage.written["a"]
    assert written["owner"] == OWNER
    assert written["renewal"]["access_token_ciphertext"] == "sealed:a-renewed"
    assert written["renewal"]["expires_at"] == NEW_END.isoformat()
    assert (outcomes["a"].error, outcomes["a"].account and outcomes["a"].account.id) == (None, "a")
    assert (world.storage.released, world.queue.kept, world.queue.buried) == ({}, [], [])
    assert counts(counted) == {"TokensRefreshed": 1}


def test_each_account_is_stored_before_the_next_is_refreshed(one_by_one: Refreshing) -> None:
    claims = one_by_one.lease(task("a"), task("b"))

    one_by_one.batch.work(OWNER, claims, Deadline(60))

    assert one_by_one.storage.happened == ["renewed a", "wrote a", "renewed b", "wrote b"]


def test_only_due_work_is_done(world: Refreshing, counted: dict[str, Any]) -> None:
    world.meta.unsubscribed = {"a"}
    claims = world.lease(task("a"), task("b"), renew=False, check_subscription=True)

    world.batch.work(OWNER, claims, Deadline(60))

    assert world.meta.renewed == []
    assert world.storage.written["a"]["renewal"] is None
    assert world.storage.written["a"]["subscription"] == {"subscribed_at": NOW.isoformat(), "error": None}
    assert world.storage.written["b"]["subscription"] == {"subscribed_at": None, "error": None}
    assert counts(counted) == {"WebhooksResubscribed": 1}


def test_renewed_token_is_stored_even_if_the_subscription_check_fails(world: Refreshing) -> None:
    claims = world.lease(task("a"), check_subscription=True)
    world.meta.webhook_failures["a-renewed"] = password_changed()

    world.batch.work(OWNER, claims, Deadline(60))

    assert world.storage.written["a"]["renewal"]["access_token_ciphertext"] == "sealed:a-renewed"
    assert (world.storage.ended, world.storage.released) == ({}, {})


def test_accounts_without_a_lease_are_skipped(world: Refreshing) -> None:
    claims = world.lease(task("a"), task("b"))
    del world.storage.tasks["a"]

    outcomes = world.batch.work(OWNER, claims, Deadline(60))

    assert (set(outcomes), world.meta.renewed) == ({"b"}, ["b"])


def test_finished_batch_does_not_call_meta(world: Refreshing) -> None:
    claims = world.lease(task("a"))
    world.storage.tasks = {}

    assert world.batch.work(OWNER, claims, Deadline(60)) == {}
    assert [function for function, _ in world.storage.calls] == ["leased_refreshes"]


def test_accounts_of_both_products_are_refreshed(world: Refreshing) -> None:
    claims = world.lease(task("a"), task("b", provider=Provider.FACEBOOK), task("c"))

    outcomes = world.batch.work(OWNER, claims, Deadline(60))

    assert set(outcomes) == set(world.storage.written) == {"a", "b", "c"}


def test_unreachable_storage_retries_the_message(world: Refreshing) -> None:
    claims = world.lease(task("a"))
    world.storage.failures["leased_refreshes"] = STORAGE_DOWN

    with pytest.raises(StorageError):
        world.batch.work(OWNER, claims, Deadline(60))

    assert world.meta.renewed == []


FAILURES = [
    (MetaUnavailableError(), None, None),
    (MetaRateLimitedError(retry_after_s=3600, log_context={"meta_code": 80002}), timedelta(hours=1), None),
    (MetaActionBlockedError(), timedelta(hours=6), None),
    (MetaRequestRejectedError(), timedelta(days=1), "META_REQUEST_REJECTED"),
    (TokenEncryptionError(), timedelta(days=1), "TOKEN_ENCRYPTION_FAILED"),
    (ConfigurationError(log_context={"setting": "INSTAGRAM_APP_ID"}), None, None),
    (RuntimeError("https://graph.instagram.com/?access_token=IGAAsecret"), timedelta(days=1), "INTERNAL_ERROR"),
]


@pytest.mark.parametrize(("failure", "wait", "buried"), FAILURES, ids=lambda value: type(value).__name__)
def test_failed_account_is_released_and_the_others_refreshed(
    world: Refreshing,
    counted: dict[str, Any],
    log: io.StringIO,
    failure: Exception,
    wait: timedelta | None,
    buried: str | None,
) -> None:
    claims = world.lease(*map(task, NAMES))
    world.meta.failures["b"] = failure

    outcomes = world.batch.work(OWNER, claims, Deadline(60))

    error = outcomes["b"].error
    assert error is not None
    assert set(world.storage.written) == {"a", "c", "d"}
    assert world.storage.released == {"b": (NOW + wait).isoformat() if wait else None}
    assert world.queue.buried == ([("b", buried)] if buried else [])
    assert world.storage.ended == {}
    assert counts(counted) == {"TokensRefreshed": 3, "RefreshesFailed": 1}
    assert f'"code":"{error.code}"' in log.getvalue()
    assert "IGAAsecret" not in log.getvalue()


def test_undecryptable_token_affects_its_account_only(world: Refreshing) -> None:
    claims = world.lease(*map(task, NAMES))
    world.vault.failures["b"] = TokenEncryptionError()

    world.batch.work(OWNER, claims, Deadline(60))

    assert set(world.storage.written) == {"a", "c", "d"}
    assert sorted(world.meta.renewed) == ["a", "c", "d"]
    assert world.queue.buried == [("b", "TOKEN_ENCRYPTION_FAILED")]


@pytest.mark.parametrize(
    ("expires_at", "wait"),
    [
        (NOW + timedelta(days=8), timedelta(days=1)),
        (NOW + timedelta(days=2), timedelta(hours=12)),
        (NOW - timedelta(hours=1), timedelta(0)),
        (None, timedelta(days=1)),
    ],
)
def test_operator_errors_are_retried_while_the_token_is_valid(
    world: Refreshing, expires_at: datetime | None, wait: timedelta
) -> None:
    claims = world.lease(task("a", expires_at=expires_at))
    world.meta.failures["a"] = MetaRequestRejectedError()

    world.batch.work(OWNER, claims, Deadline(60))

    assert world.storage.released == {"a": (NOW + wait).isoformat()}


@pytest.mark.parametrize("failure", [password_changed(), PermissionMissingError()])
def test_dead_token_is_marked_and_published(
    world: Refreshing, counted: dict[str, Any], failure: ReconnectRequiredError | PermissionMissingError
) -> None:
    claims = world.lease(*map(task, NAMES))
    world.meta.failures["b"] = failure
    world.meta.dead["b"] = failure

    outcomes = world.batch.work(OWNER, claims, Deadline(60))

    assert set(world.storage.ended) == {"b"}
    assert world.storage.ended["b"]["reason"] == (failure.reason or failure.code)
    assert outcomes["b"].error is failure
    assert outcomes["b"].account is not None
    assert set(world.storage.written) == {"a", "c", "d"}
    assert world.storage.released == {}
    assert world.events.published == 1
    assert counts(counted) == {"TokensRefreshed": 3, "AccountsNeedReauth": 1}


def test_working_token_that_was_not_extended_is_left_to_the_next_sweep(world: Refreshing) -> None:
    claims = world.lease(task("a"))
    world.meta.failures["a"] = ReconnectRequiredError(reason="TOKEN_INVALID", log_context={"meta_code": 190})

    outcomes = world.batch.work(OWNER, claims, Deadline(60))

    assert world.storage.ended == {}
    assert world.storage.released == {"a": None}
    assert isinstance(outcomes["a"].error, MetaUnavailableError)
    assert world.events.published == 0


def test_mass_token_failure_asks_nobody_to_reconnect(world: Refreshing) -> None:
    claims = world.lease(*(task(str(number)) for number in range(6)))
    world.meta.failures = {str(number): password_changed() for number in range(6)}

    world.batch.work(OWNER, claims, Deadline(60))

    (brake,) = world.storage.asked("brake_refreshes")
    assert (brake["provider"], brake["suspended_reason"]) == ("instagram", "190/460 PASSWORD_CHANGED")
    assert world.storage.ended == {}
    assert set(world.storage.released) == {str(number) for number in range(6)}


def test_suspended_product_refreshes_one_probe_and_releases_the_others(one_by_one: Refreshing) -> None:
    claims = one_by_one.lease(*(task(name, is_suspended=True) for name in NAMES))

    outcomes = one_by_one.batch.work(OWNER, claims, Deadline(60))

    assert one_by_one.meta.renewed == ["a"]
    assert set(one_by_one.storage.written) == {"a"}
    assert one_by_one.storage.released == {"b": None, "c": None, "d": None}
    assert isinstance(outcomes["b"].error, RefreshInProgressError)


def test_rejected_app_suspends_its_product_at_once(world: Refreshing) -> None:
    claims = world.lease(task("a"))
    world.meta.failures["a"] = MetaAppMisconfiguredError(reason="APP_SECRET_INVALID", log_context={"meta_code": 1})

    world.batch.work(OWNER, claims, Deadline(60))

    (brake,) = world.storage.asked("brake_refreshes")
    assert brake["suspended_reason"] == "1/- APP_SECRET_INVALID"
    assert (world.storage.ended, world.storage.released) == ({}, {"a": None})


def test_unmarked_dead_token_is_found_again(world: Refreshing) -> None:
    claims = world.lease(task("a"))
    world.meta.failures["a"] = password_changed()
    world.storage.failures["finish_refresh"] = STORAGE_DOWN

    outcomes = world.batch.work(OWNER, claims, Deadline(60))

    assert world.storage.released == {"a": None}
    assert isinstance(outcomes["a"].error, ReconnectRequiredError)


def test_dead_token_without_a_lease_is_not_counted(
    world: Refreshing, counted: dict[str, Any], log: io.StringIO
) -> None:
    """Its user has reconnected it meanwhile."""
    claims = world.lease(task("a"))
    world.meta.failures["a"] = password_changed()
    world.storage.lost = {"a"}

    world.batch.work(OWNER, claims, Deadline(60))

    assert "AccountsNeedReauth" not in counts(counted)
    assert "An account must be reconnected by its user" not in log.getvalue()
    assert world.events.published == 0


def test_unstored_refresh_is_queued(world: Refreshing, counted: dict[str, Any], log: io.StringIO) -> None:
    claims = world.lease(task("a"))
    world.storage.failures["finish_refresh"] = STORAGE_DOWN

    outcomes = world.batch.work(OWNER, claims, Deadline(60))

    (kept,) = world.queue.kept
    assert (kept["owner"], kept["account_id"]) == (OWNER, "a")
    assert kept["renewal"]["access_token_ciphertext"] == "sealed:a-renewed"
    assert (outcomes["a"].account, outcomes["a"].error) == (None, None)
    # Storing it later still needs the lease.
    assert world.storage.released == {}
    assert counts(counted)["RefreshesKept"] == 1
    assert "sealed:" not in log.getvalue()


def test_refresh_that_can_be_neither_stored_nor_queued_does_not_block_others(
    world: Refreshing, log: io.StringIO
) -> None:
    claims = world.lease(*map(task, NAMES))
    world.storage.failures["finish_refresh"] = STORAGE_DOWN
    world.queue.is_down = True

    outcomes = world.batch.work(OWNER, claims, Deadline(60))

    assert set(outcomes) == set(NAMES)
    assert sorted(world.meta.renewed) == list(NAMES)
    assert log.getvalue().count("Could neither store nor queue") == 4


def test_unstored_subscription_check_is_not_queued(world: Refreshing) -> None:
    claims = world.lease(task("a"), renew=False, check_subscription=True)
    world.storage.failures["finish_refresh"] = STORAGE_DOWN

    world.batch.work(OWNER, claims, Deadline(60))

    assert world.queue.kept == []


def test_unexpected_storage_response_affects_its_account_only(one_by_one: Refreshing, log: io.StringIO) -> None:
    claims = one_by_one.lease(*map(task, NAMES))

    def answer(payload: dict[str, Any]) -> Any:
        return None if payload["account_id"] == "a" else {"is_written": False}

    one_by_one.storage.answers["finish_refresh"] = answer

    outcomes = one_by_one.batch.work(OWNER, claims, Deadline(60))

    assert one_by_one.meta.renewed == list(NAMES)
    assert set(outcomes) == set(NAMES)
    assert '"level":"ERROR"' in log.getvalue()
    assert "sealed:" not in log.getvalue()


def test_lost_lease_does_not_affect_other_accounts(world: Refreshing, log: io.StringIO) -> None:
    claims = world.lease(task("a"), task("b"))
    world.storage.lost = {"a"}

    outcomes = world.batch.work(OWNER, claims, Deadline(60))

    assert (outcomes["a"].account, outcomes["a"].error) == (None, None)
    assert outcomes["b"].account is not None
    assert world.queue.kept == []
    assert "Lost the lease" in log.getvalue()


@pytest.mark.parametrize("retry_after_s", [600, None])
def test_app_rate_limit_pauses_the_product_and_releases_the_rest(
    one_by_one: Refreshing, retry_after_s: int | None
) -> None:
    claims = one_by_one.lease(*map(task, NAMES))
    one_by_one.meta.failures["b"] = MetaRateLimitedError(retry_after_s=retry_after_s, log_context={"meta_code": 4})

    outcomes = one_by_one.batch.work(OWNER, claims, Deadline(60))

    paused_until = NOW + timedelta(seconds=retry_after_s or 3600)
    (brake,) = one_by_one.storage.asked("brake_refreshes")
    assert one_by_one.meta.renewed == ["a", "b"]
    assert set(one_by_one.storage.written) == {"a"}
    assert set(one_by_one.storage.released) == {"b", "c", "d"}
    assert one_by_one.storage.released["c"] is None
    assert (brake["paused_until"], brake["provider"]) == (paused_until.isoformat(), "instagram")
    assert isinstance(outcomes["c"].error, RefreshInProgressError)


def test_pause_is_stored_before_accounts_are_released(one_by_one: Refreshing) -> None:
    claims = one_by_one.lease(*map(task, NAMES))
    one_by_one.meta.failures["b"] = MetaRateLimitedError(log_context={"meta_code": 4})

    one_by_one.batch.work(OWNER, claims, Deadline(60))

    order = [function for function, _ in one_by_one.storage.calls]
    assert order.index("brake_refreshes") < order.index("release_refreshes")


def test_account_rate_limit_does_not_stop_the_batch(one_by_one: Refreshing) -> None:
    claims = one_by_one.lease(*map(task, NAMES))
    one_by_one.meta.failures["a"] = MetaRateLimitedError(retry_after_s=600, log_context={"meta_code": 32})

    one_by_one.batch.work(OWNER, claims, Deadline(60))

    assert set(one_by_one.storage.written) == {"b", "c", "d"}
    assert one_by_one.storage.asked("brake_refreshes") == []


@pytest.mark.parametrize(
    ("percent", "renewed", "paused_until", "pauses"),
    [
        (74, 4, None, 0),
        (75, 4, None, 3),
        (89, 4, None, 3),
        (90, 1, (NOW + timedelta(hours=1)).isoformat(), 0),
        (140, 1, (NOW + timedelta(hours=1)).isoformat(), 0),
    ],
)
def test_app_usage_slows_then_stops_the_batch(
    one_by_one: Refreshing, percent: int, renewed: int, paused_until: str | None, pauses: int
) -> None:
    claims = one_by_one.lease(*map(task, NAMES))
    one_by_one.meta.usage["a"] = {"x-app-usage": f'{{"call_count": {percent}}}'}

    one_by_one.batch.work(OWNER, claims, Deadline(60))

    told = [(brake["app_used_percent"], brake["paused_until"]) for brake in one_by_one.storage.asked("brake_refreshes")]
    assert len(one_by_one.meta.renewed) == renewed
    assert told == ([(percent, paused_until)] if percent >= 75 else [])
    assert one_by_one.slept == [SLOW_PAUSE_S] * pauses
    assert one_by_one.storage.written["a"]["usage"] == [
        {"usage_type": "app", "used_percent": percent, "regain_access_at": None}
    ]


def test_consecutive_failures_stop_the_batch(one_by_one: Refreshing) -> None:
    names = [f"{number:02}" for number in range(MAX_CONSECUTIVE_FAILURES + 5)]
    claims = one_by_one.lease(*map(task, names))
    one_by_one.meta.failures = dict.fromkeys(names, MetaUnavailableError())

    one_by_one.batch.work(OWNER, claims, Deadline(60))

    assert len(one_by_one.meta.renewed) == MAX_CONSECUTIVE_FAILURES
    assert one_by_one.storage.released == dict.fromkeys(names)
    assert one_by_one.storage.asked("brake_refreshes") == []


def test_failures_with_successes_between_them_do_not_stop_the_batch(one_by_one: Refreshing) -> None:
    names = [f"{number:02}" for number in range(MAX_CONSECUTIVE_FAILURES * 2)]
    claims = one_by_one.lease(*map(task, names))
    one_by_one.meta.failures = {
        name: MetaUnavailableError() for number, name in enumerate(names) if number % MAX_CONSECUTIVE_FAILURES
    }

    one_by_one.batch.work(OWNER, claims, Deadline(60))

    assert len(one_by_one.meta.renewed) == len(names)


def test_nothing_is_started_without_time_to_refresh_and_store(world: Refreshing) -> None:
    claims = world.lease(*map(task, NAMES))

    outcomes = world.batch.work(OWNER, claims, Deadline(12))

    assert world.meta.renewed == []
    assert world.storage.released == dict.fromkeys(NAMES)
    assert {type(outcome.error) for outcome in outcomes.values()} == {RefreshInProgressError}


def test_failed_release_is_left_to_lease_expiry(world: Refreshing, log: io.StringIO) -> None:
    claims = world.lease(task("a"))
    world.meta.failures["a"] = MetaUnavailableError()
    world.storage.failures["release_refreshes"] = STORAGE_DOWN

    outcomes = world.batch.work(OWNER, claims, Deadline(60))

    assert isinstance(outcomes["a"].error, MetaUnavailableError)
    assert "Could not release leases" in log.getvalue()


def test_failing_bookkeeping_does_not_fail_the_batch(world: Refreshing, log: io.StringIO) -> None:
    claims = world.lease(*map(task, NAMES))
    world.meta.failures = {"a": password_changed(), "b": APP_IS_THROTTLED, "c": MetaRequestRejectedError()}
    world.storage.failures["brake_refreshes"] = STORAGE_DOWN
    world.events.error = STORAGE_DOWN
    world.queue.is_down = True

    outcomes = world.batch.work(OWNER, claims, Deadline(60))

    assert set(outcomes) == set(NAMES)
    assert "Could not store Meta's rate limits" in log.getvalue()


def test_publisher_is_called_only_when_events_are_pending(world: Refreshing) -> None:
    world.batch.work(OWNER, world.lease(*map(task, NAMES)), Deadline(60))
    without = world.events.published

    world.meta.ends_at = EXPIRES_AT
    world.batch.work(OWNER, world.lease(task("e")), Deadline(60))

    assert (without, world.events.published) == (0, 1)
    assert world.storage.written["e"]["renewal"]["reconnect"]["reason"] == "LOGIN_ENDS"
    assert world.storage.written["a"]["renewal"]["reconnect"] is None
