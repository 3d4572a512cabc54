"""Parks connections that cannot be completed now: a message in SQS for the worker, a record in DynamoDB for the user.

A message holds tokens as ciphertexts only, with the same encryption context as in the table; SQS may deliver it late,
out of order and more than once. The record holds no token: the list of accounts shows it meanwhile, and nothing else
depends on it. Sources of the limits: Amazon SQS, "Message quotas" and "Setting-up dead-letter queues".
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Literal

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from instagram_connect.connections.repository import payload_of
from instagram_connect.models import Account, ConnectionToStore, Provider
from instagram_connect.runtime import aws
from instagram_connect.runtime.batches import batches
from instagram_connect.runtime.observability import logger
from instagram_connect.runtime.sqs import MAX_MESSAGE_BYTES, SqsQueue, UnreadableMessageError

# What just failed will not work a moment later, and the record must exist before the worker removes it.
FIRST_DELAY_S = 10
# The longest retention of SQS.
KEPT = timedelta(days=14)


class _Parked(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: str = Field(default_factory=lambda: str(uuid.uuid4()))


class ParkedConnection(_Parked):
    """A connection that only has to be stored: the argument of `ConnectionRepository.store_payload`."""

    kind: Literal["connection"] = "connection"
    payload: dict[str, Any] = Field(repr=False)

    @property
    def user_id(self) -> str:
        """The user who connects."""
        return str(self.payload["user_id"])


class ParkedLogin(_Parked):
    """The encrypted token of a spent code, without accounts yet. `login` is part of its encryption context."""

    kind: Literal["login"] = "login"
    user_id: str
    provider: Provider
    login: str
    request_id: str
    token_ciphertext: str = Field(repr=False)
    issued_at: AwareDatetime
    expires_at: AwareDatetime | None
    granted_scopes: tuple[str, ...] | None


Parked = ParkedConnection | ParkedLogin
_MESSAGE: TypeAdapter[Parked] = TypeAdapter(Annotated[Parked, Field(discriminator="kind")])


class ParkedRecord(BaseModel):
    """What a user sees of a parked connection. Without accounts it is a login whose accounts Meta has not named yet.

    `code` is the error that ended it, if only a new login helps.
    """

    model_config = ConfigDict(frozen=True)

    user_id: str
    id: str
    provider: Provider
    issued_at: AwareDatetime
    accounts: tuple[Account, ...] = ()
    code: str | None = None


class Parking:
    """Parks connections and logins. Shared between requests."""

    def __init__(self, queue_url: str, table_name: str, now: Callable[[], datetime]) -> None:
        self._queue = SqsQueue(queue_url)
        self._table_name = table_name
        self._now = now

    def park_connection(self, connection: ConnectionToStore) -> tuple[Account, ...]:
        """Park a connection to be stored later; return its accounts as their owner sees them meanwhile.

        Raises QueueError, after which some of its accounts may still be stored. Takes at most about 8 s.
        """
        accounts = tuple(_pending(connection))
        by_id = {account.instagram_business_id: account for account in accounts}
        parts = [ParkedConnection(payload=payload) for payload in _parts(payload_of(connection))]
        records = [
            ParkedRecord(
                user_id=connection.user_id,
                id=part.id,
                provider=connection.login.provider,
                issued_at=connection.login.token.issued_at,
                accounts=tuple(by_id[entry["instagram_business_id"]] for entry in part.payload["accounts"]),
            )
            for part in parts
        ]
        self._park(parts, records)
        return accounts

    def park_login(self, login: ParkedLogin) -> None:
        """Park a login to be finished later. Raises QueueError. Takes at most about 8 s."""
        self._park([login], [_record_of(login)])

    def records_of(self, user_id: str) -> tuple[ParkedRecord, ...]:
        """A user's parked connections; none if they cannot be read. Never raises."""
        question = {
            "TableName": self._table_name,
            "KeyConditionExpression": "user_id = :user_id",
            "ExpressionAttributeValues": {":user_id": {"S": user_id}},
            "ConsistentRead": True,
        }
        try:
            # A page ends at 1 MB, and each attempt at a login with hundreds of accounts leaves its own records.
            pages = list(self._dynamodb.get_paginator("query").paginate(**question))
        except (BotoCoreError, ClientError) as error:
            logger.warning("Could not look for parked connections", cause=type(error).__name__)
            return ()
        read = TypeDeserializer().deserialize
        records = [{name: read(value) for name, value in item.items()} for page in pages for item in page["Items"]]
        # DynamoDB deletes expired items within days, not at once.
        alive = [record for record in records if record["expiration"] > self._now().timestamp()]
        return tuple(filter(None, (_read_record(record["record"]) for record in alive)))

    def remove(self, parked: Parked) -> None:
        """Delete the record of a completed connection. Never raises."""
        try:
            self._dynamodb.delete_item(
                TableName=self._table_name, Key={"user_id": {"S": parked.user_id}, "id": {"S": parked.id}}
            )
        except (BotoCoreError, ClientError) as error:
            logger.warning("Could not remove the record of a parked connection", cause=type(error).__name__)

    def end(self, login: ParkedLogin, code: str) -> None:
        """Record for its user that only a new login helps, with the error code. Never raises."""
        self._record(_record_of(login, code))

    def postpone(self, receipt_handle: str, seconds: int) -> None:
        """Have SQS deliver a message again after this time, not after the queue's own. Never raises."""
        self._queue.postpone(receipt_handle, seconds)

    def _park(self, parked: Sequence[Parked], records: Sequence[ParkedRecord]) -> None:
        """Send all messages, in parallel, before writing any record: only the messages matter."""
        with ThreadPoolExecutor(len(parked)) as threads:
            list(threads.map(self._send, parked))
            list(threads.map(self._record, records))

    def _send(self, parked: Parked) -> None:
        self._queue.send(parked.model_dump_json(), delay_s=FIRST_DELAY_S)

    def _record(self, record: ParkedRecord) -> None:
        item = {
            "user_id": {"S": record.user_id},
            "id": {"S": record.id},
            "record": {"S": record.model_dump_json()},
            "expiration": {"N": str(int((self._now() + KEPT).timestamp()))},
        }
        try:
            self._dynamodb.put_item(TableName=self._table_name, Item=item)
        except (BotoCoreError, ClientError) as error:
            logger.warning("Could not record a parked connection for its user", cause=type(error).__name__)

    # Made when something has to be parked, which is seldom: a client takes its time to load.
    @cached_property
    def _dynamodb(self) -> Any:
        return aws.client("dynamodb")


