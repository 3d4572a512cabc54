"""Budgets of what is deployed: how long it takes to start against bare functions with the same clients, and its size.

Times only count as ratios, of processor time, measured by turns. docs/benchmarks.md has what `make bench` measures.
"""

import statistics
from typing import Any

import pytest

from bench import starting
from local.settings import SECRET_PREFIX
from tests.support.home import TEST_HOME

STARTS = 5
LARGEST_LAYER_BYTES = 20_000_000
# Meta waits for this function, and it needs none of them: each takes about as long as all of its own code.
NOT_FOR_WEBHOOKS = {"asyncio", "aws_encryption_sdk", "boto3", "cryptography", "httpx", "jwt", "postgrest", "pydantic"}
FUNCTIONS = {function.name: function for function in starting.FUNCTIONS}


@pytest.fixture(scope="module")
def artifact(stack: dict[str, str], aws: dict[str, Any]) -> starting.Artifact:
    """What was built for this test run's deployment."""
    secrets = {f"{kind.upper()}_SECRET_NAME": f"{SECRET_PREFIX}/{kind}" for kind in ("meta", "supabase", "signing")}
    return starting.Artifact.of_build(TEST_HOME / "sam" / "build", {**aws["environment"], **secrets})


# About one and a half times what was measured: a machine that is busy makes even ratios jump.
@pytest.mark.parametrize(("name", "most"), [("webhook", 1.5), ("exchange_token", 2.5)])
def test_a_function_starts_nearly_as_fast_as_a_bare_one(artifact: starting.Artifact, name: str, most: float) -> None:
    ours, bare = starting.by_turns(artifact, FUNCTIONS[name], STARTS)
    ratio = statistics.median(s.computing_ms for s in ours) / statistics.median(s.computing_ms for s in bare)
    assert ratio <= most


def test_the_webhook_function_loads_nothing_that_it_does_not_need(artifact: starting.Artifact) -> None:
    loaded = artifact.start(FUNCTIONS["webhook"]).modules
    assert "instagram_connect.security.meta_signatures" in loaded
    assert not NOT_FOR_WEBHOOKS & loaded


def test_the_layer_is_small_compiled_and_without_what_the_runtime_has(artifact: starting.Artifact) -> None:
    assert starting.zipped_bytes(artifact.layer.parent) <= LARGEST_LAYER_BYTES
    assert not [name for name in starting.IN_THE_RUNTIME if (artifact.layer / name).exists()]
    sources = [path for path in artifact.layer.rglob("*.py") if "instagram_connect" in path.parts]
    assert sources
    assert all(list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")) for path in sources)
