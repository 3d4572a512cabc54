"""Webhooks on the command line: who lost an event, and what an operator does about it.

`report` tells what became of what Meta delivered, and where one event is; `redrive` moves the dead-letter queue's
messages back into the queue; `replay` parses stored events again. The project is chosen as in `operations.doctor`; the
queues are those of the local stack, or, beside a SUPABASE_URL, those of the stack named by STACK_NAME in the AWS
account that boto3 finds.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from instagram_connect.doctor.project import Project
from instagram_connect.errors import StorageError
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs
from instagram_connect.webhooks.parser import parse_again
from instagram_connect.webhooks.queue import REASON
from instagram_connect.webhooks.repository import WebhookRepository
from local.demo import read_stack
from local.errors import LocalSystemError
from local.progress import say
from local.stack import DEFAULT_HOME
from operations.doctor import HEALTHY, SICK, WRONG_USAGE, project

LIMIT_S = 30
REPLAYED_AT_ONCE = 500
# What a read message is hidden from others for: longer than moving ten takes.
HIDDEN_S = 60
_COUNTS = ("received", "stored", "duplicate", "unknown", "failed")


@dataclass(frozen=True)
class Queues:
    """The queue of webhooks and its dead-letter queue, in an AWS account or in the local one."""

    sqs: Any
    url: str
    dead_letter_url: str

    @classmethod
    @contextmanager
    def of(cls, home: Path, environment: Mapping[str, str]) -> Iterator["Queues"]:
        """Raises LocalSystemError where there is no such stack."""
        if environment.get("SUPABASE_URL"):
            name = environment.get("STACK_NAME")
            if not name:
                raise LocalSystemError("STACK_NAME is missing: the name of the deployed stack.")
            session, endpoint = boto3.Session(), None
        else:
            stack = read_stack(home)
            name, endpoint = stack["stack_name"], stack["aws_endpoint_url"]
            session = boto3.Session("local", "local", region_name=stack["aws_region"])
        with closing(session.client("sqs", endpoint_url=endpoint)) as sqs:
            with closing(session.client("cloudformation", endpoint_url=endpoint)) as cloudformation:
                outputs = _outputs(cloudformation, name)
            yield cls(sqs, outputs["WebhookQueueUrl"], outputs["WebhookDeadLetterQueueUrl"])

    def waiting(self, url: str) -> int:
        """How many messages are in a queue, as SQS estimates it; also those that are being worked on."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def redrive(self) -> Iterator[str]:
        """Moves the messages that are in the dead-letter queue now back; the reason of each."""
        # No more than those: what is refused again comes back while this goes on.
        left = self.waiting(self.dead_letter_url)
        while left > 0 and (messages := self._dead_letters()):
            left -= len(messages)
            for message in messages:
                attributes = message.get("MessageAttributes", {})
                reason = attributes.pop(REASON, {}).get("StringValue", "received too often")
                # First there, then no longer here: at worst it is there twice, and recognised.
                self.sqs.send_message(
                    QueueUrl=self.url,
                    MessageBody=message["Body"],
                    MessageAttributes={
                        name: {"DataType": "String", "StringValue": value["StringValue"]}
                        for name, value in attributes.items()
                    },
                )
                self.sqs.delete_message(QueueUrl=self.dead_letter_url, ReceiptHandle=message["ReceiptHandle"])
                yield reason

    def _dead_letters(self) -> list[dict[str, Any]]:
        answer: dict[str, list[dict[str, Any]]] = self.sqs.receive_message(
            QueueUrl=self.dead_letter_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=HIDDEN_S,
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
        )
        return answer.get("Messages", [])


