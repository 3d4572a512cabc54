"""The queue between Meta's webhooks and their worker.

Each message is a webhook body as Meta sent it, or a part of one that is a whole body itself: so the worker knows one
kind, and what is moved back out of the dead-letter queue is read like everything else. A body that SQS does not take
as text travels as base64, which an attribute says. Sources of the limits: Amazon SQS, "Message quotas" and
"SendMessage" (characters).
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from ..deadline import Deadline
from ..settings import AWS_CLIENT_CONFIG

# A quarter below the 256 KiB that a message could always have, for its attributes.
MAX_MESSAGE_BYTES = 196_608
BASE64 = "base64"
ENCODING, REASON, PART = "encoding", "reason", "part"
# Where Meta puts the events of an entry.
EVENT_LISTS = ("messaging", "standby", "changes")
_NOT_FOR_SQS = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class WebhookQueueError(Exception):
    """The queue did not take a message."""


@dataclass(frozen=True)
class WebhookQueue:
    """Sends to the queue, or to its dead-letter queue. Shared between invocations."""

    url: str

    def keep(self, body: bytes, deadline: Deadline) -> int:
        """Keeps a webhook's body, in as many messages as it takes; how many those were.

        Raises WebhookQueueError, after which some parts may be kept: sent once more they are recognised.
        """
        messages = 0
        for part, attributes in _parts(body):
            if deadline.remaining_s() == 0:
                raise WebhookQueueError("DeadlineExceeded")
            self._send(part, attributes)
            messages += 1
        return messages

    def bury(self, body: str, reason: str) -> None:
        """Puts an event that cannot be stored into this queue, with the reason. Raises WebhookQueueError."""
        for part, attributes in _parts(body.encode()):
            self._send(part, {**attributes, REASON: reason})

    def connect(self) -> None:
        """Makes the client now instead of at the first message."""
        _ = self._sqs

    def _send(self, body: str, attributes: Mapping[str, str]) -> None:
        typed = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        try:
            self._sqs.send_message(QueueUrl=self.url, MessageBody=body, MessageAttributes=typed)
        except (BotoCoreError, ClientError) as error:
            raise WebhookQueueError(type(error).__name__) from error

    @cached_property
    def _sqs(self) -> Any:
        return boto3.client("sqs", config=AWS_CLIENT_CONFIG)


def body_of(message: str, encoding: str | None) -> bytes:
    """The body that a message holds. Raises ValueError for base64 that is none."""
    return base64.b64decode(message, validate=True) if encoding == BASE64 else message.encode()


def _parts(body: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    """The messages for a body, each with its attributes; none for nothing."""
    if not body:
        return
    if len(body) <= MAX_MESSAGE_BYTES and (text := _as_text(body)):
        yield text, {}
        return
    try:
        entries = list(_split(json.loads(body)))
    except (ValueError, RecursionError, _UnknownShapeError):
        entries = []
    if entries and all(len(entry) <= MAX_MESSAGE_BYTES for entry in entries):
        yield from ((text, {}) for text in entries)
        return
    # Not to be divided where its events are: kept in pieces, for people. Three bytes are four characters.
    size = MAX_MESSAGE_BYTES // 4 * 3
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    for number, piece in enumerate(pieces, 1):
        yield (
            base64.b64encode(piece).decode(),
            {ENCODING: BASE64} | ({PART: f"{number}/{len(pieces)}"} if len(pieces) > 1 else {}),
        )


def _as_text(body: bytes) -> str | None:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if _NOT_FOR_SQS.search(text) else text


class _UnknownShapeError(Exception):
    """The body holds something that would be lost by dividing it."""


def _split(body: Any) -> Iterator[str]:
    """Bodies with as many events each as fit into a message. Raises _UnknownShapeError."""
    if isinstance(body, list):
        for one in body:
            yield from _split(one)
        return
    if not isinstance(body, dict) or not isinstance(body.get("entry"), list):
        raise _UnknownShapeError
    around = {name: value for name, value in body.items() if name != "entry"}
    room = MAX_MESSAGE_BYTES - len(json.dumps({**around, "entry": []}))
    together: list[str] = []
    size = 0
    for entry in body["entry"]:
        for text in _split_entry(entry, room):
            if together and size + len(text) > room:
                yield _joined(around, together)
                together, size = [], 0
            together.append(text)
            size += len(text) + 2
    yield _joined(around, together)


def _split_entry(entry: Any, room: int) -> Iterator[str]:
    whole = json.dumps(entry)
    if len(whole) <= room:
        yield whole
        return
    if not isinstance(entry, dict):
        raise _UnknownShapeError
    lists = [name for name in EVENT_LISTS if isinstance(entry.get(name), list)]
    around = {name: value for name, value in entry.items() if name not in lists}
    for name in lists:
        for events in _groups(
            [json.dumps(event) for event in entry[name]], room - len(json.dumps(around)) - len(name) - 16
        ):
            yield f'{json.dumps(around)[:-1]}{", " if around else ""}"{name}": [{", ".join(events)}]}}'


def _groups(texts: Sequence[str], room: int) -> Iterator[Sequence[str]]:
    group: list[str] = []
    size = 0
    for text in texts:
        if group and size + len(text) + 2 > room:
            yield group
            group, size = [], 0
        group.append(text)
        size += len(text) + 2
    if group:
        yield group


def _joined(around: Mapping[str, Any], entries: Sequence[str]) -> str:
    text = json.dumps(around)[:-1]
    return f'{text}{", " if around else ""}"entry": [{", ".join(entries)}]}}'
