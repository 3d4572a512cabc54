"""The worker of the webhook queue: which messages come again; and what it does when the schedule calls."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from moto import mock_aws

from functions.webhook_worker import app
from functions.webhook_worker.app import handle, lambda_handler
from instagram_connect.errors import ConfigurationError, StorageError
from instagram_connect.runtime.deadline import Deadline
from tests.support.counting import counts
from tests.support.deployments import deploy
from tests.support.ingesting import REFUSED, Ingesting, stored
from tests.support.lambda_context import FakeLambdaContext
from tests.support.refreshing import STORAGE_DOWN
from tests.support.routes import LoadEvent

FIRST, SECOND = "5f1d8a3e-0f8a-4b7f-9a54-0c6f6f0f1a01", "5f1d8a3e-0f8a-4b7f-9a54-0c6f6f0f1a02"
KEYS = ["msg:aWdfZAG1A1", "msg:aWdfZAG1A2", "cmt:17990000000000001"]
DONE: dict[str, Any] = {"batchItemFailures": []}
NOTHING = stored(0)

Deliver = Callable[..., Any]


@pytest.fixture
def world() -> Ingesting:
    return Ingesting()


@pytest.fixture
def deliver(world: Ingesting, load_event: LoadEvent) -> Deliver:
    """Delivers the recorded messages, each with some of its fields changed."""

    def send(**changes: Any) -> Any:
        event = load_event("webhook_worker")
        for record in event["Records"]:
            record.update(changes)
        return handle(event, Deadline(40), world.ingestion)

    return send


def test_the_events_of_all_messages_are_stored_at_once_whatever_they_travelled_as(
    deliver: Deliver, world: Ingesting
) -> None:
    assert deliver() == DONE

    assert world.storage.batches == [3]
    assert list(world.storage.kept) == KEYS
    assert [row["kind"] for row in world.storage.kept.values()] == ["message", "message_echo", "comment"]
    assert world.bus.published == [KEYS]


def test_messages_without_attributes_are_taken_as_text(deliver: Deliver, world: Ingesting) -> None:
    """As they look where an attribute was lost on the way: kept, to be read again later."""
    assert deliver(messageAttributes=None) == DONE

    assert list(world.storage.kept)[:2] == KEYS[:2]
    assert [row["kind"] for row in world.storage.kept.values()][2:] == ["unparsed"]


def test_attributes_that_say_something_else_change_nothing(deliver: Deliver, world: Ingesting) -> None:
    """A message that was moved back out of the dead-letter queue says why it was there."""
    reason = {"reason": {"stringValue": "DATA_REJECTED 22P05", "dataType": "String"}}

    assert deliver(messageAttributes=reason) == DONE

    assert list(world.storage.kept)[:2] == KEYS[:2]


def test_while_storage_is_down_every_message_comes_again_and_is_counted(
    deliver: Deliver, world: Ingesting, counted: dict[str, Any]
) -> None:
    world.storage.failures = {"store_webhook_events": STORAGE_DOWN}

    assert deliver() == {"batchItemFailures": [{"itemIdentifier": FIRST}, {"itemIdentifier": SECOND}]}
    assert counts(counted) == {"WebhooksPostponed": 2}


def test_only_the_message_that_cannot_be_dealt_with_comes_again(deliver: Deliver, world: Ingesting) -> None:
    world.storage.refusals = {KEYS[2]: REFUSED}
    world.dead_letters.is_down = True

    assert deliver() == {"batchItemFailures": [{"itemIdentifier": SECOND}]}

    assert list(world.storage.kept) == KEYS[:2]


def test_how_often_a_message_came_decides_whether_its_event_is_given_up(deliver: Deliver, world: Ingesting) -> None:
    world.storage.refusals = {KEYS[2]: StorageError(reason="DATABASE_FAILED")}
    again = {"batchItemFailures": [{"itemIdentifier": SECOND}]}

    assert deliver() == again
    assert deliver(attributes={"ApproximateReceiveCount": "2"}) == again
    assert world.dead_letters.buried == []

    assert deliver(attributes={"ApproximateReceiveCount": "3"}) == DONE
    assert len(world.dead_letters.buried) == 1


def test_no_message_is_no_work(world: Ingesting) -> None:
    assert handle({"Records": []}, Deadline(40), world.ingestion) == DONE

    assert world.storage.calls == []


ANSWERS = {
    "store_webhook_events": stored(3),
    "adopt_webhook_events": NOTHING,
    "take_events": [],
    "purge_webhook_events": 0,
}
SETTINGS = {"EVENT_BUS_NAME": "bus", "WEBHOOK_DEAD_LETTER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/dead"}


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The functions of the database that the entry point calls, with dependencies of its own making."""
    app.dependencies.cache_clear()
    with mock_aws():
        yield deploy(monkeypatch, ANSWERS, **SETTINGS)
    app.dependencies.cache_clear()


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_the_entry_point_stores_what_its_messages_hold(
    called: list[str], load_event: LoadEvent, lambda_context: FakeLambdaContext, log: io.StringIO
) -> None:
    assert lambda_handler(load_event("webhook_worker"), lambda_context) == DONE  # type: ignore[arg-type]

    assert called == ["store_webhook_events"]
    assert "café" not in log.getvalue()


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_a_deployment_without_a_setting_keeps_its_messages_and_names_the_setting(
    called: list[str], monkeypatch: pytest.MonkeyPatch, load_event: LoadEvent, lambda_context: FakeLambdaContext
) -> None:
    """Lambda gives back all messages of an invocation that fails."""
    monkeypatch.delenv("EVENT_BUS_NAME")

    with pytest.raises(ConfigurationError) as caught:
        lambda_handler(load_event("webhook_worker"), lambda_context)  # type: ignore[arg-type]

    assert caught.value.log_context == {"setting": "EVENT_BUS_NAME"}
    assert called == []
