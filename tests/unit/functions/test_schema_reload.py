"""The deploy gate always sends CloudFormation exactly one response, and the right one."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from functions.schema_reload import app
from functions.schema_reload.app import Dependencies, lambda_handler
from instagram_connect.doctor.report import Caution, Report
from instagram_connect.errors import Actor, ConfigurationError
from instagram_connect.runtime.deadline import Deadline
from local.template import section
from tests.support.lambda_context import FakeLambdaContext

HEALTHY = Report("HEALTHY", "The Data API does everything that the code needs.", Actor.NOBODY)
MENDED = Report("SCHEMA_CACHE_STALE", "The Data API had a stale schema cache.", Actor.NOBODY, is_mended=True)
MISSING = Report(
    "FUNCTION_MISSING",
    "The function store_connection(payload) is missing in the database.",
    Actor.OPERATOR,
    "supabase db push",
)


class FakeGate:
    """The results of a deploy's examinations."""

    def __init__(self) -> None:
        self.report = HEALTHY
        self.missing_secrets: list[str] = []
        self.given_s: list[float] = []
        self.is_rolling_back = False

    def last_report(self, deadline: Deadline) -> Report:
        self.given_s.append(deadline.remaining_s())
        return self.report

    def dependencies(self) -> Dependencies:
        return Dependencies(self.last_report, lambda: self.missing_secrets)


class FakeCloudFormation:
    """The presigned URL: records the responses it accepted, and can reject them."""

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
def gate() -> FakeGate:
    return FakeGate()


@pytest.fixture
def cloudformation(monkeypatch: pytest.MonkeyPatch) -> FakeCloudFormation:
    fake = FakeCloudFormation()
    monkeypatch.setattr(httpx, "put", fake.put)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return fake


@pytest.fixture
def send(
    gate: FakeGate,
    monkeypatch: pytest.MonkeyPatch,
    load_event: Callable[[str], dict[str, Any]],
    lambda_context: FakeLambdaContext,
) -> Callable[..., dict[str, Any]]:
    monkeypatch.setattr(app, "dependencies", gate.dependencies)
    monkeypatch.setattr(app, "is_rolling_back", lambda _: gate.is_rolling_back)
    lambda_context.remaining_s = 120.0

    def invoke(**changes: Any) -> dict[str, Any]:
        return lambda_handler({**load_event("schema_reload_create"), **changes}, lambda_context)  # type: ignore[arg-type]

    return invoke


@pytest.mark.parametrize("request_type", ["Create", "Update"])
@pytest.mark.parametrize("report", [HEALTHY, MENDED])
def test_deploy_passes_with_a_working_data_api(
    send: Callable[..., dict[str, Any]],
    cloudformation: FakeCloudFormation,
    gate: FakeGate,
    request_type: str,
    report: Report,
) -> None:
    gate.report = report

    send(RequestType=request_type)

    (answer,) = cloudformation.answers
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == "schema-contract"
    assert answer["RequestId"] == "9d0c1b2a-0000-4000-8000-000000000004"
    assert answer["LogicalResourceId"] == "SchemaReload"


def test_failed_deploy_reports_verdict_and_command(
    send: Callable[..., dict[str, Any]], cloudformation: FakeCloudFormation, gate: FakeGate
) -> None:
    gate.report = MISSING

    send()

    (answer,) = cloudformation.answers
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == (
        "FUNCTION_MISSING: The function store_connection(payload) is missing in the database. Run: supabase db push"
    )


def test_a_missing_secret_fails_the_deploy_with_its_name(
    send: Callable[..., dict[str, Any]], cloudformation: FakeCloudFormation, gate: FakeGate
) -> None:
    gate.missing_secrets = ["instagram-connect/signing"]

    send(RequestType="Create")

    (answer,) = cloudformation.answers
    assert answer["Status"] == "FAILED"
    assert "the secret instagram-connect/signing does not exist" in answer["Reason"]
    assert "aws secretsmanager create-secret --name instagram-connect/signing" in answer["Reason"]


