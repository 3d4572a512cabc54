"""A small sample of the fault matrix (`make faults` runs all of it), and tests that the matrix notices faults."""

import random
from collections.abc import Iterator

import pytest

from tests.faults.__main__ import drawn
from tests.faults.flows import Connect, Disconnect, RefreshOnDemand, Verdict, Webhook
from tests.faults.gateway import DEADLY, Failure, Plan, Step
from tests.faults.matrix import ANSWERING, Matrix
from tests.faults.world import World, world_of
from tests.support.home import TEST_HOME

SEED = 1
# These take as long as a function's time-out; at these steps as a lease that nobody knows of; and in a worker until a
# message comes again.
LONG = DEADLY | {Failure.HALF_OPEN}
LEASING = ("claim_refresh", "PutItem")
SWALLOW = """
create function {name}() returns trigger language plpgsql as 'begin {body} end';
create trigger {name} before {event} on {table} for each row execute function {name}();
"""


@pytest.fixture(scope="module")
def world(stack: dict[str, str]) -> Iterator[World]:
    with world_of(stack, TEST_HOME) as world:
        yield world


def report_of(matrix: Matrix) -> list[str]:
    return [note for cell in matrix.cells.values() for note in cell.notes]


def test_sampled_faults_lose_double_and_misreport_nothing(world: World) -> None:
    flows = [Connect(world, "instagram"), RefreshOnDemand(world), Webhook(world), Disconnect(world)]
    matrix = Matrix(world, flows, print)

    trials = matrix.learn(is_cold=False)
    short = [
        trial
        for trial in trials
        if trial.failure not in LONG and trial.step.operation not in LEASING and trial.step.function in ANSWERING
    ]
    chosen = drawn(short, each=1, chance=random.Random(SEED))
    matrix.run(chosen)
    matrix.settle()

    assert report_of(matrix) == []
    # A busy machine's client may have repeated a call while it was watched, and take it once now.
    assert sum(cell.not_met for cell in matrix.cells.values()) < len(chosen) / 4


def test_lost_write_is_reported_lost(world: World) -> None:
    matrix = Matrix(world, [Webhook(world)], print, settled_within_s=8)
    world.rows(SWALLOW.format(name="swallow", body="return null;", event="insert", table="webhook_events"))
    try:
        matrix.run_repeated(1)
        matrix.settle()
    finally:
        world.rows("drop function swallow cascade")

    assert [note.split(":")[0] for note in report_of(matrix)] == [Verdict.LOST]


def test_wrong_response_is_reported(world: World) -> None:
    matrix = Matrix(world, [RefreshOnDemand(world)], print, settled_within_s=1)
    body = """
        if new.last_refreshed_at > now() - interval ''1 hour'' then
            new.expires_at := old.expires_at;
        end if;
        return new;
    """
    world.rows(SWALLOW.format(name="swallow", body=body, event="update", table="instagram_credentials"))
    try:
        matrix.run_repeated(1)
        matrix.settle()
    finally:
        world.rows("drop function swallow cascade")

    assert [note.split(":")[0] for note in report_of(matrix)] == [Verdict.WRONG]


def test_unneeded_refresh_is_reported_doubled(world: World) -> None:
    flow = RefreshOnDemand(world)
    world.fill(1)
    run = flow.begin()

    with world.gateway.failing(Plan(Step("refresh_token", "meta", "GET refresh_access_token"), Failure.DOUBLED)):
        flow.act(run)

    # The run has no plan: nothing is known to have failed.
    assert flow.judge(run) is Verdict.DOUBLED
