"""The queue between the sweep and the workers.

It carries two kinds of messages: a batch of claimed accounts, by id only, and a finished refresh that could not be
stored, with encrypted tokens. The dead-letter queue also holds accounts that fail for a reason that will not go away by
itself. A message can be delivered twice; the second time the leases are gone and nothing happens. Source of the limits:
Amazon SQS, "Message quotas".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from instagram_connect.refresh.models import Claim
from instagram_connect.runtime.batches import batches
from instagram_connect.runtime.sqs import SqsQueue, UnreadableMessageError

ACCOUNTS_PER_MESSAGE = 100
# Give storage time to recover before the first retry.
STORE_RETRY_DELAY_S = 30


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class ClaimedBatch(_Message):
    """Accounts leased to `owner`."""

    kind: Literal["batch"] = "batch"
    owner: str
    claims: tuple[Claim, ...]


class UnstoredRefresh(_Message):
    """A refresh that succeeded at Meta: the payload for `RefreshRepository.finish`."""

    kind: Literal["unstored"] = "unstored"
    payload: dict[str, Any] = Field(repr=False)


class FailedAccount(_Message):
    """An account that cannot be refreshed although its token may work. `reason` is for the operator."""

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
        """Hand claimed accounts to the workers; return those that the queue did not accept."""
        messages = [ClaimedBatch(owner=owner, claims=tuple(part)) for part in batches(claims, ACCOUNTS_PER_MESSAGE)]
        refused = self._queue.send_all([message.model_dump_json() for message in messages])
        return tuple(claim for position in refused for claim in messages[position].claims)

    def keep(self, payload: Mapping[str, Any]) -> None:
        """Queue a refresh that could not be stored. Raises QueueError."""
        self._queue.send(UnstoredRefresh(payload=dict(payload)).model_dump_json(), delay_s=STORE_RETRY_DELAY_S)

    def send_to_dead_letters(self, account_id: str, reason: str) -> None:
        """Send an account to the dead-letter queue, whose alarm alerts an operator. Raises QueueError."""
        self._dead_letters.send(FailedAccount(account_id=account_id, reason=reason).model_dump_json())

    @cached_property
    def _queue(self) -> SqsQueue:
        return SqsQueue(self.queue_url)

    @cached_property
    def _dead_letters(self) -> SqsQueue:
        return SqsQueue(self.dead_letter_queue_url)


def read_message(body: str) -> Message:
    """Parse a message. Raises UnreadableMessageError for messages of another version."""
    try:
        return _MESSAGE.validate_json(body)
    except ValidationError:
        raise UnreadableMessageError from None
