"""Privacy requests from the queue to completion: complete, idempotent, never abandoned."""

import io
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from pydantic import ValidationError

from instagram_connect.errors import InternalError, StorageError
from instagram_connect.privacy.repository import ROWS_AT_ONCE, PrivacyRepository
from instagram_connect.privacy.requests import (
    MIN_STEP_S,
    PrivacyQueue,
    PrivacyRequest,
    UnfinishedError,
    carry_out,
    read_message,
    try_carry_out,
)
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.sqs import QueueError
from instagram_connect.security.token_vault import TokenVault
from tests.support.asking import CODE, PERSON, PrivacyStorage
from tests.support.fakes import NOW
from tests.support.refreshing import STORAGE_DOWN

ASKED_AT = NOW - timedelta(minutes=4, microseconds=123)
DEAUTHORIZE = PrivacyRequest(kind="deauthorize", meta_user_id=PERSON, asked_at=ASKED_AT)
DELETE = PrivacyRequest(kind="delete", meta_user_id=PERSON, asked_at=ASKED_AT, confirmation_code=CODE)


@pytest.fixture
def storage() -> PrivacyStorage:
    return PrivacyStorage()


@pytest.fixture
def repository(storage: PrivacyStorage) -> PrivacyRepository:
    return PrivacyRepository(storage, lambda: NOW)


@pytest.fixture
def queue(vault: TokenVault) -> Iterator[PrivacyQueue]:
    """A queue of moto, which runs as long as the vault does."""
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="privacy")["QueueUrl"]
    yield PrivacyQueue(url)
    with suppress(sqs.exceptions.QueueDoesNotExist):
        sqs.delete_queue(QueueUrl=url)


def sent(queue: PrivacyQueue) -> list[str]:
    messages = boto3.client("sqs").receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10).get("Messages", [])
    return [message["Body"] for message in messages]


@pytest.mark.parametrize("request_", [DEAUTHORIZE, DELETE], ids=lambda request_: request_.kind)
def test_request_round_trips_through_the_queue(queue: PrivacyQueue, request_: PrivacyRequest) -> None:
    queue.keep(request_)

    (message,) = sent(queue)
    assert read_message(message) == request_


def test_message_holds_the_meta_user_id_and_no_other_personal_data(queue: PrivacyQueue) -> None:
    queue.keep(DELETE)

    (message,) = sent(queue)
    assert set(json.loads(message)) == {"kind", "meta_user_id", "asked_at", "confirmation_code"}


def test_queue_failure_does_not_quote_the_request(queue: PrivacyQueue) -> None:
    boto3.client("sqs").delete_queue(QueueUrl=queue.url)

    with pytest.raises(QueueError) as caught:
        queue.keep(DELETE)

    assert PERSON not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        "",
        PERSON,
        "[]",
        "{}",
        json.dumps({"kind": "delete", "meta_user_id": PERSON, "asked_at": NOW.isoformat()}),
        json.dumps(
            {
                "kind": "deauthorize",
                "meta_user_id": PERSON,
                "asked_at": NOW.isoformat(),
                "confirmation_code": CODE,
            }
        ),
        json.dumps({"kind": "forget", "meta_user_id": PERSON, "asked_at": NOW.isoformat()}),
        json.dumps({"kind": "deauthorize", "meta_user_id": PERSON, "asked_at": "2026-11-22T12:00:00"}),
        json.dumps({"kind": "deauthorize", "meta_user_id": [PERSON], "asked_at": NOW.isoformat()}),
    ],
)
def test_unreadable_message_is_rejected_without_being_quoted(body: str) -> None:
    with pytest.raises(InternalError) as caught:
        read_message(body)

    assert caught.value.log_context == {"cause": "unreadable message"}
    assert caught.value.__suppress_context__  # a traceback would quote the message
    assert PERSON not in f"{caught.value} {caught.value.details}"


def test_unknown_members_of_a_message_are_ignored() -> None:
    assert read_message(json.dumps({**json.loads(DELETE.model_dump_json()), "version": 2})) == DELETE


