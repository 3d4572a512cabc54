"""Fixtures of all suites: recorded events, a Lambda context, and the deployed stack."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local.lock import locked
from local.ports import free_base
from local.stack import aws_environment, forget_database, running
from tests.support import budget
from tests.support.home import TEST_HOME
from tests.support.lambda_context import FakeLambdaContext

TESTS = Path(__file__).parent
EVENTS = TESTS.parent / "events"

budget.load_profile()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks each test with its suite, so that `-m unit` and `-m "not e2e"` select by folder."""
    for item in items:
        item.add_marker(item.path.relative_to(TESTS).parts[0])


@pytest.fixture
def lambda_context() -> FakeLambdaContext:
    return FakeLambdaContext()


@pytest.fixture
def load_event() -> Callable[[str], dict[str, Any]]:
    def load(name: str) -> dict[str, Any]:
        event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
        return event

    return load


@pytest.fixture(scope="session")
def stack_environment() -> dict[str, str]:
    """The environment of this test run's stack: ports of its own, and none of the developer's
    settings."""
    overrides = ("FACEBOOK_", "INSTAGRAM_", "WEBHOOK_", "OAUTH_", "DATA_API")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(overrides)}
    return {**inherited, "LOCAL_PORT_BASE": str(free_base())}


@pytest.fixture(scope="session")
def stack(stack_environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """The whole system, deployed, with an empty database; taken down after the tests, even if they fail."""
    # Two test runs in one folder would take down each other's system, so the second waits.
    with locked(TEST_HOME.with_name("test-run")):
        forget_database(TEST_HOME)
        with running(TEST_HOME, stack_environment) as stack:
            yield stack


@pytest.fixture(scope="session")
def aws(stack: dict[str, str]) -> dict[str, Any]:
    """Clients of the local AWS, and the environment that other code needs to reach it."""
    session = boto3.Session("local", "local", region_name=stack["aws_region"])
    # An invocation may last as long as the function's timeout, and must not be retried.
    config = Config(read_timeout=120, retries={"total_max_attempts": 1})

    def client(service: Any) -> Any:
        return session.client(service, endpoint_url=stack["aws_endpoint_url"], config=config)

    return {"client": client, "environment": aws_environment(stack)}
