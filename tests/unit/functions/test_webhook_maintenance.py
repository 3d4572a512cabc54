"""The schedule for what no webhook waits for."""

from typing import Any

import pytest
from moto import mock_aws

from functions.webhook_maintenance import app
from functions.webhook_maintenance.app import RESERVED_FOR_RETURNING_S, lambda_handler
from instagram_connect.errors import ConfigurationError
from instagram_connect.webhooks.maintenance import MIN_ROUND_S
from tests.support.deployments import deploy
from tests.support.ingesting import stored
from tests.support.lambda_context import FakeLambdaContext
from tests.support.routes import LoadEvent

ANSWERS = {"take_events": [], "adopt_webhook_events": stored(0), "purge_webhook_events": 0}


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The functions of the database that the entry point calls, with dependencies of its own making."""
    app.dependencies.cache_clear()
    with mock_aws():
        yield deploy(monkeypatch, ANSWERS, EVENT_BUS_NAME="bus")
    app.dependencies.cache_clear()


@pytest.mark.filterwarnings("ignore:No application metrics")
@pytest.mark.parametrize(("more_s", "adopts"), [(5.0, True), (-1.0, False)])
def test_the_entry_point_begins_nothing_that_lambda_would_not_let_it_end(
    called: list[str], load_event: LoadEvent, lambda_context: FakeLambdaContext, more_s: float, adopts: bool
) -> None:
    lambda_context.remaining_s = RESERVED_FOR_RETURNING_S + MIN_ROUND_S + more_s

    assert lambda_handler(load_event("webhook_maintenance"), lambda_context) == {}  # type: ignore[arg-type]

    assert called == ["take_events", *(["adopt_webhook_events"] if adopts else []), "purge_webhook_events"]


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_maintenance_that_fails_shows(
    called: list[str], monkeypatch: pytest.MonkeyPatch, load_event: LoadEvent, lambda_context: FakeLambdaContext
) -> None:
    """Lambda counts the error, which raises an alarm."""
    monkeypatch.setenv("SUPABASE_SECRET_NAME", "missing")

    with pytest.raises(ConfigurationError) as caught:
        lambda_handler(load_event("webhook_maintenance"), lambda_context)  # type: ignore[arg-type]

    assert caught.value.log_context == {"secret": "missing", "cause": "not readable"}
    assert called == []