@pytest.mark.parametrize(
    "changes",
    [{"confirmation_code": None}, {"kind": "deauthorize"}, {"asked_at": datetime(2026, 11, 22)}],  # noqa: DTZ001 - without a zone
)
def test_invalid_request_cannot_be_created(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        PrivacyRequest(**{**DELETE.model_dump(), **changes})

    assert PERSON not in str(caught.value)


def test_removing_the_app_erases_the_users_tokens(
    storage: PrivacyStorage, repository: PrivacyRepository, log: io.StringIO
) -> None:
    carry_out(DEAUTHORIZE, repository, Deadline(20))

    ((function, payload),) = storage.calls
    assert (function, payload["meta_user_id"], payload["moment"]) == ("revoke_person", PERSON, ASKED_AT.isoformat())
    assert '"accounts":2' in log.getvalue()
    assert PERSON not in log.getvalue()


def test_unknown_user_is_not_a_failure(repository: PrivacyRepository) -> None:
    stranger = {"meta_user_id": "218471"}

    carry_out(DEAUTHORIZE.model_copy(update=stranger), repository, Deadline(20))
    carry_out(DELETE.model_copy(update=stranger), repository, Deadline(20))


def test_deletion_repeats_until_nothing_is_left(
    storage: PrivacyStorage, repository: PrivacyRepository, log: io.StringIO
) -> None:
    storage.steps[PERSON] = 4

    carry_out(DELETE, repository, Deadline(58))

    assert len(storage.asked("delete_person")) == 4
    assert {
        (payload["meta_user_id"], payload["requested_at"], payload["confirmation_code"], payload["limit"])
        for payload in storage.asked("delete_person")
    } == {(PERSON, ASKED_AT.isoformat(), CODE, ROWS_AT_ONCE)}
    assert storage.deletions[CODE]["completed_at"] == NOW.isoformat()
    assert f'"confirmation_code":"{CODE}"' in log.getvalue()
    assert PERSON not in log.getvalue()


def test_deletion_starts_no_step_without_time_and_resumes_later(
    storage: PrivacyStorage, repository: PrivacyRepository
) -> None:
    now_s = 0.0
    storage.steps[PERSON] = 5
    delete = storage.answers["delete_person"]

    def delete_slowly(payload: dict[str, Any]) -> Any:
        nonlocal now_s
        now_s += 10
        return delete(payload)

    storage.answers["delete_person"] = delete_slowly

    with pytest.raises(UnfinishedError):
        carry_out(DELETE, repository, Deadline(MIN_STEP_S + 25, monotonic=lambda: now_s))

    assert len(storage.asked("delete_person")) == 3
    assert storage.deletions[CODE]["completed_at"] is None

    carry_out(DELETE, repository, Deadline(MIN_STEP_S + 25, monotonic=lambda: now_s))

    assert storage.deletions[CODE]["completed_at"] is not None


@pytest.mark.parametrize("request_", [DEAUTHORIZE, DELETE], ids=lambda request_: request_.kind)
def test_nothing_counts_as_done_while_storage_is_down(
    storage: PrivacyStorage, repository: PrivacyRepository, log: io.StringIO, request_: PrivacyRequest
) -> None:
    storage.failures = {"revoke_person": STORAGE_DOWN, "delete_person": STORAGE_DOWN}

    with pytest.raises(StorageError):
        carry_out(request_, repository, Deadline(20))

    assert log.getvalue() == ""


@pytest.mark.parametrize("request_", [DEAUTHORIZE, DELETE], ids=lambda request_: request_.kind)
def test_redelivered_request_repeats_with_the_same_time(
    storage: PrivacyStorage, repository: PrivacyRepository, request_: PrivacyRequest
) -> None:
    for _ in range(2):
        carry_out(request_, repository, Deadline(20))

    first, second = storage.calls
    assert first == second


@pytest.mark.parametrize("request_", [DEAUTHORIZE, DELETE], ids=lambda request_: request_.kind)
def test_immediate_request_is_reported_as_done(
    storage: PrivacyStorage, repository: PrivacyRepository, log: io.StringIO, request_: PrivacyRequest
) -> None:
    assert try_carry_out(request_, repository, Deadline(8)) is True

    assert len(storage.calls) == 1
    assert "Could not carry out" not in log.getvalue()


@pytest.mark.parametrize("request_", [DEAUTHORIZE, DELETE], ids=lambda request_: request_.kind)
@pytest.mark.parametrize(
    ("failure", "level", "told"),
    [
        (STORAGE_DOWN, "WARNING", '"reason":"DATA_API_UNREACHABLE"'),
        (InternalError(), "WARNING", '"code":"INTERNAL_ERROR"'),
        (RuntimeError(f"row of {PERSON}"), "ERROR", '"cause":"RuntimeError"'),
    ],
    ids=["storage", "another failure of ours", "what nobody foresaw"],
)
def test_failed_immediate_request_is_reported_as_not_done(
    storage: PrivacyStorage,
    repository: PrivacyRepository,
    log: io.StringIO,
    request_: PrivacyRequest,
    failure: Exception,
    level: str,
    told: str,
) -> None:
    storage.failures = {"revoke_person": failure, "delete_person": failure}

    assert try_carry_out(request_, repository, Deadline(8)) is False

    (line,) = log.getvalue().splitlines()
    assert json.loads(line)["level"] == level
    assert told in line
    assert PERSON not in line


def test_deletion_that_runs_out_of_time_is_not_done(storage: PrivacyStorage, repository: PrivacyRepository) -> None:
    storage.steps[PERSON] = 2

    assert try_carry_out(DELETE, repository, Deadline(MIN_STEP_S - 1)) is False

    assert storage.deletions[CODE]["completed_at"] is None
