"""What each privacy method sends, and how it handles the response."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instagram_connect.errors import RECONNECT_HINTS, StorageError
from instagram_connect.privacy.repository import ROWS_AT_ONCE, DeletionStatus, PrivacyRepository
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.rpc import Rpcs
from tests.support.asking import CODE, PERSON
from tests.support.fakes import NOW, FakeDataApi, refusal
from tests.support.refreshing import STORAGE_DOWN, FakeStorage

ASKED_AT = NOW - timedelta(minutes=4)


@pytest.fixture
def storage() -> FakeStorage:
    return FakeStorage()


@pytest.fixture
def repository(storage: FakeStorage) -> PrivacyRepository:
    return PrivacyRepository(storage, lambda: NOW)


def test_revoking_sends_reason_and_hint_for_the_accounts(repository: PrivacyRepository, storage: FakeStorage) -> None:
    storage.answers["revoke_person"] = 3

    assert repository.revoke(PERSON, ASKED_AT, Deadline(20)) == 3

    failure = {"code": 190, "subcode": 458, "reason": "APP_REMOVED", "hint": RECONNECT_HINTS["APP_REMOVED"]}
    asked = {"now": NOW.isoformat(), "meta_user_id": PERSON, "moment": ASKED_AT.isoformat(), "failure": failure}
    assert storage.calls == [("revoke_person", asked)]


@pytest.mark.parametrize(
    ("answer", "deleted"),
    [
        ({"is_complete": True, "accounts": 2}, 2),
        ({"is_complete": True, "accounts": 0}, 0),
        ({"is_complete": False}, None),
    ],
)
def test_finished_deletion_returns_the_number_of_accounts(
    repository: PrivacyRepository, storage: FakeStorage, answer: dict[str, Any], deleted: int | None
) -> None:
    storage.answers["delete_person"] = answer

    assert repository.delete(PERSON, ASKED_AT, CODE, Deadline(20)) == deleted

    asked = {
        "now": NOW.isoformat(),
        "meta_user_id": PERSON,
        "requested_at": ASKED_AT.isoformat(),
        "confirmation_code": CODE,
        "limit": ROWS_AT_ONCE,
    }
    assert storage.calls == [("delete_person", asked)]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (None, None),
        (
            {"requested_at": "2026-11-22T13:00:00+01:00", "completed_at": None, "retained_reason": None},
            DeletionStatus(NOW, None, None),
        ),
        (
            {
                "requested_at": "2026-11-22T12:00:00+00:00",
                "completed_at": "2026-11-22T12:00:05.5+00:00",
                "retained_reason": "a tax record",
            },
            DeletionStatus(NOW, datetime(2026, 11, 22, 12, 0, 5, 500_000, tzinfo=UTC), "a tax record"),
        ),
    ],
)
def test_status_is_requested_by_code_alone(
    repository: PrivacyRepository,
    storage: FakeStorage,
    answer: dict[str, Any] | None,
    status: DeletionStatus | None,
) -> None:
    storage.answers["deletion_status"] = answer

    assert repository.status(CODE, Deadline(20)) == status

    assert storage.calls == [("deletion_status", {"confirmation_code": CODE})]


Verb = Callable[[PrivacyRepository], Any]
VERBS: dict[str, Verb] = {
    "revoke_person": lambda repository: repository.revoke(PERSON, ASKED_AT, Deadline(20)),
    "delete_person": lambda repository: repository.delete(PERSON, ASKED_AT, CODE, Deadline(20)),
    "deletion_status": lambda repository: repository.status(CODE, Deadline(20)),
}


@pytest.mark.parametrize("function", VERBS)
def test_every_method_raises_storage_failures(
    repository: PrivacyRepository, storage: FakeStorage, function: str
) -> None:
    storage.failures = {function: STORAGE_DOWN}

    with pytest.raises(StorageError):
        VERBS[function](repository)


@pytest.mark.parametrize("answer", [None, "", [], {}])
@pytest.mark.parametrize("function", ["revoke_person", "delete_person"])
def test_empty_response_is_an_error(
    repository: PrivacyRepository, storage: FakeStorage, function: str, answer: Any
) -> None:
    """Such a response does not prove that anything was erased."""
    storage.answers[function] = answer

    with pytest.raises(StorageError):
        VERBS[function](repository)


@pytest.mark.parametrize(("function", "answer"), [("revoke_person", 1), ("delete_person", {"is_complete": False})])
def test_privacy_requests_are_retried(function: str, answer: Any) -> None:
    storage = FakeDataApi()
    storage.failures = [refusal(503, "PGRST001"), refusal(503, "PGRST001")]
    storage.answers[function] = answer

    VERBS[function](PrivacyRepository(Rpcs(storage.client(), sleep=lambda _: None), lambda: NOW))

    assert [payload["meta_user_id"] for payload in storage.payloads] == [PERSON]


def test_status_lookup_is_not_retried() -> None:
    storage = FakeDataApi()
    storage.failures = [refusal(503, "PGRST001")]

    with pytest.raises(StorageError):
        VERBS["deletion_status"](PrivacyRepository(Rpcs(storage.client(), sleep=lambda _: None), lambda: NOW))

    assert storage.payloads == []
