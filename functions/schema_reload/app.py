"""Custom resource after everything else of a deploy: lets it pass only when the secrets exist and the schema is known.

Answers CloudFormation exactly once. FAILED, with the doctor's verdict, rolls the stack back. The response URL is
presigned, so it is never logged. Source of the protocol: CloudFormation, "Custom resource request types" and "Custom
resource response objects".
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import httpx
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from instagram_connect.doctor import deploy_gate
from instagram_connect.doctor.project import Project
from instagram_connect.doctor.report import Report
from instagram_connect.errors import InstagramConnectError
from instagram_connect.runtime import aws, settings
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, sends_error_reports, stack_of

# One constant per stack: a changed id would make CloudFormation send a Delete for the former one.
PHYSICAL_RESOURCE_ID = "schema-contract"
# CloudFormation refuses a response of more than 4096 bytes.
MAX_REASON_CHARACTERS = 1000
# The answer must leave before Lambda ends the function, or CloudFormation waits for its own time-out: 35 s for a last
# examination of servers that hang, 13 s for two attempts to answer.
RESERVED_FOR_ANSWER_S = 48.0


@dataclass(frozen=True)
class Settings:
    """What the template gives this function."""

    supabase_url: str
    supabase_secret_name: str
    required_secrets: tuple[str, ...]

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises ConfigurationError."""
        return cls(
            supabase_url=settings.required(environment, "SUPABASE_URL"),
            supabase_secret_name=settings.required(environment, "SUPABASE_SECRET_NAME"),
            required_secrets=settings.required_list(environment, "REQUIRED_SECRETS"),
        )


@dataclass(frozen=True)
class Dependencies:
    """What the gate needs of the outside world."""

    last_report: Callable[[Deadline], Report]
    missing_secrets: Callable[[], list[str]]


@cache
def dependencies() -> Dependencies:
    """Built at the first event. Raises ConfigurationError."""
    config = Settings.from_env(os.environ)
    secrets = settings.load_secrets(config.supabase_secret_name)
    project = Project(config.supabase_url, secrets.required("supabase_secret_key"), secrets.optional("database_url"))
    return Dependencies(
        partial(deploy_gate.last_report, project), partial(settings.missing_secrets, config.required_secrets)
    )


def verdict(
    event: dict[str, Any],
    deps: Callable[[], Dependencies],
    is_rolling_back: Callable[[str], bool],
    deadline: Deadline,
) -> str | None:
    """None when the stack may go on; otherwise the reason why not. Raises ConfigurationError."""
    if event["RequestType"] == "Delete":  # nothing was made, so there is nothing to delete
        return None
    if is_rolling_back(str(event.get("StackId"))):
        # The former code is coming back whatever the schema or the secrets; refusing would leave the stack stuck.
        logger.warning("Not holding up a rollback")
        return None
    if missing := deps().missing_secrets():
        names = ", ".join(missing)
        logger.error("The stack's functions need secrets that do not exist", secrets=missing)
        return (
            f"SECRET_MISSING: the secret {names} does not exist in Secrets Manager, or is being deleted. Create it: aws"
            f" secretsmanager create-secret --name {missing[0]} --secret-string file://secret.json (docs/deployment.md"
            " lists its keys)"
        )
    report = deps().last_report(deadline.within(deploy_gate.LADDER_S))
    for warning in report.warnings:
        logger.warning(warning.sentence, cause=warning.cause, remedy=warning.command)
    if report.is_working:
        return None
    logger.error("The Data API does not do what the code needs", report=report.as_dict())
    return report.short(MAX_REASON_CHARACTERS)


@sends_error_reports
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point of the Lambda: a CloudFormation custom resource event in; the answer is sent to its ResponseURL."""
    reason: str | None = "The schema check ended unexpectedly; see the log of SchemaReloadFunction."
    try:
        remaining_s = context.get_remaining_time_in_millis() / 1000
        reason = verdict(event, dependencies, is_rolling_back, Deadline(remaining_s - RESERVED_FOR_ANSWER_S))
    except InstagramConnectError as error:
        logger.error("Schema check failed", extra={"code": error.code, **error.log_context})
        reason = f"{error.code}: {error.message} {error.hint}"
    except Exception as error:  # noqa: BLE001 - whatever happens, CloudFormation must get its answer
        logger.error("Schema check failed", extra={"cause": type(error).__name__, "stack": stack_of(error)})
    finally:
        answer = _answer(event, reason)
        _send(event.get("ResponseURL"), answer)
    return answer


def _answer(event: dict[str, Any], reason: str | None) -> dict[str, Any]:
    return {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": (reason or "The Data API does everything that the code needs.")[:MAX_REASON_CHARACTERS],
        "PhysicalResourceId": event.get("PhysicalResourceId") or PHYSICAL_RESOURCE_ID,
        "StackId": event.get("StackId"),
        "RequestId": event.get("RequestId"),
        "LogicalResourceId": event.get("LogicalResourceId"),
    }


def _send(response_url: str | None, answer: dict[str, Any]) -> None:
    if not response_url:  # invoked by hand: the return value is the answer
        return
    body = json.dumps(answer).encode()
    retrying = Retrying(
        retry=retry_if_exception_type((httpx.HTTPError, _RefusedAnswerError)),
        stop=stop_after_attempt(2),
        wait=wait_fixed(1),
        reraise=True,
    )
    try:
        retrying(_put, response_url, body)
    except (httpx.HTTPError, _RefusedAnswerError) as error:
        # The original's text may hold the URL.
        logger.error("CloudFormation did not take the answer", cause=type(error).__name__)


def _put(response_url: str, body: bytes) -> None:
    # The URL is signed for an empty content type.
    response = httpx.put(response_url, content=body, headers={"Content-Type": ""}, timeout=2.0)
    if not response.is_success:
        raise _RefusedAnswerError


class _RefusedAnswerError(Exception):
    """The presigned URL answered with an error."""


def is_rolling_back(stack_id: str) -> bool:
    """Whether CloudFormation is taking this stack back to what it was; False when it does not say."""
    client = aws.client("cloudformation")
    try:
        stacks = client.describe_stacks(StackName=stack_id)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        logger.warning("Could not read the stack's status", cause=type(error).__name__)
        return False
    return "ROLLBACK" in stacks[0]["StackStatus"]
