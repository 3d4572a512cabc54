"""The queue between Meta's webhooks and their worker.

Each message is a complete webhook body: as Meta sent it, or a part of a large one. So the worker handles one format,
also for messages moved back out of the dead-letter queue. A body that is not valid SQS text is sent as base64, marked
by an attribute. Sources of the limits: Amazon SQS, "Message quotas" and "SendMessage" (characters).
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.config import Config

from instagram_connect.runtime import aws
from instagram_connect.runtime.batches import batches
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.sqs import MAX_MESSAGE_BYTES, QueueError, SqsQueue
from instagram_connect.webhooks import entries

# Base64 encodes three bytes as four characters.
MAX_BINARY_BYTES = MAX_MESSAGE_BYTES // 4 * 3
# No retries: Meta is waiting, and redelivers a failed webhook sooner than a second attempt would finish.
CLIENT_CONFIG = aws.CLIENT_CONFIG.merge(Config(retries={"total_max_attempts": 1}))
BASE64 = "base64"
ENCODING, REASON, PART = "encoding", "reason", "part"
# Lists the characters that SQS rejects: a pattern of the allowed ones takes 10 ms to compile at every cold start.
_NOT_FOR_SQS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class WebhookQueue:
    """The queue or its dead-letter queue. Shared between invocations."""

    url: str

    def keep(self, body: bytes, deadline: Deadline) -> int:
        """Queue a webhook's body, split if necessary; return the number of messages.

        Raises QueueError. Some parts may be queued by then; if the body is sent again they are recognised.
        """
        messages = 0
        for part, attributes in _parts(body):
            if deadline.remaining_s() == 0:
                raise QueueError("DeadlineExceeded")
            self._queue.send(part, attributes=attributes)
            messages += 1
        return messages

    def send_to_dead_letters(self, body: bytes, reason: str) -> None:
        """Send an event that cannot be stored to this queue, with the reason. Raises QueueError."""
        for part, attributes in _parts(body):
            self._queue.send(part, attributes={**attributes, REASON: reason})

    @cached_property
    def _queue(self) -> SqsQueue:
        return SqsQueue(self.url, CLIENT_CONFIG)


def body_of(message: str, encoding: str | None) -> bytes:
    """Decode a message's body. Raises ValueError for invalid base64."""
    return base64.b64decode(message, validate=True) if encoding == BASE64 else message.encode()


def _parts(body: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the messages for a body with their attributes. An empty body has none."""
    if not body:
        return
    if len(body) <= MAX_MESSAGE_BYTES and (text := _as_text(body)):
        yield text, {}
    elif len(body) <= MAX_BINARY_BYTES:
        yield base64.b64encode(body).decode(), {ENCODING: BASE64}
    else:
        for part in _divided(body):
            if len(part) <= MAX_MESSAGE_BYTES and (text := _as_text(part)):
                yield text, {}
            else:
                yield from _pieces(part)


def _pieces(body: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    """Split a body that cannot be split between events into numbered pieces, for people to read."""
    starts = range(0, len(body), MAX_BINARY_BYTES)
    for number, start in enumerate(starts, 1):
        piece = body[start : start + MAX_BINARY_BYTES]
        yield base64.b64encode(piece).decode(), {ENCODING: BASE64, PART: f"{number}/{len(starts)}"}


def _as_text(body: bytes) -> str | None:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if _NOT_FOR_SQS.search(text) else text


def _divided(body: bytes) -> Iterator[bytes]:
    """Split a body into complete bodies, each as large as fits into one message."""
    try:
        value = json.loads(body)
        yield from [text.encode() for text in _split(value)]
    except (ValueError, RecursionError):
        yield body


def _split(body: Any) -> Iterator[str]:
    if isinstance(body, list) and body:
        texts = [text for one in body for text in _split(one)]
        yield from (f"[{', '.join(group)}]" for group in _groups(texts, MAX_MESSAGE_BYTES - len("[]")))
        return
    if not (isinstance(body, dict) and isinstance(body.get("entry"), list) and body["entry"]):
        yield json.dumps(body)
        return
    around = {name: value for name, value in body.items() if name != "entry"}
    room = MAX_MESSAGE_BYTES - len(json.dumps(around)) - len(', "entry": []')
    texts = [text for entry in body["entry"] for text in _split_entry(entry, room)]
    for group in _groups(texts, room):
        yield _with(around, "entry", group)


def _split_entry(entry: Any, room: int) -> Iterator[str]:
    whole = json.dumps(entry)
    if len(whole) <= room or not (isinstance(entry, dict) and any(entries.lists(entry))):
        yield whole
        return
    common = entries.common(entry)
    for name, listed in entries.lists(entry):
        left = room - len(json.dumps(common)) - len(name) - len(', "": []')
        for group in _groups([json.dumps(event) for event in listed], left):
            yield _with(common, name, group)
    for rest in (entries.single_event(entry), entries.malformed(entry)):
        if rest:
            yield json.dumps(rest)


def _groups(texts: Iterable[str], room: int) -> Iterator[list[str]]:
    """Group JSON texts by the room there is, counting the comma and space between them."""
    return batches(texts, size=room, size_of=lambda text: len(text) + len(", "))


def _with(around: Mapping[str, Any], name: str, texts: Sequence[str]) -> str:
    """Return the JSON of an object with a list of JSON texts added."""
    text = json.dumps(around)[:-1]
    return f'{text}{", " if around else ""}"{name}": [{", ".join(texts)}]}}'
