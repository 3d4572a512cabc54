"""A user's own refresh: one call to Meta for any number of tabs, and one answer for all of them."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from instagram_connect.errors import (
    AccountDisconnectedError,
    AccountNotFoundError,
    InstagramConnectError,
    InternalError,
    MetaActionBlockedError,
    MetaRateLimitedError,
    MetaUnavailableError,
    ReconnectRequiredError,
    RefreshInProgressError,
    StorageError,
    TokenEncryptionError,
    TokenTooYoungError,
)
from instagram_connect.models import Account
from instagram_connect.refresh.batch import RefreshBatch
from instagram_connect.refresh.models import ON_DEMAND
from instagram_connect.refresh.on_demand import LEASE_S, POLL_INTERVAL_S, RefreshOnDemand
from instagram_connect.refresh.repository import RefreshRepository
from instagram_connect.runtime.deadline import Deadline
from tests.support.fakes import NOW, USER_ID
from tests.support.refreshing import NEW_END, STORAGE_DOWN, Refreshing, account_row, password_changed, task

OLD_END = NOW + timedelta(days=8)


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.s = 0.0

    def monotonic(self) -> float:
        return self.s

    def sleep(self, seconds: float) -> None:
        self.s += seconds

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.s)


class Desk:
    """A user's request, and what storage finds of the account when it is asked for the first, second, … time."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.world = Refreshing(concurrency=1)
        self.found: list[dict[str, Any] | None] = []
        self.batches_made = 0
        self.world.storage.answers["claim_refresh"] = self._claim

    def _claim(self, payload: dict[str, Any]) -> dict[str, Any] | None:
        return self.found.pop(0) if len(self.found) > 1 else self.found[0]

    def _batch(self) -> RefreshBatch:
        self.batches_made += 1
        return self.world.batch

    def refresh(self, seconds: float = 25.0) -> Account:
        repository = RefreshRepository(self.world.storage, self.clock.now)
        on_demand = RefreshOnDemand(self._batch, repository, sleep=self.clock.sleep)
        deadline = Deadline(seconds, monotonic=self.clock.monotonic)
        return on_demand.refresh("a", user_id=USER_ID, deadline=deadline)

    def refusal(self, seconds: float = 25.0) -> InstagramConnectError:
        with pytest.raises(InstagramConnectError) as caught:
            self.refresh(seconds)
        return caught.value


def found(state: str, **changes: Any) -> dict[str, Any]:
    """What `claim_refresh` answers."""
    status = state if state in ("needs_reauth", "disconnected") else "active"
    return {
        "state": state,
        "account": account_row("a", status=status, token_expires_at=OLD_END.isoformat()),
        "reconnect_reason": None,
        "last_refreshed_at": None,
        "leased_by": None,
        "possible_from": None,
        "task": task("a").model_dump(mode="json") if state == "claimed" else None,
        **changes,
    }


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_an_account_that_nobody_works_on_is_refreshed_and_answered(desk: Desk) -> None:
    desk.found = [found("claimed")]

    account = desk.refresh()

    (asked,) = desk.world.storage.asked("claim_refresh")
    written = desk.world.storage.written["a"]
    assert (account.id, account.status, account.token_expires_at) == ("a", "active", NEW_END.isoformat())
    assert (asked["account_id"], asked["user_id"], asked["lease_s"]) == ("a", USER_ID, LEASE_S)
    assert written["owner"] == asked["owner"]
    assert (written["renewal"]["access_token_ciphertext"], written["subscription"]) == ("sealed:a-renewed", None)
    assert desk.world.meta.renewed == ["a"]


def test_each_request_claims_under_a_name_of_its_own(desk: Desk) -> None:
    desk.found = [found("claimed")]

    desk.refresh()
    desk.refresh()

    assert len({asked["owner"] for asked in desk.world.storage.asked("claim_refresh")}) == 2


def test_a_key_that_failed_keeps_the_user_from_nothing(desk: Desk) -> None:
    """A sweep leaves such an account alone for a day; told that it waits for Meta, its user would be told wrongly."""
    desk.found = [found("claimed")]
    desk.world.vault.failures["a"] = TokenEncryptionError()

    assert isinstance(desk.refusal(), TokenEncryptionError)
    assert desk.world.storage.released == {"a": None}
    assert desk.world.queue.buried == []


