"""Budgets for start-up time, compared with bare functions that use the same clients, and for size.

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
# Meta waits for this function, which needs none of these; each loads about as long as all of its own code.
NOT_FOR_WEBHOOKS = {"asyncio", "aws_encryption_sdk", "boto3", "cryptography", "httpx", "jwt", "postgrest", "pydantic"}
FUNCTIONS = {function.name: function for function in starting.FUNCTIONS}


@pytest.fixture(scope="module")
def artifact(stack: dict[str, str], aws: dict[str, Any]) -> starting.Artifact:
    """The build deployed for this test run."""
    secrets = {f"{kind.upper()}_SECRET_NAME": f"{SECRET_PREFIX}/{kind}" for kind in ("meta", "supabase", "signing")}
    return starting.Artifact.of_build(TEST_HOME / "sam" / "build", {**aws["environment"], **secrets})


# About 1.5 times the measured ratios, which vary on a busy machine.
@pytest.mark.parametrize(("name", "most"), [("webhook", 1.5), ("exchange_token", 2.5)])
def test_function_starts_nearly_as_fast_as_a_bare_one(artifact: starting.Artifact, name: str, most: float) -> None:
    ours, bare = starting.by_turns(artifact, FUNCTIONS[name], STARTS)
    ratio = statistics.median(s.computing_ms for s in ours) / statistics.median(s.computing_ms for s in bare)
    assert ratio <= most


def test_webhook_function_loads_only_what_it_needs(artifact: starting.Artifact) -> None:
    loaded = artifact.start(FUNCTIONS["webhook"]).modules
    assert "instagram_connect.security.meta_signatures" in loaded
    assert not NOT_FOR_WEBHOOKS & loaded


def test_layer_is_small_compiled_and_excludes_runtime_packages(artifact: starting.Artifact) -> None:
    assert starting.zipped_bytes(artifact.layer.parent) <= LARGEST_LAYER_BYTES
    assert not [name for name in starting.IN_THE_RUNTIME if (artifact.layer / name).exists()]
    sources = [path for path in artifact.layer.rglob("*.py") if "instagram_connect" in path.parts]
    assert sources
    assert all(list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")) for path in sources)
