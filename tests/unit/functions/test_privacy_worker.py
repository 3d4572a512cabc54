"""The entry point of the worker; privacy/test_queued_requests.py covers what it does with each message."""

from typing import Any

import pytest
from moto import mock_aws

from functions.privacy_worker import app
from functions.privacy_worker.app import lambda_handler
from tests.support.deployments import deploy
from tests.support.lambda_context import FakeLambdaContext
from tests.support.routes import LoadEvent


@pytest.fixture
def answers() -> dict[str, Any]:
    """What the functions of the database answer to the entry point."""
    return {"delete_person": {"is_complete": True, "accounts": 1}}


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> Any:
    """The functions of the database that the entry point calls, with dependencies of its own making."""
    app.repository.cache_clear()
    with mock_aws():
        yield deploy(monkeypatch, answers)
    app.repository.cache_clear()


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_the_entry_point_works_on_messages_as_long_as_lambda_lets_it(
    called: list[str], answers: dict[str, Any], load_event: LoadEvent, lambda_context: FakeLambdaContext
) -> None:
    event = load_event("privacy_worker")
    message_id = event["Records"][0]["messageId"]
    answers["delete_person"] = {"is_complete": False}
    lambda_context.remaining_s = 5

    again = lambda_handler(event, lambda_context)  # type: ignore[arg-type]

    assert again == {"batchItemFailures": [{"itemIdentifier": message_id}]}
    assert called == ["delete_person"]