STATES: list[tuple[dict[str, Any] | None, type[InstagramConnectError], str | None, int | None]] = [
    (None, AccountNotFoundError, None, None),
    (found("disconnected"), AccountDisconnectedError, None, None),
    (found("needs_reauth", reconnect_reason="APP_REMOVED"), ReconnectRequiredError, "APP_REMOVED", None),
    (
        found("too_young", possible_from=(NOW + timedelta(hours=3)).isoformat()),
        TokenTooYoungError,
        None,
        3 * 3600,
    ),
    (found("paused", possible_from=(NOW + timedelta(hours=1)).isoformat()), MetaRateLimitedError, None, 3600),
    (found("paused", possible_from=NOW.isoformat()), MetaRateLimitedError, None, 1),
    (found("of a later version"), InternalError, None, None),
]


@pytest.mark.parametrize(("state", "error", "reason", "retry_after_s"), STATES)
def test_an_account_that_cannot_be_refreshed_says_why_and_meta_is_not_called(
    desk: Desk,
    state: dict[str, Any] | None,
    error: type[InstagramConnectError],
    reason: str | None,
    retry_after_s: int | None,
) -> None:
    desk.found = [state]

    refusal = desk.refusal()

    assert type(refusal) is error
    assert (refusal.reason, refusal.retry_after_s) == (reason, retry_after_s)
    assert (desk.world.meta.renewed, desk.batches_made, desk.clock.s) == ([], 0, 0)


def test_what_was_refreshed_a_moment_ago_is_answered_without_asking_meta(desk: Desk) -> None:
    desk.found = [found("too_young", last_refreshed_at=(NOW - timedelta(seconds=50)).isoformat())]

    assert desk.refresh().id == "a"
    assert desk.batches_made == 0


def test_what_was_refreshed_longer_ago_is_too_young(desk: Desk) -> None:
    desk.found = [
        found(
            "too_young",
            last_refreshed_at=(NOW - timedelta(seconds=70)).isoformat(),
            possible_from=(NOW + timedelta(hours=23)).isoformat(),
        )
    ]

    assert isinstance(desk.refusal(), TokenTooYoungError)


@pytest.mark.parametrize(
    ("state", "error"), [("disconnected", AccountDisconnectedError), ("needs_reauth", ReconnectRequiredError)]
)
def test_an_account_that_ended_just_after_its_refresh_is_not_told_as_refreshed(
    desk: Desk, state: str, error: type[InstagramConnectError]
) -> None:
    desk.found = [found(state, last_refreshed_at=(NOW - timedelta(seconds=5)).isoformat())]

    assert type(desk.refusal()) is error


def test_whoever_comes_second_waits_for_the_first_ones_outcome_and_gives_it_too(desk: Desk) -> None:
    done = found("too_young", last_refreshed_at=(NOW + timedelta(seconds=1)).isoformat())
    desk.found = [found("leased"), found("leased"), found("leased"), done]

    account = desk.refresh()

    assert account.id == "a"
    assert desk.clock.s == pytest.approx(3 * POLL_INTERVAL_S)
    assert (desk.world.meta.renewed, desk.world.storage.released) == ([], {})


def test_a_token_that_the_other_one_found_dead_is_told_with_the_same_reason(desk: Desk) -> None:
    desk.found = [found("leased"), found("needs_reauth", reconnect_reason="PASSWORD_CHANGED")]

    refusal = desk.refusal()

    assert isinstance(refusal, ReconnectRequiredError)
    assert refusal.reason == "PASSWORD_CHANGED"
    assert refusal.hint == password_changed().hint


