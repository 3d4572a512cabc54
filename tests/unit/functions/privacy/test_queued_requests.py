"""Requests that wait in the queue: each comes again until it is carried out."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.privacy_worker.app import handle as work
from instagram_connect.errors import ConfigurationError
from instagram_connect.privacy.repository import PrivacyRepository
from instagram_connect.runtime.deadline import Deadline
from tests.support.asking import (
    CODE,
    COMES_AGAIN,
    DONE,
    PERSON,
    FakePrivacyQueue,
    PrivacyStorage,
    Send,
)
from tests.support.counting import counts
from tests.support.refreshing import STORAGE_DOWN
from tests.support.routes import LoadEvent


def test_a_message_is_carried_out(deliver: Send, storage: PrivacyStorage) -> None:
    assert deliver() == DONE

    (asked,) = storage.asked("delete_person")
    assert (asked["meta_user_id"], asked["confirmation_code"]) == (PERSON, CODE)
    assert storage.deletions[CODE]["completed_at"] is not None


def test_what_was_confirmed_is_what_the_worker_deletes(
    send: Send, queue: FakePrivacyQueue, deliver: Send, look: Callable[[str], Any]
) -> None:
    code = json.loads(send("data_deletion")["body"])["confirmation_code"]

    assert deliver(*queue.kept) == DONE

    assert "Your data has been deleted" in look(code)["body"]


def test_a_message_comes_again_while_storage_is_down(
    deliver: Send, storage: PrivacyStorage, log: io.StringIO, counted: dict[str, Any]
) -> None:
    storage.failures = {"delete_person": STORAGE_DOWN}

    assert deliver() == COMES_AGAIN

    assert '"reason":"DATA_API_UNREACHABLE"' in log.getvalue()
    assert counts(counted) == {"PrivacyRequestsPostponed": 1}


def test_every_message_that_waits_is_counted(deliver: Send, load_event: LoadEvent, counted: dict[str, Any]) -> None:
    (record,) = load_event("privacy_worker")["Records"]

    deliver("{}", record["body"], "")

    assert counts(counted) == {"PrivacyRequestsPostponed": 2}


def test_a_message_comes_again_until_all_is_deleted(
    deliver: Send, storage: PrivacyStorage, counted: dict[str, Any]
) -> None:
    storage.steps[PERSON] = 2

    assert deliver(deadline=Deadline(2)) == COMES_AGAIN
    assert counts(counted) == {}  # it goes on
    assert storage.deletions[CODE]["completed_at"] is None

    assert deliver(deadline=Deadline(2)) == DONE
    assert storage.deletions[CODE]["completed_at"] is not None


@pytest.mark.parametrize("body", ["", PERSON, "{}", json.dumps({"kind": "delete", "meta_user_id": PERSON})])
def test_a_message_that_cannot_be_read_comes_again_and_is_not_quoted(
    deliver: Send, storage: PrivacyStorage, log: io.StringIO, body: str
) -> None:
    assert deliver(body) == COMES_AGAIN

    assert storage.calls == []
    assert '"cause":"unreadable message"' in log.getvalue()
    assert PERSON not in log.getvalue()


def test_of_several_messages_only_what_failed_comes_again(
    deliver: Send, load_event: LoadEvent, storage: PrivacyStorage
) -> None:
    (record,) = load_event("privacy_worker")["Records"]

    again = deliver(record["body"], "{}", record["body"])

    assert again == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert len(storage.asked("delete_person")) == 2


def test_messages_wait_for_a_deployment_that_lacks_a_setting(load_event: LoadEvent, log: io.StringIO) -> None:
    def not_configured() -> PrivacyRepository:
        raise ConfigurationError(log_context={"setting": "SUPABASE_URL"})

    assert work(load_event("privacy_worker"), not_configured, Deadline(58)) == COMES_AGAIN
    assert '"setting":"SUPABASE_URL"' in log.getvalue()
