"""On-demand refresh: one call to Meta and one result for any number of tabs."""

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
    """A user's request, with the account's state at the first, second, … claim."""

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
    """A response of `claim_refresh`."""
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


def test_unleased_account_is_refreshed_and_returned(desk: Desk) -> None:
    desk.found = [found("claimed")]

    account = desk.refresh()

    (asked,) = desk.world.storage.asked("claim_refresh")
    written = desk.world.storage.written["a"]
    assert (account.id, account.status, account.token_expires_at) == ("a", "active", NEW_END.isoformat())
    assert (asked["account_id"], asked["user_id"], asked["lease_s"]) == ("a", USER_ID, LEASE_S)
    assert written["owner"] == asked["owner"]
    assert (written["renewal"]["access_token_ciphertext"], written["subscription"]) == ("sealed:a-renewed", None)
    assert desk.world.meta.renewed == ["a"]


def test_each_request_claims_as_its_own_owner(desk: Desk) -> None:
    desk.found = [found("claimed")]

    desk.refresh()
    desk.refresh()

    assert len({asked["owner"] for asked in desk.world.storage.asked("claim_refresh")}) == 2


def test_decryption_failure_is_raised_and_the_lease_released(desk: Desk) -> None:
    """A sweep would back off for a day, and the user would wrongly be told to wait for Meta."""
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
def test_refusal_has_its_reason_and_does_not_call_meta(
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


def test_recently_refreshed_account_is_returned_without_calling_meta(desk: Desk) -> None:
    desk.found = [found("too_young", last_refreshed_at=(NOW - timedelta(seconds=50)).isoformat())]

    assert desk.refresh().id == "a"
    assert desk.batches_made == 0


def test_account_refreshed_earlier_is_too_young(desk: Desk) -> None:
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
def test_account_that_ended_after_its_refresh_is_not_reported_as_refreshed(
    desk: Desk, state: str, error: type[InstagramConnectError]
) -> None:
    desk.found = [found(state, last_refreshed_at=(NOW - timedelta(seconds=5)).isoformat())]

    assert type(desk.refusal()) is error


def test_second_request_waits_for_and_returns_the_first_outcome(desk: Desk) -> None:
    done = found("too_young", last_refreshed_at=(NOW + timedelta(seconds=1)).isoformat())
    desk.found = [found("leased"), found("leased"), found("leased"), done]

    account = desk.refresh()

    assert account.id == "a"
    assert desk.clock.s == pytest.approx(3 * POLL_INTERVAL_S)
    assert (desk.world.meta.renewed, desk.world.storage.released) == ([], {})


def test_waiting_request_reports_the_same_reason_for_a_dead_token(desk: Desk) -> None:
    desk.found = [found("leased"), found("needs_reauth", reconnect_reason="PASSWORD_CHANGED")]

    refusal = desk.refusal()

    assert isinstance(refusal, ReconnectRequiredError)
    assert refusal.reason == "PASSWORD_CHANGED"
    assert refusal.hint == password_changed().hint


def test_waiting_request_does_not_retry_a_failure_and_releases_the_lease(desk: Desk) -> None:
    desk.found = [found("leased", leased_by=f"{ON_DEMAND}another tab"), found("claimed")]

    refusal = desk.refusal()

    (first, second) = desk.world.storage.asked("claim_refresh")
    (released,) = desk.world.storage.asked("release_refreshes")
    assert isinstance(refusal, MetaUnavailableError)
    assert desk.world.meta.renewed == []
    assert set(desk.world.storage.released) == {"a"}
    assert released["owner"] == first["owner"] == second["owner"]


def test_account_is_refreshed_after_a_subscription_only_sweep(desk: Desk) -> None:
    desk.found = [found("leased", leased_by="0b8f5c9e-6f0e-4d0c-9d5e-0f6f4b1f1a52"), found("claimed")]

    account = desk.refresh()

    assert account.token_expires_at == NEW_END.isoformat()
    assert desk.world.meta.renewed == ["a"]


def test_waiting_stops_at_the_request_deadline(desk: Desk) -> None:
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
def test_meta_errors_are_returned_to_the_user(desk: Desk, failure: InstagramConnectError) -> None:
    desk.found = [found("claimed")]
    desk.world.meta.failures["a"] = failure

    assert desk.refusal() is failure
    is_dead = isinstance(failure, ReconnectRequiredError)
    assert (set(desk.world.storage.ended), set(desk.world.storage.released)) == (
        ({"a"}, set()) if is_dead else (set(), {"a"})
    )


def test_unstored_refresh_is_queued_and_awaited(desk: Desk) -> None:
    desk.found = [found("claimed"), found("leased")]
    desk.world.storage.failures["finish_refresh"] = STORAGE_DOWN

    refusal = desk.refusal()

    assert isinstance(refusal, RefreshInProgressError)
    assert (desk.world.meta.renewed, len(desk.world.queue.kept)) == (["a"], 1)


def test_queued_refresh_stored_in_time_is_returned(desk: Desk) -> None:
    done = found("too_young", last_refreshed_at=(NOW + timedelta(seconds=1)).isoformat())
    desk.found = [found("claimed"), found("leased"), done]
    desk.world.storage.failures["finish_refresh"] = STORAGE_DOWN

    assert desk.refresh().id == "a"
    assert desk.world.meta.renewed == ["a"]


def test_disconnect_during_the_refresh_is_reported(desk: Desk) -> None:
    desk.found = [found("claimed"), found("disconnected")]
    desk.world.storage.lost = {"a"}

    assert isinstance(desk.refusal(), AccountDisconnectedError)


def test_reconnect_is_not_requested_unless_the_token_is_marked_dead(desk: Desk) -> None:
    desk.found = [found("claimed")]
    desk.world.meta.failures["a"] = password_changed()
    desk.world.storage.failures["finish_refresh"] = STORAGE_DOWN

    assert isinstance(desk.refusal(), MetaUnavailableError)


def test_lease_is_released_without_enough_time_for_meta(desk: Desk) -> None:
    desk.found = [found("claimed")]

    refusal = desk.refusal(12)

    assert isinstance(refusal, RefreshInProgressError)
    assert (desk.world.meta.renewed, desk.world.storage.released) == ([], {"a": None})


@pytest.mark.parametrize("function", ["claim_refresh", "release_refreshes"])
def test_storage_failure_is_raised(desk: Desk, function: str) -> None:
    desk.found = [found("leased", leased_by=f"{ON_DEMAND}another tab"), found("claimed")]
    desk.world.storage.failures[function] = STORAGE_DOWN

    assert isinstance(desk.refusal(), StorageError)
    assert desk.world.meta.renewed == []
