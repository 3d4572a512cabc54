"""The queue between the sweep and the workers, and what else travels in it.

Three kinds of messages: a batch of claimed accounts, ids only; a finished refresh that storage did not take, with its
tokens as ciphertexts; and, in the dead-letter queue alone, an account that fails for a reason that will not pass by
itself. A message may come twice: whoever holds no lease any more has nothing to do. Source of the limits: Amazon SQS,
"Message quotas".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from instagram_connect.refresh.models import Claim
from instagram_connect.runtime import aws
from instagram_connect.runtime.batched import batched
from instagram_connect.runtime.observability import logger

ACCOUNTS_IN_A_MESSAGE = 100
MESSAGES_AT_ONCE = 10
# Storage that has just refused a write does not take it a moment later.
FIRST_DELAY_S = 30


class RefreshQueueError(Exception):
    """The queue did not take a message."""


class UnreadableMessageError(Exception):
    """The body is no message of this version."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class ClaimedBatch(_Message):
    """Accounts that are leased to `owner`."""

    kind: Literal["batch"] = "batch"
    owner: str
    claims: tuple[Claim, ...]


class UnstoredRefresh(_Message):
    """A refresh that worked at Meta: what `RefreshRepository.finish` takes."""

    kind: Literal["unstored"] = "unstored"
    payload: dict[str, Any] = Field(repr=False)


class FailedAccount(_Message):
    """An account that cannot be refreshed although its token may be alive; `reason` is for an operator."""

    kind: Literal["failed"] = "failed"
    account_id: str
    reason: str


Message = ClaimedBatch | UnstoredRefresh | FailedAccount
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


@dataclass(frozen=True)
class RefreshQueue:
    """Sends to the queue and to its dead-letter queue. Shared between invocations."""

    queue_url: str
    dead_letter_queue_url: str = ""

    def send_claims(self, owner: str, claims: Iterable[Claim]) -> tuple[Claim, ...]:
        """Hands claimed accounts to the workers; answers those that the queue did not take."""
        batches = [ClaimedBatch(owner=owner, claims=part) for part in batched(claims, ACCOUNTS_IN_A_MESSAGE)]
        refused: list[Claim] = []
        for part in batched(batches, MESSAGES_AT_ONCE):
            entries = [{"Id": str(index), "MessageBody": batch.model_dump_json()} for index, batch in enumerate(part)]
            try:
                answer = self._sqs.send_message_batch(QueueUrl=self.queue_url, Entries=entries)
            except (BotoCoreError, ClientError) as error:
                logger.error("Could not hand accounts to the refresh workers", cause=type(error).__name__)
                failed = set(range(len(part)))
            else:
                failed = {int(entry["Id"]) for entry in answer.get("Failed", ())}
            refused += [claim for index in failed for claim in part[index].claims]
        return tuple(refused)

    def keep(self, payload: Mapping[str, Any]) -> None:
        """Keeps a refresh that storage does not take now. Raises RefreshQueueError."""
        self._send(self.queue_url, UnstoredRefresh(payload=dict(payload)), FIRST_DELAY_S)

    def bury(self, account_id: str, reason: str) -> None:
        """Puts an account into the dead-letter queue, whose alarm calls an operator. Raises RefreshQueueError."""
        self._send(self.dead_letter_queue_url, FailedAccount(account_id=account_id, reason=reason), 0)

    def _send(self, url: str, message: _Message, delay_s: int) -> None:
        try:
            self._sqs.send_message(QueueUrl=url, MessageBody=message.model_dump_json(), DelaySeconds=delay_s)
        except (BotoCoreError, ClientError) as error:
            raise RefreshQueueError(type(error).__name__) from error

    @cached_property
    def _sqs(self) -> Any:
        return aws.client("sqs")


def read_message(body: str) -> Message:
    """What a message of the queue holds. Raises UnreadableMessageError: another version may be able to read it."""
    try:
        return _MESSAGE.validate_json(body)
    except ValidationError:
        raise UnreadableMessageError from None
