"""The sweep: everything due is queued or released, and side tasks never fail it."""

import io
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from instagram_connect.errors import StorageError
from instagram_connect.refresh.models import Claim
from instagram_connect.refresh.repository import RefreshRepository, RefreshRules
from instagram_connect.refresh.sweep import ACCOUNTS_PER_CLAIM, MIN_REMAINING_S, RefreshSweep, measure
from instagram_connect.runtime.deadline import Deadline
from tests.support.counting import counts
from tests.support.fakes import NOW
from tests.support.refreshing import STORAGE_DOWN, FakeEvents, FakeStorage

OVERVIEW: dict[str, Any] = {
    "active": 40,
    "overdue": 3,
    "oldest_due_at": (NOW - timedelta(hours=5)).isoformat(),
    "expired": 1,
    "needs_reauth": 4,
    "reconnect_requested": 2,
    "events_waiting": 6,
    "brakes": [
        {"provider": "facebook", "suspended_at": None},
        {"provider": "instagram", "suspended_at": NOW.isoformat()},
    ],
}


class FakeQueue:
    """Records the claims it was given; rejects the accounts in `refusing`."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, list[str]]] = []
        self.refusing: set[str] = set()

    def send_claims(self, owner: str, claims: Iterable[Claim]) -> tuple[Claim, ...]:
        claims = tuple(claims)
        taken = [claim.account_id for claim in claims if claim.account_id not in self.refusing]
        self.sent.append((owner, taken))
        return tuple(claim for claim in claims if claim.account_id in self.refusing)


class Due:
    """The given number of due accounts, each claimed once."""

    def __init__(self, count: int) -> None:
        self.left = [str(number) for number in range(count)]

    def __call__(self, payload: dict[str, Any]) -> list[dict[str, Any]]:
        claimed, self.left = self.left[: payload["limit"]], self.left[payload["limit"] :]
        return [
            {"account_id": name, "provider": "instagram", "renew": True, "check_subscription": False}
            for name in claimed
        ]


class Hour:
    """A sweep with fakes around it."""

    def __init__(self) -> None:
        self.storage = FakeStorage(answers={"claim_refreshes": Due(3), "refresh_overview": OVERVIEW})
        self.queue = FakeQueue()
        self.events = FakeEvents()
        queue: Any = self.queue
        events: Any = self.events
        rules = RefreshRules(lead_s=7.0)
        self.sweep = RefreshSweep(RefreshRepository(self.storage, lambda: NOW, rules), queue, events)

    def due(self, count: int) -> None:
        self.storage.answers["claim_refreshes"] = Due(count)


@pytest.fixture
def hour() -> Hour:
    return Hour()


def test_due_accounts_are_claimed_and_queued_with_their_owner(hour: Hour) -> None:
    assert hour.sweep.run(Deadline(60)) == 3

    (asked,) = hour.storage.asked("claim_refreshes")
    assert hour.queue.sent == [(asked["owner"], ["0", "1", "2"])]
    assert (asked["now"], asked["limit"], asked["lead_s"]) == (NOW.isoformat(), ACCOUNTS_PER_CLAIM, 7.0)
    assert hour.storage.released == {}


def test_queue_is_not_called_when_nothing_is_due(hour: Hour) -> None:
    hour.due(0)

    assert hour.sweep.run(Deadline(60)) == 0
    assert hour.queue.sent == []


@pytest.mark.parametrize(
    ("due", "claims"),
    [(ACCOUNTS_PER_CLAIM - 1, 1), (ACCOUNTS_PER_CLAIM, 2), (2 * ACCOUNTS_PER_CLAIM + 1, 3)],
)
def test_claims_until_a_claim_is_not_full_each_as_its_own_owner(hour: Hour, due: int, claims: int) -> None:
    hour.due(due)

    assert hour.sweep.run(Deadline(60)) == due

    asked = hour.storage.asked("claim_refreshes")
    assert (len(asked), len({claim["owner"] for claim in asked})) == (claims, claims)
    assert len({name for _, names in hour.queue.sent for name in names}) == due


def test_accounts_rejected_by_the_queue_are_released_and_claiming_stops(hour: Hour, counted: dict[str, Any]) -> None:
    hour.due(2 * ACCOUNTS_PER_CLAIM)
    hour.queue.refusing = {"1", "7"}

    assert hour.sweep.run(Deadline(60)) == ACCOUNTS_PER_CLAIM - 2

    (asked,) = hour.storage.asked("claim_refreshes")
    (released,) = hour.storage.asked("release_refreshes")
    assert hour.storage.released == {"1": None, "7": None}
    assert released["owner"] == asked["owner"]
    assert counts(counted)["AccountsClaimed"] == ACCOUNTS_PER_CLAIM - 2


def test_nothing_is_claimed_without_time_to_queue_it(hour: Hour) -> None:
    assert hour.sweep.run(Deadline(MIN_REMAINING_S - 1)) == 0

    assert hour.storage.asked("claim_refreshes") == []
    assert hour.events.published == 1


def test_unreachable_storage_fails_the_sweep(hour: Hour) -> None:
    hour.storage.failures["claim_refreshes"] = STORAGE_DOWN

    with pytest.raises(StorageError):
        hour.sweep.run(Deadline(60))


def test_publishes_pending_events_and_measures_token_health(hour: Hour, counted: dict[str, Any]) -> None:
    hour.sweep.run(Deadline(60))

    (asked,) = hour.storage.asked("refresh_overview")
    assert hour.events.published == 1
    assert (asked["limit"], asked["lead_s"]) == (0, 7.0)
    assert counts(counted) == {
        "AccountsClaimed": 3,
        "TokensActive": 40,
        "TokensOverdue": 3,
        "TokensExpired": 1,
        "ConnectionsNeedingReauth": 4,
        "ReconnectsRequested": 2,
        "EventsWaiting": 6,
        "ProductsSuspended": 1,
        "OldestOverdueHours": 5,
    }


def test_nothing_overdue_is_measured_as_zero(counted: dict[str, Any]) -> None:
    measure({**OVERVIEW, "overdue": 0, "oldest_due_at": None, "brakes": []}, NOW)

    assert (counts(counted)["OldestOverdueHours"], counts(counted)["ProductsSuspended"]) == (0, 0)


@pytest.mark.parametrize("failing", ["overview", "events"])
def test_failing_measurements_do_not_fail_the_sweep(
    hour: Hour, counted: dict[str, Any], log: io.StringIO, failing: str
) -> None:
    if failing == "events":
        hour.events.error = STORAGE_DOWN
    else:
        hour.storage.failures["refresh_overview"] = STORAGE_DOWN

    assert hour.sweep.run(Deadline(60)) == 3

    assert ("TokensActive" in counts(counted)) == (failing == "events")
    assert counts(counted)["AccountsClaimed"] == 3
    assert '"code":"STORAGE_FAILED"' in log.getvalue()