@pytest.mark.parametrize("function", ["exchange_token", "webhook", "privacy", "refresh_worker", "doctor"])
def test_every_secret_of_a_function_is_checked_or_read_by_the_gate(function: str) -> None:
    resources = section("Resources")
    gates = resources["SchemaReloadFunction"]["Properties"]["Environment"]["Variables"]
    logical_id = "".join(word.title() for word in function.split("_")) + "Function"
    needed = {
        value
        for name, value in resources[logical_id]["Properties"]["Environment"]["Variables"].items()
        if name.endswith("_SECRET_NAME")
    }

    assert needed <= {gates["SUPABASE_SECRET_NAME"], *gates["REQUIRED_SECRETS"].split(",")}


def test_examinations_leave_time_to_respond(
    send: Callable[..., dict[str, Any]], gate: FakeGate, cloudformation: FakeCloudFormation
) -> None:
    send()

    assert gate.given_s == [pytest.approx(60, abs=1)]
    assert cloudformation.answers


def test_warning_is_logged_without_failing_the_deploy(
    send: Callable[..., dict[str, Any]], cloudformation: FakeCloudFormation, gate: FakeGate, log: io.StringIO
) -> None:
    caution = Caution("DDL_TRIGGERS_MISSING", "The event trigger pgrst_ddl_watch is missing.", "create event trigger …")
    gate.report = replace(HEALTHY, warnings=(caution,))

    send()

    assert cloudformation.answers[0]["Status"] == "SUCCESS"
    assert "DDL_TRIGGERS_MISSING" in log.getvalue()


def test_stack_deletion_succeeds_without_checks(
    send: Callable[..., dict[str, Any]], cloudformation: FakeCloudFormation, gate: FakeGate
) -> None:
    gate.report = MISSING

    send(RequestType="Delete", PhysicalResourceId="schema-contract")

    assert cloudformation.answers[0]["Status"] == "SUCCESS"
    assert gate.given_s == []


def test_rollback_succeeds_even_with_unreadable_secrets(
    send: Callable[..., dict[str, Any]],
    cloudformation: FakeCloudFormation,
    gate: FakeGate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable() -> Dependencies:
        raise ConfigurationError(log_context={"secret": "s"})

    monkeypatch.setattr(app, "dependencies", unreadable)
    gate.is_rolling_back = True

    send(RequestType="Update", PhysicalResourceId="schema-contract")

    assert cloudformation.answers[0]["Status"] == "SUCCESS"


@pytest.mark.parametrize("error", [ConfigurationError(log_context={"setting": "SUPABASE_URL"}), KeyError("defect")])
def test_every_outcome_sends_exactly_one_response(
    send: Callable[..., dict[str, Any]],
    cloudformation: FakeCloudFormation,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail() -> Dependencies:
        raise error

    monkeypatch.setattr(app, "dependencies", fail)

    send()

    assert [answer["Status"] for answer in cloudformation.answers] == ["FAILED"]


def test_response_fits_cloudformations_limit(
    send: Callable[..., dict[str, Any]], cloudformation: FakeCloudFormation, gate: FakeGate
) -> None:
    gate.report = replace(MISSING, command="grant select on table public.t to service_role; " * 500)

    send()

    assert len(json.dumps(cloudformation.answers[0])) < 4096
    assert cloudformation.answers[0]["Reason"].startswith("FUNCTION_MISSING: The function store_connection(payload)")


def test_failed_delivery_is_retried(send: Callable[..., dict[str, Any]], cloudformation: FakeCloudFormation) -> None:
    cloudformation.refusals = [httpx.ConnectError("x")]

    send()

    assert len(cloudformation.answers) == 1


def test_presigned_url_is_not_logged(
    send: Callable[..., dict[str, Any]], cloudformation: FakeCloudFormation, log: io.StringIO
) -> None:
    url = "https://cloudformation-response.example.com/presigned?X-Amz-Signature=secret"
    cloudformation.refusals = [httpx.ConnectError(f"cannot reach {url}")] * 3

    send()

    assert "did not take the answer" in log.getvalue()
    assert "X-Amz-Signature" not in log.getvalue()


def test_manual_invocation_returns_the_verdict_and_sends_nothing(
    send: Callable[..., dict[str, Any]], cloudformation: FakeCloudFormation
) -> None:
    assert send(ResponseURL=None)["Status"] == "SUCCESS"
    assert cloudformation.answers == []
