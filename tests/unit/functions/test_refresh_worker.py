"""The refresh queue's worker: which messages are retried, and what is logged."""

import copy
import io
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from functions.refresh_worker.app import RESERVED_FOR_RETURNING_S, handle
from instagram_connect.errors import ConfigurationError
from instagram_connect.models import Provider
from instagram_connect.refresh.batch import RefreshBatch
from instagram_connect.refresh.models import Claim
from instagram_connect.refresh.queue import FailedAccount, UnstoredRefresh
from instagram_connect.runtime.deadline import Deadline
from tests.support.fakes import NOW
from tests.support.lambda_context import FakeLambdaContext
from tests.support.refreshing import OWNER, STORAGE_DOWN, Refreshing, task
from tests.support.routes import LoadEvent

MESSAGE_ID = "2e1424d4-f796-459a-8184-9c92662be6da"
FIRST, SECOND = "9a000000-0000-4000-8000-000000000001", "9a000000-0000-4000-8000-000000000002"
COMES_AGAIN = {"batchItemFailures": [{"itemIdentifier": MESSAGE_ID}]}
DONE: dict[str, Any] = {"batchItemFailures": []}
PAYLOAD = {"now": NOW.isoformat(), "owner": OWNER, "account_id": FIRST, "renewal": {"access_token_ciphertext": "IGAA"}}

Invoke = Callable[..., Any]


class FakeBatch:
    """Keeps what it was given to work on; fails with `error` if there is one."""

    def __init__(self) -> None:
        self.worked: list[tuple[str, Sequence[Claim]]] = []
        self.deadlines: list[Deadline] = []
        self.error: Exception | None = None

    def work(self, owner: str, claims: Sequence[Claim], deadline: Deadline) -> None:
        self.deadlines.append(deadline)
        if self.error:
            raise self.error
        self.worked.append((owner, claims))


@pytest.fixture
def batch() -> FakeBatch:
    return FakeBatch()


@pytest.fixture
def world() -> Refreshing:
    return Refreshing()


@pytest.fixture
def invoke(load_event: LoadEvent, lambda_context: FakeLambdaContext) -> Invoke:
    """Delivers the recorded message with some of its fields changed."""

    def deliver(deps: Any, **changes: Any) -> Any:
        event = load_event("refresh_worker")
        event["Records"][0].update(changes)
        return handle(event, lambda_context, lambda: deps)  # type: ignore[arg-type]

    return deliver


def test_batch_is_processed_as_its_owner_and_deleted(invoke: Invoke, batch: FakeBatch) -> None:
    assert invoke(batch) == DONE

    assert batch.worked == [
        (
            OWNER,
            (
                Claim(account_id=FIRST, provider=Provider.INSTAGRAM, renew=True, check_subscription=False),
                Claim(account_id=SECOND, provider=Provider.FACEBOOK, renew=True, check_subscription=True),
            ),
        )
    ]


def test_message_gets_the_functions_remaining_time(
    invoke: Invoke, batch: FakeBatch, lambda_context: FakeLambdaContext
) -> None:
    invoke(batch)

    left_s = lambda_context.remaining_s - RESERVED_FOR_RETURNING_S
    assert left_s - 1 < batch.deadlines[0].remaining_s() <= left_s


def test_accounts_of_a_message_are_refreshed_and_stored(invoke: Invoke, world: Refreshing) -> None:
    world.lease(task(FIRST), task(SECOND, provider=Provider.FACEBOOK))

    assert invoke(world.batch) == DONE

    assert set(world.storage.written) == {FIRST, SECOND}
    assert world.storage.written[FIRST]["subscription"] is None
    assert world.storage.written[SECOND]["subscription"] is not None


def test_redelivered_message_does_nothing(invoke: Invoke, world: Refreshing) -> None:
    """Leases that were released or taken by another owner."""
    assert [invoke(world.batch), invoke(world.batch)] == [DONE, DONE]

    assert world.meta.renewed == []


def test_failed_account_does_not_retry_the_message(invoke: Invoke, world: Refreshing) -> None:
    world.lease(task(FIRST), task(SECOND, provider=Provider.FACEBOOK))
    world.meta.failures[FIRST] = RuntimeError("a defect")

    assert invoke(world.batch) == DONE

    assert (set(world.storage.written), set(world.storage.released)) == ({SECOND}, {FIRST})


