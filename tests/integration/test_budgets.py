"""What a connection, a refresh and a batch of webhooks may cost in calls: numbers that must not grow unseen.

The real handlers, in a process of their own, against the stack of this test run. docs/benchmarks.md has the times,
which no test looks at.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from local.settings import ROOT
from tests.support.home import TEST_HOME

IN_A_ROW = {"in a row": 10, "in a row to Meta": 4}
BUDGETS = {
    # Meta: exchange, extend, list with permissions and debug_token beside it; a subscription for each Page. DynamoDB
    # before that: outcome, state, token; after the one transaction: outcome, token.
    "connect 1 by facebook": {"meta": 6, "kms": 2, "dynamodb": 6, "data_api": 1, **IN_A_ROW},
    "connect 10 by facebook": {"meta": 15, "kms": 11, "dynamodb": 6, "data_api": 1, **IN_A_ROW},
    "connect 100 by facebook": {"meta": 105, "kms": 101, "dynamodb": 6, "data_api": 1},
    "connect 1 by instagram": {"meta": 4, "kms": 2, "dynamodb": 6, "data_api": 1, **IN_A_ROW},
    # Besides one for each account: which leases of the batch are still held.
    "refresh 3 accounts": {"meta": 3, "kms": 6, "data_api": 4},
    "check 3 subscriptions": {"meta": 3, "kms": 3, "data_api": 4},
    "acknowledge": {"sqs": 1},
    # One transaction for the batch, ten events to a call of the bus, one more to forget those that it took.
    "store 1 webhooks of 1": {"data_api": 2, "events": 1, "lost": 0},
    "store 10 webhooks of 10": {"data_api": 2, "events": 10, "lost": 0},
    "store 10 webhooks of 100": {"data_api": 2, "events": 100, "lost": 0},
}


@pytest.fixture(scope="module")
def counts(stack: dict[str, str]) -> Iterator[dict[str, dict[str, int]]]:
    def reset_meta() -> None:
        httpx.post(f"{stack['meta_url']}/_simulator/reset", trust_env=False).raise_for_status()

    reset_meta()
    done = subprocess.run(
        [sys.executable, "-m", "bench.budgets", str(TEST_HOME)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "layers" / "shared")])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    yield json.loads(done.stdout)
    reset_meta()  # its clock


def test_everything_that_is_counted_has_a_budget(counts: dict[str, dict[str, int]]) -> None:
    assert counts.keys() == BUDGETS.keys()


@pytest.mark.parametrize("what", BUDGETS)
def test_calls_keep_to_their_budget(counts: dict[str, dict[str, int]], what: str) -> None:
    over = {name: made for name, made in counts[what].items() if made > BUDGETS[what].get(name, 0)}

    assert not over, f"the budget is {BUDGETS[what]}"
    assert (
        counts[what].keys() == BUDGETS[what].keys()
    )  # what is not called any more was not counted, or needs no budget
