"""What travels between sweep and workers: ids in batches, whole refreshes only when storage did not take them."""

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
# What one call to SQS could always have, in bytes.
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


def test_claims_are_handed_on_whole_in_batches_that_name_their_owner(queue: RefreshQueue) -> None:
    claimed = claims(ACCOUNTS_PER_MESSAGE * 2 + 1)

    refused = queue.send_claims(OWNER, claimed)

    assert refused == ()
    assert [len(batch.claims) for batch in batches()] == [ACCOUNTS_PER_MESSAGE, ACCOUNTS_PER_MESSAGE, 1]
    assert [claim for batch in batches() for claim in batch.claims] == claimed
    assert {batch.owner for batch in batches()} == {OWNER}


def test_more_batches_than_one_call_takes_are_sent_with_several(queue: RefreshQueue) -> None:
    claimed = claims(ACCOUNTS_PER_MESSAGE * (MESSAGES_PER_CALL + 1))

    assert queue.send_claims(OWNER, claimed) == ()

    assert MESSAGES_PER_CALL == 10
    assert [claim for batch in batches() for claim in batch.claims] == claimed


def test_a_full_call_is_far_from_what_sqs_takes(queue: RefreshQueue) -> None:
    queue.send_claims(OWNER, claims(ACCOUNTS_PER_MESSAGE * MESSAGES_PER_CALL))

    assert sum(len(message.body) for message in sent()) < MAX_BYTES_PER_CALL * 0.75


def test_a_batch_names_accounts_and_holds_nothing_else_of_them(queue: RefreshQueue) -> None:
    queue.send_claims(OWNER, claims(1))

    (message,) = sent()
    body = json.loads(message.body)
    assert set(body) == {"kind", "owner", "claims"}
    assert set(body["claims"][0]) == {"account_id", "provider", "renew", "check_subscription", "is_slow"}
    assert delayed(queue) == "0"


def test_without_claims_nothing_is_sent(queue: RefreshQueue) -> None:
    assert queue.send_claims(OWNER, []) == ()
    assert sent() == []


def test_only_the_claims_of_refused_messages_are_answered(queue: RefreshQueue) -> None:
    claimed = claims(ACCOUNTS_PER_MESSAGE * 3)
    sqs = boto3.client("sqs")
    queue._queue.__dict__["_client"] = sqs
    refusal = {"Id": "1", "SenderFault": False, "Code": "InternalError"}

    with Stubber(sqs) as stub:
        stub.add_response("send_message_batch", {"Successful": [], "Failed": [refusal]})
        refused = queue.send_claims(OWNER, claimed)

    assert refused == tuple(claimed[ACCOUNTS_PER_MESSAGE : 2 * ACCOUNTS_PER_MESSAGE])


def test_a_call_that_fails_refuses_its_own_claims_and_the_next_one_is_made_all_the_same(queue: RefreshQueue) -> None:
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


def test_a_queue_that_takes_nothing_refuses_all(queue: RefreshQueue) -> None:
    claimed = claims(3)
    boto3.client("sqs").delete_queue(QueueUrl=queue.queue_url)

    assert queue.send_claims(OWNER, claimed) == tuple(claimed)


def test_an_unstored_refresh_comes_back_as_it_was_and_not_at_once(queue: RefreshQueue) -> None:
    queue.keep(PAYLOAD)

    (message,) = sent()
    kept = read_message(message.body)
    assert isinstance(kept, UnstoredRefresh)
    assert kept.payload == PAYLOAD
    assert "sealed:IGAA" not in repr(kept)
    assert STORE_RETRY_DELAY_S > 0
    assert delayed(queue) == "1"


def test_an_account_for_an_operator_goes_to_the_dead_letters(queue: RefreshQueue) -> None:
    queue.send_to_dead_letters("a", "TOKEN_ENCRYPTION_FAILED")

    (message,) = sent(DEAD_LETTERS)
    assert read_message(message.body) == FailedAccount(account_id="a", reason="TOKEN_ENCRYPTION_FAILED")
    assert sent() == []


def test_a_queue_that_takes_nothing_says_so_without_what_it_was_given(queue: RefreshQueue) -> None:
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
def test_what_is_no_message_cannot_be_read_and_is_not_quoted(body: str) -> None:
    with pytest.raises(UnreadableMessageError) as caught:
        read_message(body)

    assert "sealed" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
