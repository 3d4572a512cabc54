"""Privacy requests, queued until they are carried out.

A message contains Meta's id of a person and no other personal data. It may be delivered late or twice; the request
applies as of the time it was made.
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

# Do not start a step without time to finish it.
MIN_STEP_S = 3.0


class UnfinishedError(Exception):
    """There was no time to delete everything: the message must be delivered again."""


class PrivacyRequest(BaseModel):
    """One person's request. Only a deletion has a confirmation code."""

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
    """The queue of privacy requests. Shared between invocations."""

    url: str

    def keep(self, request: PrivacyRequest) -> None:
        """Queue a request. Raises QueueError."""
        self._queue.send(request.model_dump_json())

    @cached_property
    def _queue(self) -> SqsQueue:
        return SqsQueue(self.url)


def read_message(body: str) -> PrivacyRequest:
    """Parse a message. Raises InternalError for messages of another version."""
    try:
        return PrivacyRequest.model_validate_json(body)
    except ValidationError:
        raise InternalError(log_context={"cause": "unreadable message"}) from None


def carry_out(request: PrivacyRequest, repository: PrivacyRepository, deadline: Deadline) -> None:
    """Carry out a request. Raises StorageError, or UnfinishedError if it must be repeated."""
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
    """Try to carry out a request; return whether it is complete. Never raises, so that the caller can queue it."""
    try:
        carry_out(request, repository, deadline)
    except UnfinishedError:
        return False
    except InstagramConnectError as error:
        context = {"code": error.code, "reason": error.reason, **error.log_context}
        logger.warning("Could not carry out a privacy request at once", extra=context)
        return False
    except Exception as error:  # noqa: BLE001 - the request must not be lost
        context = {"cause": type(error).__name__, "stack": stack_of(error)}
        logger.error("Could not carry out a privacy request at once", extra=context)
        return False
    return True