def read_message(body: str) -> Parked:
    """Parse a message. Raises UnreadableMessageError: another version may be able to read it."""
    try:
        return _MESSAGE.validate_json(body)
    except ValidationError:
        raise UnreadableMessageError from None


def _record_of(login: ParkedLogin, code: str | None = None) -> ParkedRecord:
    return ParkedRecord(
        user_id=login.user_id, id=login.id, provider=login.provider, issued_at=login.issued_at, code=code
    )


def _read_record(text: str) -> ParkedRecord | None:
    try:
        return ParkedRecord.model_validate_json(text)
    except ValidationError:
        logger.warning("Left out the record of a parked connection: another version wrote it")
        return None


def _pending(connection: ConnectionToStore) -> Iterator[Account]:
    token = connection.login.token
    for entry in connection.accounts:
        account = entry.account
        yield Account(
            id=None,
            provider=connection.login.provider,
            instagram_business_id=account.instagram_business_id,
            username=account.username,
            name=account.name,
            page_id=account.page_id,
            page_name=account.page_name,
            profile_picture_url=account.profile_picture_url,
            followers_count=account.followers_count,
            token_expires_at=token.expires_at.isoformat() if token.expires_at else None,
            connected_at=token.issued_at,
            status="pending",
        )


def _parts(payload: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The payload in parts that fit into a message, each with some of the accounts."""
    for accounts in batches(payload["accounts"], size=MAX_MESSAGE_BYTES, size_of=lambda entry: len(json.dumps(entry))):
        yield {**payload, "accounts": accounts}