def test_when_the_other_one_failed_meta_is_not_called_once_more_and_the_lease_is_given_back(desk: Desk) -> None:
    desk.found = [found("leased", leased_by=f"{ON_DEMAND}another tab"), found("claimed")]

    refusal = desk.refusal()

    (first, second) = desk.world.storage.asked("claim_refresh")
    (released,) = desk.world.storage.asked("release_refreshes")
    assert isinstance(refusal, MetaUnavailableError)
    assert desk.world.meta.renewed == []
    assert set(desk.world.storage.released) == {"a"}
    assert released["owner"] == first["owner"] == second["owner"]


def test_after_a_sweep_that_only_looked_at_webhooks_the_account_is_refreshed(desk: Desk) -> None:
    desk.found = [found("leased", leased_by="0b8f5c9e-6f0e-4d0c-9d5e-0f6f4b1f1a52"), found("claimed")]

    account = desk.refresh()

    assert account.token_expires_at == NEW_END.isoformat()
    assert desk.world.meta.renewed == ["a"]


def test_nobody_waits_longer_than_the_request_may_take(desk: Desk) -> None:
    desk.found = [found("leased")]

    refusal = desk.refusal(5)

    assert isinstance(refusal, RefreshInProgressError)
    assert refusal.retry_after_s == 10
    assert 3.5 < desk.clock.s < 5
    assert desk.world.meta.renewed == []


@pytest.mark.parametrize(
    "failure",
    [MetaUnavailableError(), MetaRateLimitedError(retry_after_s=60), MetaActionBlockedError(), password_changed()],
    ids=lambda failure: type(failure).__name__,
)
def test_what_meta_says_is_what_the_user_is_told(desk: Desk, failure: InstagramConnectError) -> None:
    desk.found = [found("claimed")]
    desk.world.meta.failures["a"] = failure

    assert desk.refusal() is failure
    is_dead = isinstance(failure, ReconnectRequiredError)
    assert (set(desk.world.storage.ended), set(desk.world.storage.released)) == (
        ({"a"}, set()) if is_dead else (set(), {"a"})
    )


def test_a_refresh_that_storage_did_not_take_is_kept_and_waited_for(desk: Desk) -> None:
    desk.found = [found("claimed"), found("leased")]
    desk.world.storage.failures["finish_refresh"] = STORAGE_DOWN

    refusal = desk.refusal()

    assert isinstance(refusal, RefreshInProgressError)
    assert (desk.world.meta.renewed, len(desk.world.queue.kept)) == (["a"], 1)


def test_a_refresh_that_was_kept_and_is_stored_meanwhile_is_answered(desk: Desk) -> None:
    done = found("too_young", last_refreshed_at=(NOW + timedelta(seconds=1)).isoformat())
    desk.found = [found("claimed"), found("leased"), done]
    desk.world.storage.failures["finish_refresh"] = STORAGE_DOWN

    assert desk.refresh().id == "a"
    assert desk.world.meta.renewed == ["a"]


def test_a_refresh_that_a_disconnection_overtook_is_told_as_that(desk: Desk) -> None:
    desk.found = [found("claimed"), found("disconnected")]
    desk.world.storage.lost = {"a"}

    assert isinstance(desk.refusal(), AccountDisconnectedError)


def test_a_token_that_is_not_marked_as_dead_asks_nobody_to_connect_again(desk: Desk) -> None:
    desk.found = [found("claimed")]
    desk.world.meta.failures["a"] = password_changed()
    desk.world.storage.failures["finish_refresh"] = STORAGE_DOWN

    assert isinstance(desk.refusal(), MetaUnavailableError)


def test_without_time_for_meta_nothing_is_begun_and_the_lease_is_given_back(desk: Desk) -> None:
    desk.found = [found("claimed")]

    refusal = desk.refusal(12)

    assert isinstance(refusal, RefreshInProgressError)
    assert (desk.world.meta.renewed, desk.world.storage.released) == ([], {"a": None})


@pytest.mark.parametrize("function", ["claim_refresh", "release_refreshes"])
def test_storage_that_fails_is_told(desk: Desk, function: str) -> None:
    desk.found = [found("leased", leased_by=f"{ON_DEMAND}another tab"), found("claimed")]
    desk.world.storage.failures[function] = STORAGE_DOWN

    assert isinstance(desk.refusal(), StorageError)
    assert desk.world.meta.renewed == []
