"""SQS as far as the webhooks' queue uses it, with its limits."""

import re
from typing import Any

from botocore.exceptions import ClientError

from instagram_connect.runtime.deadline import Deadline
from instagram_connect.webhooks.queue import WebhookQueue

# What a message could always have, attributes included; the characters of "SendMessage".
MOST_BYTES = 256 * 1024
REFUSED_CHARACTERS = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Sent = tuple[str, dict[str, str]]


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "SendMessage")


class FakeSqs:
    """Takes what SQS takes. Fails with `error` from the message with the number `fails_at` on."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.error: Exception | None = None
        self.fails_at = 0
        self.now_s = 0.0

    def send_message(self, **call: Any) -> None:
        self.now_s += 1
        if self.error and len(self.sent) >= self.fails_at:
            raise self.error
        text: str = call["MessageBody"]
        attributes = {name: value["StringValue"] for name, value in call["MessageAttributes"].items()}
        size = len(text.encode()) + sum(len(name + value) + len("String") for name, value in attributes.items())
        if not text or REFUSED_CHARACTERS.search(text) or size > MOST_BYTES:
            raise refusal("InvalidMessageContents")
        self.sent.append((text, attributes))

    def queue(self) -> WebhookQueue:
        queue = WebhookQueue("https://sqs.us-east-1.amazonaws.com/123456789012/webhooks")
        queue._queue.__dict__["_client"] = self
        return queue

    def deadline(self, seconds: float) -> Deadline:
        """A deadline in whose time each message takes a second."""
        return Deadline(seconds, monotonic=lambda: self.now_s)
