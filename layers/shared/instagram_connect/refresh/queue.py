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

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from instagram_connect.refresh.models import Claim
from instagram_connect.runtime.batches import batches
from instagram_connect.runtime.sqs import SqsQueue, UnreadableMessageError

ACCOUNTS_PER_MESSAGE = 100
# Storage that has just refused a write does not take it a moment later.
STORE_RETRY_DELAY_S = 30


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
        """Hand claimed accounts to the workers; return those that the queue did not accept."""
        messages = [ClaimedBatch(owner=owner, claims=tuple(part)) for part in batches(claims, ACCOUNTS_PER_MESSAGE)]
        refused = self._queue.send_all([message.model_dump_json() for message in messages])
        return tuple(claim for position in refused for claim in messages[position].claims)

    def keep(self, payload: Mapping[str, Any]) -> None:
        """Keep a refresh that storage does not accept now. Raises QueueError."""
        self._queue.send(UnstoredRefresh(payload=dict(payload)).model_dump_json(), delay_s=STORE_RETRY_DELAY_S)

    def send_to_dead_letters(self, account_id: str, reason: str) -> None:
        """Put an account into the dead-letter queue, whose alarm calls an operator. Raises QueueError."""
        self._dead_letters.send(FailedAccount(account_id=account_id, reason=reason).model_dump_json())

    @cached_property
    def _queue(self) -> SqsQueue:
        return SqsQueue(self.queue_url)

    @cached_property
    def _dead_letters(self) -> SqsQueue:
        return SqsQueue(self.dead_letter_queue_url)


def read_message(body: str) -> Message:
    """What a message of the queue holds. Raises UnreadableMessageError: another version may be able to read it."""
    try:
        return _MESSAGE.validate_json(body)
    except ValidationError:
        raise UnreadableMessageError from None
