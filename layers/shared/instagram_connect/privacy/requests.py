"""What a person asked of Meta, until it is done: kept in a queue, and worked on as often as it takes.

A message holds Meta's id of a person and nothing else of theirs. It may come twice and late: what was asked counts from
when it was asked.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError, model_validator

from instagram_connect.errors import InstagramConnectError, InternalError
from instagram_connect.privacy.repository import PrivacyRepository
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, stack_of
from instagram_connect.runtime.sqs import SqsQueue

# Another step is only begun while there is time for it.
MIN_STEP_S = 3.0


class UnfinishedError(Exception):
    """There is more to delete than the time allows: the message has to come again."""


class PrivacyRequest(BaseModel):
    """One person's request. A deletion has a confirmation code."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    kind: Literal["deauthorize", "delete"]
    meta_user_id: str
    asked_at: AwareDatetime
    confirmation_code: str | None = None

    @model_validator(mode="after")
    def _has_its_code(self) -> "PrivacyRequest":
        if (self.kind == "delete") != (self.confirmation_code is not None):
            raise ValueError("a deletion has a confirmation code, and nothing else has")
        return self


@dataclass(frozen=True)
class PrivacyQueue:
    """Keeps requests. Shared between invocations."""

    url: str

    def keep(self, request: PrivacyRequest) -> None:
        """Keep a request. Raises QueueError."""
        self._queue.send(request.model_dump_json())

    @cached_property
    def _queue(self) -> SqsQueue:
        return SqsQueue(self.url)


def read_message(body: str) -> PrivacyRequest:
    """What a message of the queue asks for. Raises InternalError: another version may be able to read it."""
    try:
        return PrivacyRequest.model_validate_json(body)
    except ValidationError:
        raise InternalError(log_context={"cause": "unreadable message"}) from None


def carry_out(request: PrivacyRequest, repository: PrivacyRepository, deadline: Deadline) -> None:
    """Does what a person asked for. Raises StorageError, and UnfinishedError: then it has to be done again."""
    if request.confirmation_code is None:
        accounts = repository.revoke(request.meta_user_id, request.asked_at, deadline)
        logger.info("A person removed the app", accounts=accounts)
        return
    while True:
        deleted = repository.delete(request.meta_user_id, request.asked_at, request.confirmation_code, deadline)
        if deleted is not None:
            logger.info("Deleted a person's data", accounts=deleted, confirmation_code=request.confirmation_code)
            return
        if deadline.remaining_s() < MIN_STEP_S:
            raise UnfinishedError


def try_carry_out(request: PrivacyRequest, repository: PrivacyRepository, deadline: Deadline) -> bool:
    """Does what a person asked for, if that is possible now. Never raises: a request is not lost with an error."""
    try:
        carry_out(request, repository, deadline)
    except UnfinishedError:
        return False
    except InstagramConnectError as error:
        context = {"code": error.code, "reason": error.reason, **error.log_context}
        logger.warning("A privacy request cannot be carried out at once", extra=context)
        return False
    except Exception as error:  # noqa: BLE001 - whatever it is
        context = {"cause": type(error).__name__, "stack": stack_of(error)}
        logger.error("A privacy request cannot be carried out at once", extra=context)
        return False
    return True