def _outputs(cloudformation: Any, name: str) -> dict[str, str]:
    try:
        (described,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        raise LocalSystemError(f"The stack {name} cannot be read: {type(error).__name__}.") from None
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def report(told: Mapping[str, Any], queued: int, dead: int, event_id: str | None) -> Iterator[str]:
    """The lines of the report for people."""
    yield from problems(told, queued, dead) or ["Everything that Meta delivered is stored."]
    yield f"  in the queue               {queued:,} messages"
    yield f"  in the dead-letter queue   {dead:,} messages"
    yield f"  waiting to be published    {told['waiting_to_be_published']:,} events"
    yield ""
    rows: list[tuple[str, ...]] = [("day (UTC)", "account", *_COUNTS)]
    for day in told["days"]:
        name = f"@{day['username']} {day['entry_id']}" if day["username"] else day["entry_id"] or "(none named)"
        rows.append((day["day"], name, *(f"{day[count]:,}" for count in _COUNTS)))
    totals = told["totals"]
    rows.append(("all days", "", *(f"{totals[count]:,}" for count in _COUNTS)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        texts = [f"{cell:<{width}}" for cell, width in zip(row[:2], widths[:2], strict=True)]
        numbers = [f"{cell:>{width}}" for cell, width in zip(row[2:], widths[2:], strict=True)]
        yield "  ".join([*texts, *numbers])
    if event_id is not None:
        yield ""
        yield from _found(told["found"], event_id, queued, dead)


def problems(told: Mapping[str, Any], queued: int, dead: int) -> list[str]:
    """What an operator has to look at, a sentence each."""
    unknown = told["totals"]["unknown"]
    found = []
    if dead:
        found.append(f"{dead:,} messages are in the dead-letter queue: mend their reason, then make redrive.")
    if unknown:
        found.append(f"{unknown:,} events are kept without an account: nobody has connected it.")
    if queued and not dead and not unknown:
        found.append(f"{queued:,} messages are in the queue; if that stays, make doctor tells whether storage works.")
    return found


def _found(rows: Sequence[Mapping[str, Any]], event_id: str, queued: int, dead: int) -> Iterator[str]:
    for row in rows:
        owner = f"account {row['business_account_id']}" if row["business_account_id"] else "no account"
        erased = "; its content was erased because its author took it back" if row["is_erased"] else ""
        yield f"{row['event_key']} ({row['kind']}) is stored for {owner}, received {row['received_at']}{erased}."
    if not rows:
        where = " It may be in one of the queues." if queued or dead else ""
        yield f"{event_id} is not stored.{where}"
        yield (
            "If the counts of its day and account hold nothing unknown or failed, Meta did not deliver it: look at the "
            "account's webhook subscription, and at WebhooksRefused."
        )


def replay(repository: WebhookRepository, wanted: Mapping[str, Any]) -> tuple[int, int]:
    """Parses stored events again, a page at a time; how many those were, and how many new ones came of them."""
    until = repository.report(0, Deadline(LIMIT_S))["newest_id"]
    parsed = new = last = 0
    while last < until:
        page, last = repository.kept(
            after_id=last, until_id=until, limit=REPLAYED_AT_ONCE, deadline=Deadline(LIMIT_S), **wanted
        )
        if page:
            events = [(event, kept.received_at) for kept in page for event in parse_again(kept.payload)]
            done = repository.replay([kept.id for kept in page], events, Deadline(LIMIT_S))
            parsed, new = parsed + len(page), new + len(done.outgoing)
    return parsed, new


@contextmanager
def repository_of(wanted: Project) -> Iterator[WebhookRepository]:
    """Storage of a project. Raises LocalSystemError for an address that is none."""
    try:
        data_api = DataApi(wanted.supabase_url, wanted.secret_key)
    except ValueError as error:
        raise LocalSystemError(f"SUPABASE_URL is not an address: {error}.") from None
    level = logger.log_level
    logger.setLevel(logging.CRITICAL)  # an error's reason and remedy are printed
    try:
        with closing(data_api):
            yield WebhookRepository(Rpcs(data_api, wanted.database_url), lambda: datetime.now(UTC))
    finally:
        logger.setLevel(level)


def _report(arguments: argparse.Namespace) -> int:
    with repository_of(project(arguments.home, os.environ)) as repository:
        told = repository.report(arguments.days, Deadline(LIMIT_S), entry_id=arguments.account, event_id=arguments.id)
    with Queues.of(arguments.home, os.environ) as queues:
        queued, dead = queues.waiting(queues.url), queues.waiting(queues.dead_letter_url)
    if arguments.json:
        say(json.dumps({**told, "in_queue": queued, "in_dead_letter_queue": dead}, indent=2))
    else:
        for line in report(told, queued, dead, arguments.id):
            say(line)
    return SICK if dead else HEALTHY


def _redrive(arguments: argparse.Namespace) -> int:
    reasons: dict[str, int] = {}
    with Queues.of(arguments.home, os.environ) as queues:
        for reason in queues.redrive():
            reasons[reason] = reasons.get(reason, 0) + 1
    for reason, count in sorted(reasons.items()):
        say(f"{count:>7,}  {reason}")
    say(f"Moved back: {sum(reasons.values()):,}.")
    return HEALTHY


def _replay(arguments: argparse.Namespace) -> int:
    wanted = {"kind": arguments.kind, "entry_id": arguments.account, "since": arguments.since}
    with repository_of(project(arguments.home, os.environ)) as repository:
        parsed, new = replay(repository, wanted)
    say(f"Parsed again: {parsed:,}. New events among them, published within minutes: {new:,}.")
    return HEALTHY


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; 0 when all is well, 1 for dead letters or storage that does not answer, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m operations.webhooks", description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME, help="of the local system (default: .local)")
    verbs = parser.add_subparsers(required=True, metavar="verb")
    told = verbs.add_parser("report", help="what became of what Meta delivered")
    told.add_argument("--days", type=int, default=7)
    told.add_argument("--account", help="Meta's id of an account, as webhooks name it")
    told.add_argument("--id", help="a message, comment, mention or event key to look for")
    told.add_argument("--json", action="store_true")
    told.set_defaults(act=_report)
    verbs.add_parser("redrive", help="move dead letters back into the queue").set_defaults(act=_redrive)
    again = verbs.add_parser("replay", help="parse stored events again")
    again.add_argument("--kind", help="for example unparsed or other")
    again.add_argument("--account", help="Meta's id of an account")
    again.add_argument("--since", type=_moment, help="received since then, ISO 8601")
    again.set_defaults(act=_replay)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.act(arguments))
    except LocalSystemError as error:
        print(error, file=sys.stderr)
        return WRONG_USAGE
    except StorageError as error:
        print(f"{error.reason}: {error.log_context.get('remedy', error.hint)}", file=sys.stderr)
        return SICK


if __name__ == "__main__":
    sys.exit(main())
