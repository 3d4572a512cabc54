"""The deploy gate: one answer to CloudFormation, always, and the right one."""

import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from functions.schema_reload import app
from functions.schema_reload.app import Dependencies, lambda_handler, verdict
from instagram_connect.deadline import Deadline
from instagram_connect.errors import ConfigurationError, StorageError
from tests.conftest import FakeLambdaContext


class FakeSchema:
    """A Data API whose cache learns of the schema after some reloads, or never."""

    def __init__(self) -> None:
        self.reloads = 0
        self.known_after_reloads = 1
        self.reload_fails = False
        self.is_rolling_back = False

    def reload(self) -> None:
        self.reloads += 1
        if self.reload_fails:
            raise StorageError(reason="SCHEMA_CACHE_STALE")

    def unknown(self) -> list[str]:
        if self.reloads < self.known_after_reloads:
            return ["store_connection(payload): SCHEMA_CACHE_STALE (PGRST202)"]
        return []

    def dependencies(self) -> Dependencies:
        return Dependencies(self.reload, self.unknown, sleep=lambda _: None)


class FakeCloudFormation:
    """The presigned URL: keeps the answers that it took, and can refuse."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.refusals: list[httpx.Response | Exception] = []

    def put(self, url: str, *, content: bytes, headers: dict[str, str], timeout: float) -> httpx.Response:
        assert (headers, timeout) == ({"Content-Type": ""}, 2.0)
        if self.refusals:
            refusal = self.refusals.pop(0)
            if isinstance(refusal, Exception):
                raise refusal
            return refusal
        self.answers.append(json.loads(content))
        return httpx.Response(200)


@pytest.fixture
def schema() -> FakeSchema:
    return FakeSchema()


@pytest.fixture
def cloudformation(monkeypatch: pytest.MonkeyPatch) -> FakeCloudFormation:
    fake = FakeCloudFormation()
    monkeypatch.setattr(httpx, "put", fake.put)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return fake


@pytest.fixture
def send(
    schema: FakeSchema,
    monkeypatch: pytest.MonkeyPatch,
    load_event: Callable[[str], dict[str, Any]],
    lambda_context: FakeLambdaContext,
) -> Callable[..., dict[str, Any]]:
    monkeypatch.setattr(app, "dependencies", schema.dependencies)
    monkeypatch.setattr(app, "is_rolling_back", lambda _: schema.is_rolling_back)
    lambda_context.remaining_s = app.RESERVED_FOR_ANSWER_S + 0.5  # half a second to probe

    def invoke(**changes: Any) -> dict[str, Any]:
        return lambda_handler({**load_event("schema_reload_create"), **changes}, lambda_context)  # type: ignore[arg-type]

    return invoke


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_a_known_contract_lets_the_deploy_pass(
    send: Callable[..., dict[str, Any]], cloudformation: FakeCloudFormation, request_type: str
) -> None:
    send(RequestType=request_type)

    (answer,) = cloudformation.answers
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == "schema-contract"
    assert answer["RequestId"] == "9d0c1b2a-0000-4000-8000-000000000004"
    assert answer["LogicalResourceId"] == "SchemaReload"


def test_a_contract_that_stays_unknown_fails_the_deploy_with_names_and_command(
    send: Callable[..., dict[str, Any]], cloudformation: FakeCloudFormation, schema: FakeSchema
) -> None:
    schema.known_after_reloads = 10**9

    send()

    (answer,) = cloudformation.answers
    assert answer["Status"] == "FAILED"
    assert "store_connection(payload): SCHEMA_CACHE_STALE (PGRST202)" in answer["Reason"]
    assert "notify pgrst, 'reload schema'" in answer["Reason"]


def test_the_reload_is_asked_for_again_until_it_is_heard(
    load_event: Callable[[str], dict[str, Any]], schema: FakeSchema
) -> None:
    schema.known_after_reloads = 4

    assert verdict(load_event("schema_reload_create"), schema.dependencies, lambda _: False, Deadline(5)) is None
    assert schema.reloads == 4


def test_a_reload_that_cannot_be_asked_for_does_not_decide(
    send: Callable[..., dict[str, Any]], cloudformation: FakeCloudFormation, schema: FakeSchema
) -> None:
    schema.reload_fails = True

    send()

    assert cloudformation.answers[0]["Status"] == "SUCCESS"


def test_deleting_the_stack_asks_nothing_and_succeeds(
    send: Callable[..., dict[str, Any]], cloudformation: FakeCloudFormation, schema: FakeSchema
) -> None:
    schema.known_after_reloads = 10**9

    send(RequestType="Delete", PhysicalResourceId="schema-contract")

    assert cloudformation.answers[0]["Status"] == "SUCCESS"
    assert schema.reloads == 0


def test_a_rollback_is_never_held_up_even_by_unreadable_secrets(
    send: Callable[..., dict[str, Any]],
    cloudformation: FakeCloudFormation,
    schema: FakeSchema,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable() -> Dependencies:
        raise ConfigurationError(log_context={"secret": "s"})

    monkeypatch.setattr(app, "dependencies", unreadable)
    schema.is_rolling_back = True

    send(RequestType="Update", PhysicalResourceId="schema-contract")

    assert cloudformation.answers[0]["Status"] == "SUCCESS"


@pytest.mark.parametrize("error", [ConfigurationError(log_context={"setting": "SUPABASE_URL"}), KeyError("defect")])
def test_whatever_happens_there_is_one_answer(
    send: Callable[..., dict[str, Any]],
    cloudformation: FakeCloudFormation,
    schema: FakeSchema,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail() -> Dependencies:
        raise error

    monkeypatch.setattr(app, "dependencies", fail)

    send()

    assert [answer["Status"] for answer in cloudformation.answers] == ["FAILED"]


def test_an_answer_stays_below_what_cloudformation_takes(
    send: Callable[..., dict[str, Any]],
    cloudformation: FakeCloudFormation,
    schema: FakeSchema,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def many() -> list[str]:
        return ["x" * 200 for _ in range(100)]

    monkeypatch.setattr(schema, "unknown", many)

    send()

    assert len(json.dumps(cloudformation.answers[0])) < 4096


def test_a_failed_delivery_is_repeated(send: Callable[..., dict[str, Any]], cloudformation: FakeCloudFormation) -> None:
    cloudformation.refusals = [httpx.ConnectError("x")]

    send()

    assert len(cloudformation.answers) == 1


def test_the_presigned_url_is_not_logged(
    send: Callable[..., dict[str, Any]], cloudformation: FakeCloudFormation, log: io.StringIO
) -> None:
    url = "https://cloudformation-response.example.com/presigned?X-Amz-Signature=secret"
    cloudformation.refusals = [httpx.ConnectError(f"cannot reach {url}")] * 3

    send()

    assert "did not take the answer" in log.getvalue()
    assert "X-Amz-Signature" not in log.getvalue()


def test_invoked_by_hand_it_returns_the_verdict_and_sends_nothing(
    send: Callable[..., dict[str, Any]], cloudformation: FakeCloudFormation
) -> None:
    assert send(ResponseURL=None)["Status"] == "SUCCESS"
    assert cloudformation.answers == []
