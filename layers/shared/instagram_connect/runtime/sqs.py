"""Sends messages to SQS. The queues of the packages say what their messages hold.

Imports neither pydantic nor httpx, because `webhook` starts with it. Source of the limits: Amazon SQS, "Message
quotas".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from instagram_connect.runtime import aws
from instagram_connect.runtime.batches import batches
from instagram_connect.runtime.observability import logger

# A quarter below the 256 KiB that every queue accepts: attributes count too.
MAX_MESSAGE_BYTES = 196_608
MESSAGES_PER_CALL = 10


class QueueError(Exception):
    """The queue did not accept a message; the text names the cause."""


class UnreadableMessageError(Exception):
    """The body is not a message of this version."""


@dataclass(frozen=True)
class SqsQueue:
    """One queue. Safe to share between threads and invocations. `config` replaces `aws.CLIENT_CONFIG`."""

    url: str
    config: Config | None = None

    def send(self, body: str, *, delay_s: int = 0, attributes: Mapping[str, str] | None = None) -> None:
        """Send one message. Raises QueueError."""
        typed = {name: {"DataType": "String", "StringValue": value} for name, value in (attributes or {}).items()}
        try:
            self._client.send_message(
                QueueUrl=self.url, MessageBody=body, DelaySeconds=delay_s, MessageAttributes=typed
            )
        except (BotoCoreError, ClientError) as error:
            raise QueueError(type(error).__name__) from error

    def send_all(self, bodies: Sequence[str]) -> tuple[int, ...]:
        """Send messages; return the positions of those that the queue did not accept. Never raises."""
        refused: list[int] = []
        for batch in batches(enumerate(bodies), MESSAGES_PER_CALL):
            entries = [{"Id": str(position), "MessageBody": body} for position, body in batch]
            try:
                answer = self._client.send_message_batch(QueueUrl=self.url, Entries=entries)
            except (BotoCoreError, ClientError) as error:
                logger.error("Could not send messages", cause=type(error).__name__, messages=len(batch))
                refused += [position for position, _ in batch]
            else:
                refused += [int(entry["Id"]) for entry in answer.get("Failed", ())]
        return tuple(refused)

    def postpone(self, receipt_handle: str, seconds: int) -> None:
        """Have SQS deliver a received message again after this time, not after the queue's own. Never raises."""
        try:
            self._client.change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
            )
        except (BotoCoreError, ClientError) as error:
            logger.warning("Could not postpone a message", cause=type(error).__name__)

    # Made on first use: most requests send nothing, and a client takes time to load.
    @cached_property
    def _client(self) -> Any:
        return aws.client("sqs", self.config)
