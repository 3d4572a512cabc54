"""What is deployed, found by its logical id in template.yaml: CloudFormation adds a suffix to every name."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

EVERYTHING = {"source": ["instagram-connect"]}
WEBHOOK_EVENTS = {**EVERYTHING, "detail-type": [{"prefix": "instagram.webhook."}]}


def queue_url(sqs: Any, logical_id: str) -> str:
    """The URL of a queue."""
    (url,) = [url for url in sqs.list_queues()["QueueUrls"] if f"-{logical_id}-" in url]
    return str(url)


def schedule_of(scheduler: Any, function: str) -> dict[str, Any]:
    """The schedule that invokes a function, by the function's logical id."""
    names = [entry["Name"] for entry in scheduler.list_schedules()["Schedules"]]
    schedules = [scheduler.get_schedule(Name=name) for name in names]
    (schedule,) = [entry for entry in schedules if f"-{function}-" in entry["Target"]["Arn"]]
    return dict(schedule)


class Consumer:
    """Gets what is published on the event bus."""

    def __init__(self, sqs: Any, url: str) -> None:
        self.got: list[dict[str, Any]] = []
        self._sqs = sqs
        self._url = url

    def read(self) -> list[dict[str, Any]]:
        """All events that have come by now."""
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.got.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return self.got


@contextmanager
def consumer(events: Any, sqs: Any, pattern: dict[str, Any]) -> Iterator[Consumer]:
    """A rule on the deployment's event bus, with a queue behind it, for the length of a with block."""
    (bus,) = [entry["Name"] for entry in events.list_event_buses()["EventBuses"] if entry["Name"] != "default"]
    url = sqs.create_queue(QueueName="consumer")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="consumer", EventBusName=bus, EventPattern=json.dumps(pattern))
    events.put_targets(Rule="consumer", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    try:
        yield Consumer(sqs, url)
    finally:
        events.remove_targets(Rule="consumer", EventBusName=bus, Ids=["queue"])
        events.delete_rule(Name="consumer", EventBusName=bus)
        sqs.delete_queue(QueueUrl=url)


def function_logs(aws: dict[str, Any]) -> list[str]:
    logs = aws["client"]("logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    lines: list[str] = []
    for group in groups:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
            lines += [event["message"] for event in page["events"]]
    return lines


def invoke(aws: dict[str, Any], function: str, event: dict[str, Any]) -> dict[str, Any]:
    functions = aws["client"]("lambda").list_functions()["Functions"]
    (name,) = [f["FunctionName"] for f in functions if function in f["FunctionName"]]
    answer = aws["client"]("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    payload: dict[str, Any] = json.loads(answer["Payload"].read())
    return payload


def invoke_gate(aws: dict[str, Any], request_type: str) -> dict[str, Any]:
    event = {"RequestType": request_type, "RequestId": "r", "StackId": "none", "LogicalResourceId": "SchemaReload"}
    return invoke(aws, "SchemaReloadFunction", event)
