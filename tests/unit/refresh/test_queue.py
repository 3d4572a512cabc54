"""Messages between sweep and workers: batches of ids, and whole refreshes only if storing failed."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID

from instagram_connect.models import Provider
from instagram_connect.refresh.models import Claim
from instagram_connect.refresh.queue import (
    ACCOUNTS_PER_MESSAGE,
    STORE_RETRY_DELAY_S,
    ClaimedBatch,
    FailedAccount,
    RefreshQueue,
    UnstoredRefresh,
    read_message,
)
from instagram_connect.runtime.sqs import MESSAGES_PER_CALL, QueueError, UnreadableMessageError
from instagram_connect.security.token_vault import TokenVault
from tests.support.environment import ENVIRONMENT
from tests.support.refreshing import OWNER

QUEUE, DEAD_LETTERS = "refresh", "refresh-dead-letters"
# A call size that SQS has always accepted, in bytes.
MAX_BYTES_PER_CALL = 256 * 1024
PAYLOAD = {"owner": OWNER, "account_id": "a", "renewal": {"access_token_ciphertext": "sealed:IGAA"}}


@pytest.fixture
def queue(vault: TokenVault) -> Iterator[RefreshQueue]:
    sqs = boto3.client("sqs")
    urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in (QUEUE, DEAD_LETTERS)]
    yield RefreshQueue(*urls)
    for url in urls:
        with suppress(sqs.exceptions.QueueDoesNotExist):
            sqs.delete_queue(QueueUrl=url)


def claims(count: int) -> list[Claim]:
    return [
        Claim(
            account_id=f"9a000000-0000-4000-8000-{number:012}",
            provider=Provider.INSTAGRAM,
            renew=number % 2 == 0,
            check_subscription=True,
        )
        for number in range(count)
    ]


def sent(name: str = QUEUE) -> list[Any]:
    """The messages in a queue, also those that cannot be received yet."""
    return get_backend("sqs")[DEFAULT_ACCOUNT_ID][ENVIRONMENT["AWS_DEFAULT_REGION"]].queues[name]._messages


def delayed(queue: RefreshQueue) -> str:
    """How many messages cannot be received yet."""
    attributes = boto3.client("sqs").get_queue_attributes(QueueUrl=queue.queue_url, AttributeNames=["All"])
    return attributes["Attributes"]["ApproximateNumberOfMessagesDelayed"]


def batches() -> list[ClaimedBatch]:
    found = [read_message(message.body) for message in sent()]
    assert all(isinstance(message, ClaimedBatch) for message in found)
    return [message for message in found if isinstance(message, ClaimedBatch)]


def test_claims_are_sent_in_batches_with_their_owner(queue: RefreshQueue) -> None:
    claimed = claims(ACCOUNTS_PER_MESSAGE * 2 + 1)

    refused = queue.send_claims(OWNER, claimed)

    assert refused == ()
    assert [len(batch.claims) for batch in batches()] == [ACCOUNTS_PER_MESSAGE, ACCOUNTS_PER_MESSAGE, 1]
    assert [claim for batch in batches() for claim in batch.claims] == claimed
    assert {batch.owner for batch in batches()} == {OWNER}


def test_batches_beyond_one_call_are_sent_in_several_calls(queue: RefreshQueue) -> None:
    claimed = claims(ACCOUNTS_PER_MESSAGE * (MESSAGES_PER_CALL + 1))

    assert queue.send_claims(OWNER, claimed) == ()

    assert MESSAGES_PER_CALL == 10
    assert [claim for batch in batches() for claim in batch.claims] == claimed


def test_full_call_stays_well_below_the_sqs_limit(queue: RefreshQueue) -> None:
    queue.send_claims(OWNER, claims(ACCOUNTS_PER_MESSAGE * MESSAGES_PER_CALL))

    assert sum(len(message.body) for message in sent()) < MAX_BYTES_PER_CALL * 0.75


def test_batch_holds_account_ids_only(queue: RefreshQueue) -> None:
    queue.send_claims(OWNER, claims(1))

    (message,) = sent()
    body = json.loads(message.body)
    assert set(body) == {"kind", "owner", "claims"}
    assert set(body["claims"][0]) == {"account_id", "provider", "renew", "check_subscription", "is_slow"}
    assert delayed(queue) == "0"


def test_nothing_is_sent_without_claims(queue: RefreshQueue) -> None:
    assert queue.send_claims(OWNER, []) == ()
    assert sent() == []


def test_only_claims_of_rejected_messages_are_returned(queue: RefreshQueue) -> None:
    claimed = claims(ACCOUNTS_PER_MESSAGE * 3)
    sqs = boto3.client("sqs")
    queue._queue.__dict__["_client"] = sqs
    refusal = {"Id": "1", "SenderFault": False, "Code": "InternalError"}

    with Stubber(sqs) as stub:
        stub.add_response("send_message_batch", {"Successful": [], "Failed": [refusal]})
        refused = queue.send_claims(OWNER, claimed)

    assert refused == tuple(claimed[ACCOUNTS_PER_MESSAGE : 2 * ACCOUNTS_PER_MESSAGE])


def test_failed_call_rejects_its_own_claims_only(queue: RefreshQueue) -> None:
    in_a_call = ACCOUNTS_PER_MESSAGE * MESSAGES_PER_CALL
    claimed = claims(in_a_call + 1)
    sqs = boto3.client("sqs")
    queue._queue.__dict__["_client"] = sqs

    with Stubber(sqs) as stub:
        stub.add_client_error("send_message_batch", "ServiceUnavailable")
        stub.add_response("send_message_batch", {"Successful": [], "Failed": []})
        refused = queue.send_claims(OWNER, claimed)
        stub.assert_no_pending_responses()

    assert refused == tuple(claimed[:in_a_call])


def test_unavailable_queue_rejects_all_claims(queue: RefreshQueue) -> None:
    claimed = claims(3)
    boto3.client("sqs").delete_queue(QueueUrl=queue.queue_url)

    assert queue.send_claims(OWNER, claimed) == tuple(claimed)


def test_unstored_refresh_round_trips_with_a_delay(queue: RefreshQueue) -> None:
    queue.keep(PAYLOAD)

    (message,) = sent()
    kept = read_message(message.body)
    assert isinstance(kept, UnstoredRefresh)
    assert kept.payload == PAYLOAD
    assert "sealed:IGAA" not in repr(kept)
    assert STORE_RETRY_DELAY_S > 0
    assert delayed(queue) == "1"


def test_account_for_an_operator_is_dead_lettered(queue: RefreshQueue) -> None:
    queue.send_to_dead_letters("a", "TOKEN_ENCRYPTION_FAILED")

    (message,) = sent(DEAD_LETTERS)
    assert read_message(message.body) == FailedAccount(account_id="a", reason="TOKEN_ENCRYPTION_FAILED")
    assert sent() == []


def test_queue_error_does_not_quote_the_message(queue: RefreshQueue) -> None:
    for url in (queue.queue_url, queue.dead_letter_queue_url):
        boto3.client("sqs").delete_queue(QueueUrl=url)

    with pytest.raises(QueueError) as kept:
        queue.keep(PAYLOAD)
    with pytest.raises(QueueError):
        queue.send_to_dead_letters("a", "reason")

    assert "sealed" not in str(kept.value)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "{}",
        "sealed:IGAA",
        '{"kind": "another"}',
        '{"kind": "batch", "owner": "o"}',
        '{"kind": "batch", "owner": "o", "claims": [{"account_id": "sealed:IGAA"}]}',
        '{"kind": "unstored", "payload": "sealed:IGAA"}',
        '{"kind": "failed", "account_id": "a"}',
    ],
)
def test_malformed_message_is_rejected_without_being_quoted(body: str) -> None:
    with pytest.raises(UnreadableMessageError) as caught:
        read_message(body)

    assert "sealed" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
