"""The doctor in the cloud: examines the Data API and tells the one cause, who must act and with which command.

An operator invokes it by hand with any event, and gets the report. A CloudWatch alarm invokes it as an alarm action;
then the verdict also goes to the alert topic, so that whoever is woken knows what to do. Source of the event:
CloudWatch, "Invoke a Lambda function from an alarm".
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from instagram_connect.doctor import examination
from instagram_connect.doctor.project import Project
from instagram_connect.doctor.report import Report
from instagram_connect.runtime import aws, settings
from instagram_connect.runtime.observability import logger, sends_error_reports

# SNS takes a subject of a hundred characters; a text has to fit a screen, not SNS's 256 KB.
MAX_SUBJECT_CHARACTERS = 100
MAX_TEXT_CHARACTERS = 2000


@dataclass(frozen=True)
class Settings:
    """What the template gives this function."""

    supabase_url: str
    alert_topic_arn: str
    supabase_secret_name: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises ConfigurationError."""
        return cls(
            supabase_url=settings.required(environment, "SUPABASE_URL"),
            alert_topic_arn=settings.required(environment, "ALERT_TOPIC_ARN"),
            supabase_secret_name=settings.required(environment, "SUPABASE_SECRET_NAME"),
        )


@dataclass(frozen=True)
class Dependencies:
    """What the doctor needs of the outside world. `alert` takes a subject and a text; None without a topic."""

    examine: Callable[[], Report]
    alert: Callable[[str, str], None] | None = None


@cache
def dependencies() -> Dependencies:
    """Built at the first event. Raises ConfigurationError."""
    config = Settings.from_env(os.environ)
    secrets = settings.load_secrets(config.supabase_secret_name)
    project = Project(config.supabase_url, secrets.required("supabase_secret_key"), secrets.optional("database_url"))
    return Dependencies(examine=partial(examination.examine, project), alert=partial(_publish, config.alert_topic_arn))


def handle(event: dict[str, Any], deps: Dependencies) -> dict[str, Any]:
    """The report; published too when it was an alarm that asked."""
    report = deps.examine()
    write = logger.info if report.is_working else logger.error
    write("Examined the Data API", cause=report.cause, report=report.as_dict())
    alarm = event.get("alarmData") if isinstance(event, dict) else None
    if alarm and deps.alert:
        name = str(alarm.get("alarmName", "alarm")) if isinstance(alarm, dict) else "alarm"
        text = report.short(MAX_TEXT_CHARACTERS)
        if report.is_working:
            text += "\nIt works now. What was wrong is in the log lines 'Parked a connection' of exchange_token."
        deps.alert(f"{report.cause}: {name}", f"{text}\n\nAlarm: {name}")
    return report.as_dict()


@sends_error_reports
def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Entry point of the Lambda: any event in, the report out."""
    return handle(event, dependencies())


def _publish(topic_arn: str, subject: str, text: str) -> None:
    # SNS refuses a subject with anything but printable ASCII.
    printable = subject.encode("ascii", "replace").decode()[:MAX_SUBJECT_CHARACTERS]
    sns = aws.client("sns")
    sns.publish(TopicArn=topic_arn, Subject=printable, Message=text)
