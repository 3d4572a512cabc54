"""The function of Meta's privacy callbacks and its worker, on storage and a queue of tests."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from functions.privacy.app import Dependencies, handle
from functions.privacy_worker.app import handle as work
from instagram_connect.privacy.repository import PrivacyRepository
from instagram_connect.runtime.deadline import Deadline
from tests.support.asking import (
    CODE_KEY,
    MESSAGE_ID,
    FakePrivacyQueue,
    PrivacyStorage,
    Send,
    StoredSecrets,
)
from tests.support.fakes import NOW
from tests.support.routes import LoadEvent


@pytest.fixture
def storage() -> PrivacyStorage:
    return PrivacyStorage()


@pytest.fixture
def queue() -> FakePrivacyQueue:
    return FakePrivacyQueue()


@pytest.fixture
def secrets() -> StoredSecrets:
    return StoredSecrets()


@pytest.fixture
def deps(storage: PrivacyStorage, queue: FakePrivacyQueue, secrets: StoredSecrets) -> Dependencies:
    return Dependencies(
        secrets=secrets.current(),
        code_key=CODE_KEY,
        repository=PrivacyRepository(storage, lambda: NOW),
        queue=queue,  # type: ignore[arg-type]
        now=lambda: NOW,
    )


@pytest.fixture
def send(deps: Dependencies, load_event: LoadEvent) -> Send:
    """Sends a recorded request with some of its fields changed, and some of the dependencies."""

    def sender(name: str, *, with_deps: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        event = {**load_event(name), **changes}
        return handle(event, lambda: replace(deps, **(with_deps or {})))

    return sender


@pytest.fixture
def look(send: Send) -> Callable[[str], dict[str, Any]]:
    """Opens the status page of a confirmation code."""
    return lambda code: send("data_deletion_status", queryStringParameters={"code": code})


@pytest.fixture
def deliver(deps: Dependencies, load_event: LoadEvent) -> Send:
    """Delivers the recorded message of the queue, or another body of one."""

    def sender(*bodies: str, deadline: Deadline | None = None) -> dict[str, Any]:
        event = load_event("privacy_worker")
        (record,) = event["Records"]
        if bodies:
            event["Records"] = [
                {**record, "messageId": MESSAGE_ID if not number else f"message-{number}", "body": body}
                for number, body in enumerate(bodies)
            ]
        return work(event, lambda: deps.repository, deadline or Deadline(58))

    return sender
