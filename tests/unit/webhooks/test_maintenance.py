"""Maintenance: publish what is pending, adopt events of newly connected accounts, purge old ones."""

from typing import Any

import pytest

from instagram_connect.errors import StorageError
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.webhooks.maintenance import (
    EVENTS_PER_ROUND,
    MIN_ROUND_S,
    PURGE_LIMIT,
)
from tests.support.counting import counts
from tests.support.ingesting import Ingesting, stored
from tests.support.refreshing import STORAGE_DOWN


def test_maintenance_publishes_then_adopts_until_nothing_is_left_then_purges(
    world: Ingesting, counted: dict[str, Any]
) -> None:
    world.storage.to_adopt = [
        stored(EVENTS_PER_ROUND, outgoing=["one", "two"]),
        stored(3, outgoing=["three"]),
        stored(0, unknown=2, duplicate=1),
        stored(5, outgoing=["not to be reached"]),
    ]
    world.storage.answers["purge_webhook_events"] = 12

    world.maintenance.run(Deadline(58))

    assert [name for name, _ in world.storage.calls] == ["adopt_webhook_events"] * 3 + ["purge_webhook_events"]
    assert [name for published in world.bus.published for name in published] == ["one", "two", "three"]
    assert world.bus.looked == 1
    assert {payload["limit"] for payload in world.storage.asked("adopt_webhook_events")} == {EVENTS_PER_ROUND}
    assert world.storage.asked("purge_webhook_events")[0]["limit"] == PURGE_LIMIT
    assert counts(counted) == {"EventsAdopted": EVENTS_PER_ROUND + 3}


def test_maintenance_starts_no_round_without_enough_time_and_still_purges(world: Ingesting) -> None:
    """The next run comes within minutes."""
    now_s = 0.0

    def adopt(_: dict[str, Any]) -> dict[str, Any]:
        nonlocal now_s
        now_s += 15
        return stored(EVENTS_PER_ROUND)

    world.storage.answers["adopt_webhook_events"] = adopt

    world.maintenance.run(Deadline(MIN_ROUND_S + 30, monotonic=lambda: now_s))

    assert [name for name, _ in world.storage.calls] == ["adopt_webhook_events"] * 2 + ["purge_webhook_events"]
    assert world.bus.looked == 1


def test_maintenance_in_little_time_adopts_nothing(world: Ingesting) -> None:
    world.maintenance.run(Deadline(MIN_ROUND_S))

    assert [name for name, _ in world.storage.calls] == ["purge_webhook_events"]
    assert world.bus.looked == 1


def test_maintenance_publishes_before_it_adopts(world: Ingesting) -> None:
    """Adopting may use up all the time."""
    looked: list[int] = []

    def adopt(_: dict[str, Any]) -> dict[str, Any]:
        looked.append(world.bus.looked)
        return stored(0)

    world.storage.answers["adopt_webhook_events"] = adopt

    world.maintenance.run(Deadline(58))

    assert (looked, world.bus.looked) == ([1], 1)


@pytest.mark.parametrize("function", ["adopt_webhook_events", "purge_webhook_events"])
def test_maintenance_raises_a_storage_failure_after_doing_the_rest(world: Ingesting, function: str) -> None:
    world.storage.failures = {function: STORAGE_DOWN}

    with pytest.raises(StorageError) as failed:
        world.maintenance.run(Deadline(58))

    assert failed.value is STORAGE_DOWN
    others = {"adopt_webhook_events", "purge_webhook_events"} - {function}
    assert ({name for name, _ in world.storage.calls}, world.bus.looked) == (others, 1)


def test_maintenance_adopts_and_purges_despite_a_failing_bus_and_raises_the_first_failure(
    world: Ingesting,
) -> None:
    world.bus.error = StorageError(reason="DATABASE_BUSY", recoverable=True)
    world.storage.failures = {"adopt_webhook_events": STORAGE_DOWN}

    with pytest.raises(StorageError) as failed:
        world.maintenance.run(Deadline(58))

    assert failed.value is world.bus.error
    assert [name for name, _ in world.storage.calls] == ["purge_webhook_events"]
    assert world.bus.looked == 0

    world.storage.failures = {}
    with pytest.raises(StorageError):
        world.maintenance.run(Deadline(58))

    assert [name for name, _ in world.storage.calls][1:] == ["adopt_webhook_events", "purge_webhook_events"]
