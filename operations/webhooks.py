"""Find out what happened to webhook events, and process them again.

`report` shows what became of the events that Meta delivered and looks up single ones; `redrive` moves messages from the
dead-letter queue back into the queue; `replay` parses stored events again. The queues are those of the local system or,
if SUPABASE_URL is set, of the stack named by STACK_NAME in the AWS account that boto3 finds.
"""

import argparse
import json
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

from instagram_connect.runtime.deadline import Deadline
from instagram_connect.webhooks.parser import parse_again
from instagram_connect.webhooks.queue import REASON
from instagram_connect.webhooks.repository import WebhookRepository
from operations.project import (
    HEALTHY,
    SICK,
    UsageError,
    add_home,
    exit_code,
    read_project,
    read_stack,
    storage_of,
)

LIMIT_S = 30
REPLAYED_AT_ONCE = 500
# Visibility timeout of the messages being moved: longer than moving ten takes.
HIDDEN_S = 60
_COUNTS = ("received", "stored", "duplicate", "unknown", "failed")


@dataclass(frozen=True)
class Queues:
    """The webhook queue and its dead-letter queue, in an AWS account or in the local AWS."""

    sqs: Any
    url: str
    dead_letter_url: str

    @classmethod
    @contextmanager
    def of(cls, home: Path, environment: Mapping[str, str]) -> Iterator["Queues"]:
        """Find the queues. Raises UsageError if the stack does not exist."""
        if environment.get("SUPABASE_URL"):
            name = environment.get("STACK_NAME")
            if not name:
                raise UsageError("STACK_NAME is not set: it must be the name of the deployed stack.")
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
        """Return SQS's estimate of the messages in a queue, including those being processed."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def redrive(self) -> Iterator[str]:
        """Move the messages now in the dead-letter queue back, and yield the reason of each."""
        # No more than that many: a message that fails again returns to the dead-letter queue meanwhile.
        left = self.waiting(self.dead_letter_url)
        while left > 0 and (messages := self._dead_letters()):
            left -= len(messages)
            for message in messages:
                attributes = message.get("MessageAttributes", {})
                reason = attributes.pop(REASON, {}).get("StringValue", "received too often")
                # Send before deleting: at worst the message exists twice, and its events are recognised as duplicates.
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
        response: dict[str, list[dict[str, Any]]] = self.sqs.receive_message(
            QueueUrl=self.dead_letter_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=HIDDEN_S,
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
        )
        return response.get("Messages", [])


def _outputs(cloudformation: Any, name: str) -> dict[str, str]:
    try:
        (described,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        raise UsageError(f"The stack {name} cannot be read: {type(error).__name__}.") from None
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def report(counts: Mapping[str, Any], queued: int, dead: int, event_id: str | None) -> Iterator[str]:
    """Yield the lines of the text report."""
    yield from problems(counts, queued, dead) or ["Everything that Meta delivered is stored."]
    yield f"  in the queue               {queued:,} messages"
    yield f"  in the dead-letter queue   {dead:,} messages"
    yield f"  waiting to be published    {counts['waiting_to_be_published']:,} events"
    yield ""
    rows: list[tuple[str, ...]] = [("day (UTC)", "account", *_COUNTS)]
    for day in counts["days"]:
        name = f"@{day['username']} {day['entry_id']}" if day["username"] else day["entry_id"] or "(none named)"
        rows.append((day["day"], name, *(f"{day[count]:,}" for count in _COUNTS)))
    totals = counts["totals"]
    rows.append(("all days", "", *(f"{totals[count]:,}" for count in _COUNTS)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        texts = [f"{cell:<{width}}" for cell, width in zip(row[:2], widths[:2], strict=True)]
        numbers = [f"{cell:>{width}}" for cell, width in zip(row[2:], widths[2:], strict=True)]
        yield "  ".join([*texts, *numbers])
    if event_id is not None:
        yield ""
        yield from _found(counts["found"], event_id, queued, dead)


def problems(counts: Mapping[str, Any], queued: int, dead: int) -> list[str]:
    """Return one sentence for each problem."""
    unknown = counts["totals"]["unknown"]
    found = []
    if dead:
        found.append(f"Messages in the dead-letter queue: {dead:,}. Fix the reason, then run `make redrive`.")
    if unknown:
        found.append(f"Events kept for accounts that nobody has connected: {unknown:,}.")
    if queued and not dead and not unknown:
        found.append(f"Messages in the queue: {queued:,}. If that does not change, run `make doctor`.")
    return found


def _found(rows: Sequence[Mapping[str, Any]], event_id: str, queued: int, dead: int) -> Iterator[str]:
    for row in rows:
        owner = f"account {row['business_account_id']}" if row["business_account_id"] else "no account"
        erased = "; its content was erased because its author deleted the message" if row["is_erased"] else ""
        yield f"{row['event_key']} ({row['kind']}) is stored for {owner}, received {row['received_at']}{erased}."
    if not rows:
        where = " It may be in one of the queues." if queued or dead else ""
        yield f"{event_id} is not stored.{where}"
        yield (
            "If its day and account have no unknown or failed events, Meta did not deliver it: check the account's "
            "webhook subscription and the metric WebhooksRefused."
        )


def replay(repository: WebhookRepository, wanted: Mapping[str, Any]) -> tuple[int, int]:
    """Parse stored events again, page by page; return the number of parsed events and of new events among them."""
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
def _repository(arguments: argparse.Namespace) -> Iterator[WebhookRepository]:
    with storage_of(read_project(arguments.home, os.environ)) as rpcs:
        yield WebhookRepository(rpcs, lambda: datetime.now(UTC))


def _report(arguments: argparse.Namespace) -> int:
    with _repository(arguments) as repository:
        counts = repository.report(arguments.days, Deadline(LIMIT_S), entry_id=arguments.account, event_id=arguments.id)
    with Queues.of(arguments.home, os.environ) as queues:
        queued, dead = queues.waiting(queues.url), queues.waiting(queues.dead_letter_url)
    if arguments.json:
        print(json.dumps({**counts, "in_queue": queued, "in_dead_letter_queue": dead}, indent=2))
    else:
        for line in report(counts, queued, dead, arguments.id):
            print(line)
    return SICK if dead else HEALTHY


def _redrive(arguments: argparse.Namespace) -> int:
    reasons: dict[str, int] = {}
    with Queues.of(arguments.home, os.environ) as queues:
        for reason in queues.redrive():
            reasons[reason] = reasons.get(reason, 0) + 1
    for reason, count in sorted(reasons.items()):
        print(f"{count:>7,}  {reason}")
    print(f"Moved back: {sum(reasons.values()):,}.")
    return HEALTHY


def _replay(arguments: argparse.Namespace) -> int:
    wanted = {"kind": arguments.kind, "entry_id": arguments.account, "since": arguments.since}
    with _repository(arguments) as repository:
        parsed, new = replay(repository, wanted)
    print(f"Parsed again: {parsed:,}. New events among them, published within minutes: {new:,}.")
    return HEALTHY


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 if all is well, 1 if there are dead letters or storage failed, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m operations.webhooks", description=__doc__.splitlines()[0])
    add_home(parser)
    verbs = parser.add_subparsers(required=True, metavar="verb")
    shown = verbs.add_parser("report", help="show what became of the events that Meta delivered")
    shown.add_argument("--days", type=int, default=7, help="how many days to show (default: 7)")
    shown.add_argument("--account", help="the account's Meta id, as in webhooks")
    shown.add_argument("--id", help="id of a message, comment or mention, or an event key, to look up")
    shown.add_argument("--json", action="store_true", help="print the report as JSON and nothing else")
    shown.set_defaults(act=_report)
    verbs.add_parser("redrive", help="move dead letters back into the queue").set_defaults(act=_redrive)
    again = verbs.add_parser("replay", help="parse stored events again")
    again.add_argument("--kind", help="only events of this kind, for example unparsed or other")
    again.add_argument("--account", help="only this account's events; its Meta id")
    again.add_argument("--since", type=_moment, help="only events received since this time, ISO 8601")
    again.set_defaults(act=_replay)
    arguments = parser.parse_args(argv)
    return exit_code(lambda: int(arguments.act(arguments)))


if __name__ == "__main__":
    sys.exit(main())
