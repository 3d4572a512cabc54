"""The health route: storage status and how often it is checked."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.health.app import ANSWER_MAX_AGE_S, StorageCheck, build_api
from instagram_connect.errors import StorageError
from instagram_connect.runtime.deadline import Deadline
from tests.support.lambda_context import FakeLambdaContext


class FakeRepository:
    """Counts the checks; fails while `failure` is set."""

    def __init__(self) -> None:
        self.checks = 0
        self.failure: StorageError | None = None

    def check(self, _: Deadline) -> None:
        self.checks += 1
        if self.failure:
            raise self.failure


class Clock:
    now_s = 0.0


@pytest.fixture
def repository() -> FakeRepository:
    return FakeRepository()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def get(
    repository: FakeRepository,
    clock: Clock,
    load_event: Callable[[str], dict[str, Any]],
    lambda_context: FakeLambdaContext,
) -> Callable[[], tuple[int, dict[str, Any]]]:
    check = StorageCheck(lambda: repository, monotonic=lambda: clock.now_s)  # type: ignore[arg-type, return-value]
    api = build_api(("https://app.example.com",), check)

    def ask() -> tuple[int, dict[str, Any]]:
        answer = api.resolve(load_event("health"), lambda_context)  # type: ignore[arg-type]
        return answer["statusCode"], json.loads(answer["body"])

    return ask


def test_healthy_while_storage_works(get: Callable[[], tuple[int, dict[str, Any]]]) -> None:
    status, body = get()

    assert (status, body["data"]) == (200, {"status": "ok", "storage": "ok"})


def test_storage_failure_is_reported_with_its_reason(
    get: Callable[[], tuple[int, dict[str, Any]]], repository: FakeRepository
) -> None:
    repository.failure = StorageError(reason="SCHEMA_CACHE_STALE")

    status, body = get()

    assert (status, body["code"], body["reason"]) == (500, "STORAGE_FAILED", "SCHEMA_CACHE_STALE")


def test_storage_checks_are_cached(
    get: Callable[[], tuple[int, dict[str, Any]]], repository: FakeRepository, clock: Clock
) -> None:
    repository.failure = StorageError(reason="DATABASE_UNAVAILABLE")
    answers = {get()[0] for _ in range(10)}
    asked_at_first = repository.checks
    clock.now_s += ANSWER_MAX_AGE_S + 1
    repository.failure = None

    recovered = get()[0]

    assert (answers, asked_at_first, recovered, repository.checks) == ({500}, 1, 200, 2)
