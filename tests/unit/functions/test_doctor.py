"""The doctor function: returns a report when invoked, and publishes a text when an alarm fires."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.doctor import app
from functions.doctor.app import Dependencies, handle
from instagram_connect.doctor.report import Caution, Report
from instagram_connect.errors import Actor

STALE = Report(
    "RELOAD_NOT_HEARD",
    "The Data API ignores reloads.",
    Actor.OPERATOR,
    "select pg_notification_queue_usage();",
    ("listening on pgrst: PostgREST 14.5",),
    warnings=(Caution("DDL_TRIGGERS_MISSING", "The event trigger pgrst_ddl_watch is missing."),),
)


class Topic:
    """Keeps what was published."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str]] = []

    def publish(self, subject: str, text: str) -> None:
        self.published.append((subject, text))


@pytest.fixture
def topic() -> Topic:
    return Topic()


def test_invocation_returns_the_report_without_publishing(
    topic: Topic, load_event: Callable[[str], dict[str, Any]]
) -> None:
    answer = handle(load_event("doctor_invoked"), Dependencies(lambda: STALE, topic.publish))

    told = json.loads(json.dumps(answer))
    assert (told["cause"], told["actor"]) == ("RELOAD_NOT_HEARD", "operator")
    assert told["command"] == "select pg_notification_queue_usage();"
    assert told["warnings"][0]["cause"] == "DDL_TRIGGERS_MISSING"
    assert topic.published == []


def test_alarm_publishes_the_verdict_and_command(topic: Topic, load_event: Callable[[str], dict[str, Any]]) -> None:
    handle(load_event("doctor_alarm"), Dependencies(lambda: STALE, topic.publish))

    ((subject, text),) = topic.published
    assert subject == "RELOAD_NOT_HEARD: instagram-connect-ConnectionsParkedAlarm"
    assert "The Data API ignores reloads. Run: select pg_notification_queue_usage();" in text


def test_alarm_after_recovery_points_to_the_reason(topic: Topic, load_event: Callable[[str], dict[str, Any]]) -> None:
    healthy = Report("HEALTHY", "The Data API does everything that the code needs.", Actor.NOBODY)

    handle(load_event("doctor_alarm"), Dependencies(lambda: healthy, topic.publish))

    ((_, text),) = topic.published
    assert "It works now. What was wrong is in the log lines 'Parked a connection'" in text


def test_alarm_without_a_topic_returns_the_report(load_event: Callable[[str], dict[str, Any]]) -> None:
    assert handle(load_event("doctor_alarm"), Dependencies(lambda: STALE))["cause"] == "RELOAD_NOT_HEARD"


def test_any_event_is_accepted(topic: Topic) -> None:
    assert handle({"detail": [1, 2]}, Dependencies(lambda: STALE, topic.publish))["cause"] == "RELOAD_NOT_HEARD"


def test_published_text_fits_sns_limits() -> None:
    """SNS itself refuses a subject that is too long, holds a line end or is not ASCII."""
    with mock_aws():
        sns, sqs = boto3.client("sns"), boto3.client("sqs")
        topic_arn = sns.create_topic(Name="alerts")["TopicArn"]
        queue_url = sqs.create_queue(QueueName="q")["QueueUrl"]
        queue_arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn)

        app._publish(topic_arn, "RELOAD_NOT_HEARD: größer " + "x" * 200, "text")

        (message,) = sqs.receive_message(QueueUrl=queue_url)["Messages"]
    body = json.loads(message["Body"])
    assert body["Message"] == "text"
    assert len(body["Subject"]) == 100