def test_unreachable_storage_retries_the_message(invoke: Invoke, batch: FakeBatch, log: io.StringIO) -> None:
    batch.error = STORAGE_DOWN

    assert invoke(batch) == COMES_AGAIN
    assert '"reason":"DATA_API_UNREACHABLE"' in log.getvalue()


def unstored() -> dict[str, str]:
    return {"body": UnstoredRefresh(payload=PAYLOAD).model_dump_json()}


def test_queued_refresh_is_stored_unchanged(invoke: Invoke, world: Refreshing) -> None:
    assert invoke(world.batch, **unstored()) == DONE

    assert world.storage.calls == [("finish_refresh", PAYLOAD)]
    assert world.meta.renewed == []


def test_queued_refresh_without_a_lease_is_dropped(invoke: Invoke, world: Refreshing) -> None:
    world.storage.lost = {FIRST}

    assert invoke(world.batch, **unstored()) == DONE


def test_queued_refresh_is_retried_while_storage_is_down(invoke: Invoke, world: Refreshing, log: io.StringIO) -> None:
    world.storage.failures["finish_refresh"] = STORAGE_DOWN

    assert invoke(world.batch, **unstored()) == COMES_AGAIN
    assert "IGAA" not in log.getvalue()


def test_queued_refresh_is_the_one_that_is_stored(invoke: Invoke, world: Refreshing) -> None:
    world.lease(task(FIRST))
    world.storage.failures["finish_refresh"] = STORAGE_DOWN
    invoke(world.batch)
    world.storage.failures.clear()
    (kept,) = world.queue.kept

    assert invoke(world.batch, body=UnstoredRefresh(payload=dict(kept)).model_dump_json()) == DONE

    written = world.storage.written[FIRST]
    assert written["renewal"]["access_token_ciphertext"] == f"sealed:{FIRST}-renewed"
    assert written["owner"] == OWNER


def test_dead_lettered_account_is_left_to_the_next_sweep(invoke: Invoke, world: Refreshing, log: io.StringIO) -> None:
    message = FailedAccount(account_id=FIRST, reason="TOKEN_ENCRYPTION_FAILED")

    assert invoke(world.batch, body=message.model_dump_json()) == DONE

    assert world.storage.calls == []
    assert FIRST in log.getvalue()


@pytest.mark.parametrize("body", ["", "IGAAtoken", "{}", '{"kind": "unstored", "payload": "IGAAtoken"}'])
def test_unreadable_message_is_retried_without_being_quoted(
    invoke: Invoke, batch: FakeBatch, log: io.StringIO, body: str
) -> None:
    assert invoke(batch, body=body) == COMES_AGAIN

    assert batch.worked == []
    assert '"level":"ERROR"' in log.getvalue()
    assert '"cause":"UnreadableMessageError"' in log.getvalue()
    assert "IGAAtoken" not in log.getvalue()


def test_unexpected_exception_is_logged_with_its_location_only(
    invoke: Invoke, batch: FakeBatch, log: io.StringIO
) -> None:
    batch.error = RuntimeError("https://graph.instagram.com/?access_token=IGAAsecret")

    assert invoke(batch) == COMES_AGAIN

    assert '"cause":"RuntimeError"' in log.getvalue()
    assert "functions/refresh_worker/app.py" in log.getvalue()
    assert "IGAAsecret" not in log.getvalue()


def test_missing_setting_retries_the_messages_and_is_logged(
    load_event: LoadEvent, lambda_context: FakeLambdaContext, log: io.StringIO
) -> None:
    def not_configured() -> RefreshBatch:
        raise ConfigurationError(log_context={"setting": "REFRESH_QUEUE_URL"})

    answer = handle(load_event("refresh_worker"), lambda_context, not_configured)  # type: ignore[arg-type]

    assert answer == COMES_AGAIN
    assert '"setting":"REFRESH_QUEUE_URL"' in log.getvalue()


def test_only_failed_messages_are_retried(
    batch: FakeBatch, load_event: LoadEvent, lambda_context: FakeLambdaContext
) -> None:
    event = load_event("refresh_worker")
    event["Records"].append({**copy.deepcopy(event["Records"][0]), "messageId": "another", "body": "{}"})

    answer = handle(event, lambda_context, lambda: batch)  # type: ignore[arg-type,return-value]

    assert answer == {"batchItemFailures": [{"itemIdentifier": "another"}]}
    assert len(batch.worked) == 1
