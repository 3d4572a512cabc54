"""A year of refreshing: the real functions in Postgres, sweep, batch and outage detection, and a simulated clock.

Whatever fails in between, as long as it fails for less than the lead: no token ends, none is refreshed too young or
twice, and nobody is told to connect again whose token lives. Some tests show that each of these rules can be broken.
"""

import os
import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instagram_connect.refresh.repository import DAY_S, RefreshRules
from instagram_connect.runtime.observability import logger
from tests.support.budget import examples
from tests.support.database import functions_restored, own_database, redefine
from tests.support.refreshing_world import RULES, World, outages

LEAD_H = RULES.lead_s / 3600
# The last sweeps before an end: one to notice that it is over, one more where a probe had to lift a suspension.
LONGEST_H = LEAD_H - 4

# `make year` takes ten thousand, which are minutes.
ACCOUNTS = int(os.environ.get("REFRESH_YEAR_ACCOUNTS", "500"))

kinds = st.sampled_from(["down", "blocked", "throttled", "storage"])
spans = st.lists(st.tuples(kinds, st.floats(0, 600), st.floats(0.5, LONGEST_H)), max_size=8)


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """No log lines: a year writes a hundred thousand, and pytest would keep them all."""
    level = logger.log_level
    logger.setLevel("CRITICAL")
    yield
    logger.setLevel(level)


@pytest.fixture(scope="module")
def year_database(stack: dict[str, str]) -> Iterator[psycopg.Connection[Any]]:
    """A year leaves too much behind for the others."""
    with own_database(stack, "refresh_year") as database:
        database.execute("set synchronous_commit = off")
        # The planner's guess of how many are due costs ten times what a sweep does, and there are thousands.
        for costly in ("hashjoin", "mergejoin", "seqscan"):
            database.execute(f"set enable_{costly} = off".encode())
        yield database


def test_accounts_live_through_a_year_of_outages_and_crashes(
    year_database: psycopg.Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    dice = random.Random(seed)
    kind = ["down", "blocked", "throttled", "storage"]
    world = World(
        year_database,
        dice,
        outages([(dice.choice(kind), dice.uniform(24, 900), dice.uniform(1, LONGEST_H)) for _ in range(14)]),
        changes_token=dice.random() < 0.5,
        killing=0.002,
    )
    world.populate(ACCOUNTS, timedelta(days=45))

    world.live(180)
    world.end_tokens(ACCOUNTS // 100)
    world.live(185)

    refreshes = sum(map(len, world.refreshed.values()))
    with capsys.disabled():
        told = f"{refreshes} refreshes, {world.kills} processes killed, {len(world.ended)} tokens ended"
        print(f"\n{ACCOUNTS} accounts, a year, seed {seed}: {told}")
    world.check()
    assert refreshes > 5 * ACCOUNTS


@settings(max_examples=examples(4))
@given(spans=spans, seed=st.integers(0, 2**32), changes_token=st.booleans(), killing=st.sampled_from([0, 0.02, 0.1]))
def test_any_outages_shorter_than_the_lead_cost_no_token(
    year_database: psycopg.Connection[Any],
    spans: list[tuple[str, float, float]],
    seed: int,
    changes_token: bool,
    killing: float,
) -> None:
    world = World(year_database, random.Random(seed), outages(spans), changes_token=changes_token, killing=killing)
    world.populate(40, timedelta(days=45))

    world.live(20)
    world.end_tokens(2)
    world.live(80)

    world.check()


def disturbed(database: psycopg.Connection[Any], rules: RefreshRules = RULES) -> World:
    """A small world with an outage of nearly ten days."""
    world = World(database, random.Random(7), outages([("down", 480, LONGEST_H)]), rules=rules)
    world.populate(60, timedelta(days=45))
    return world


@pytest.fixture
def changed(year_database: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """The database, to change functions in; as it was afterwards."""
    with functions_restored(year_database):
        yield year_database


def test_a_lead_shorter_than_the_outage_is_noticed(year_database: psycopg.Connection[Any]) -> None:
    world = disturbed(
        year_database, RefreshRules(lead_s=2 * DAY_S, spread_s=DAY_S, subscription_s=RULES.subscription_s)
    )
    world.live(70)

    with pytest.raises(AssertionError, match=r"tokens expired|told to reconnect"):
        world.check()


def test_a_refresh_that_forgets_the_age_of_a_token_is_noticed(changed: psycopg.Connection[Any]) -> None:
    redefine(changed, "refreshable_from", "interval '24 hours'", "interval '0 hours'")
    world = disturbed(changed)
    world.dice = random.Random(1)
    world.live(150)

    with pytest.raises(AssertionError, match="was refreshed"):
        world.check()


def test_a_missing_lease_is_noticed_when_two_sweeps_run_at_once(changed: psycopg.Connection[Any]) -> None:
    for function in ("refresh_candidates", "claim_refreshes"):
        redefine(changed, function, "coalesce(credentials.lease_expires_at, '-infinity') <= at", "true")
    redefine(changed, "leased_refreshes", "credentials.lease_owner = payload ->> 'owner'", "true")
    redefine(changed, "finish_refresh", "credentials.lease_owner is distinct from payload ->> 'owner'", "false")
    redefine(changed, "leased_refreshes", "credentials.lease_expires_at > (payload ->> 'now')::timestamptz", "true")
    world = disturbed(changed)
    world.live(70, sweeps_at_once=2)

    with pytest.raises(AssertionError, match="was refreshed"):
        world.check()


def test_two_sweeps_at_once_break_no_rule(year_database: psycopg.Connection[Any]) -> None:
    world = disturbed(year_database)
    world.live(70, sweeps_at_once=2)

    world.check()


def test_thousand_accounts_connected_on_one_day_are_spread_over_days(year_database: psycopg.Connection[Any]) -> None:
    world = World(year_database, random.Random(3))
    world.populate(1000, timedelta(hours=1))

    world.live(60)

    hours: dict[Any, int] = {}
    for times in world.refreshed.values():
        hours[times[0][0]] = hours.get(times[0][0], 0) + 1
    world.check()
    assert sum(hours.values()) == 1000
    assert max(hours.values()) < 40
    assert len(hours) > 100
