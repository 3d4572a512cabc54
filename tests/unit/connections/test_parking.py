"""Parked connections: complete, stored once, encrypted, and visible to their own user only."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from instagram_connect.connections.parking import (
    FIRST_DELAY_S,
    KEPT,
    ParkedConnection,
    ParkedLogin,
    ParkedRecord,
    Parking,
    read_message,
)
from instagram_connect.connections.repository import payload_of
from instagram_connect.models import AccountToStore, ConnectionToStore, DiscoveredAccount, Login, Provider, UserToken
from instagram_connect.runtime.sqs import QueueError, UnreadableMessageError
from instagram_connect.security.token_vault import TokenBinding, TokenVault
from tests.support.fakes import NOW, USER_ID
from tests.support.simulated_services import PARKED_TABLE

# A message size that SQS has always accepted, in bytes.
MOST_BYTES = 256 * 1024
OTHER_USER_ID = "7b0f1c5e-0000-4000-8000-000000000002"
PERSONS_TOKEN = "EAApersons-token-of-the-login"
# With microseconds: a repeated code finds its login by this moment.
ISSUED_AT = datetime(2026, 11, 22, 11, 59, 58, 123457, tzinfo=UTC)

Sent = Callable[[], list[str]]


def connection(count: int = 2, user_id: str = USER_ID, *, ciphertext: str = "ciphertext") -> ConnectionToStore:
    """A login with this many accounts, with long non-ASCII texts."""
    token = UserToken(PERSONS_TOKEN, ISSUED_AT, ISSUED_AT + timedelta(days=60))
    accounts = tuple(
        AccountToStore(
            DiscoveredAccount(
                instagram_business_id=f"1784{number:013}",
                access_token=f"EAApage-token-{number}",
                username=f"account_{number}",
                name="☕ Ünïcode 🚀 " * 20,
                biography="☕ Café, 🚀 açaí e pão de queijo " * 8,
                page_tasks=("MANAGE", "MESSAGING"),
            ),
            access_token_ciphertext=ciphertext,
            user_token_ciphertext=ciphertext,
            webhook_subscribed_at=NOW,
            webhook_subscription_error=None,
        )
        for number in range(count)
    )
    login = Login(Provider.FACEBOOK, token, "10220000000000001", ("instagram_basic",), None)
    return ConnectionToStore(user_id, login, accounts, "r-1")


def login(**changes: Any) -> ParkedLogin:
    values = {
        "user_id": USER_ID,
        "provider": Provider.INSTAGRAM,
        "login": "digest",
        "request_id": "r-1",
        "token_ciphertext": "ciphertext",
        "issued_at": ISSUED_AT,
        "expires_at": ISSUED_AT + timedelta(hours=1),
        "granted_scopes": ("instagram_business_basic",),
        **changes,
    }
    return ParkedLogin(**values)


def read_connection(body: str) -> ParkedConnection:
    parked = read_message(body)
    assert isinstance(parked, ParkedConnection)
    return parked


def without_dynamodb() -> None:
    boto3.client("dynamodb").delete_table(TableName=PARKED_TABLE)


def without_sqs(queue_url: str) -> None:
    boto3.client("sqs").delete_queue(QueueUrl=queue_url)


def test_message_tokens_are_encrypted_and_can_be_decrypted(parking: Parking, sent: Sent, vault: TokenVault) -> None:
    binding = TokenBinding(USER_ID, Provider.FACEBOOK, "17840000000000000")
    plain = connection(1)
    (entry,) = plain.accounts
    encrypted = replace(
        entry,
        access_token_ciphertext=vault.encrypt(entry.account.access_token, binding),
        user_token_ciphertext=vault.encrypt(PERSONS_TOKEN, binding),
    )

    parking.park_connection(replace(plain, accounts=(encrypted,)))

    (body,) = sent()
    (account,) = read_connection(body).payload["accounts"]
    assert vault.decrypt(account["access_token_ciphertext"], binding) == "EAApage-token-0"
    assert vault.decrypt(account["user_token_ciphertext"], binding) == PERSONS_TOKEN
    assert "EAApage-token-0" not in body
    assert PERSONS_TOKEN not in body


def test_parked_connection_is_the_storage_payload(parking: Parking, sent: Sent) -> None:
    waiting = connection()

    parking.park_connection(waiting)

    (body,) = sent()
    parked = read_connection(body)
    assert parked.user_id == USER_ID
    assert parked.payload == json.loads(json.dumps(payload_of(waiting)))


def test_message_is_delayed_to_let_the_failure_recover(parking: Parking, parking_queue: str) -> None:
    parking.park_connection(connection())

    sqs = boto3.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=parking_queue, AttributeNames=["All"])["Attributes"]
    assert FIRST_DELAY_S > 0
    assert attributes["ApproximateNumberOfMessages"] == "0"
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1"


def test_parked_accounts_are_pending_and_have_no_tokens(parking: Parking) -> None:
    shown = parking.park_connection(connection(2, ciphertext="the-ciphertext"))

    (record,) = parking.records_of(USER_ID)
    assert record.accounts == shown
    assert [(account.id, account.username, account.status) for account in shown] == [
        (None, "account_0", "pending"),
        (None, "account_1", "pending"),
    ]
    assert {account.connected_at for account in shown} == {ISSUED_AT}
    assert {account.token_expires_at for account in shown} == {"2027-01-21T11:59:58.123457+00:00"}
    assert "the-ciphertext" not in str(scan())
    assert "EAA" not in str(scan())


def scan() -> list[dict[str, Any]]:
    """Everything in the table."""
    items: list[Any] = boto3.client("dynamodb").scan(TableName=PARKED_TABLE)["Items"]
    return items


def test_many_accounts_are_split_over_messages_without_duplicates(parking: Parking, sent: Sent) -> None:
    waiting = connection(600, ciphertext="c" * 900)

    shown = parking.park_connection(waiting)

    bodies = sent()
    parts = [read_connection(body).payload for body in bodies]
    held = [account["instagram_business_id"] for part in parts for account in part["accounts"]]
    assert len(bodies) > 1
    assert max(len(body.encode()) for body in bodies) < MOST_BYTES
    assert sorted(held) == sorted(account.instagram_business_id for account in shown)
    assert len(held) == 600
    whole = payload_of(waiting)
    for part in parts:
        assert {**part, "accounts": None} == {**whole, "accounts": None}


def test_each_message_has_a_record_of_its_accounts(parking: Parking, sent: Sent) -> None:
    parking.park_connection(connection(600, ciphertext="c" * 900))

    records = {record.id: record for record in parking.records_of(USER_ID)}
    parts = {parked.id: parked for parked in map(read_connection, sent())}
    assert set(records) == set(parts)
    for part_id, part in parts.items():
        held = [account["instagram_business_id"] for account in part.payload["accounts"]]
        assert [account.instagram_business_id for account in records[part_id].accounts] == held


def test_account_that_fills_a_message_is_sent_alone(parking: Parking, sent: Sent) -> None:
    parking.park_connection(connection(3, ciphertext="c" * 60_000))

    held = [len(read_connection(body).payload["accounts"]) for body in sent()]
    assert held == [1, 1, 1]


def test_parked_login_round_trips_and_is_listed_without_accounts(parking: Parking, sent: Sent) -> None:
    waiting = login()

    parking.park_login(waiting)

    (body,) = sent()
    assert read_message(body) == waiting
    assert parking.records_of(USER_ID) == (
        ParkedRecord(user_id=USER_ID, id=waiting.id, provider=Provider.INSTAGRAM, issued_at=ISSUED_AT),
    )


@pytest.mark.parametrize("changes", [{"expires_at": None}, {"granted_scopes": None}, {"granted_scopes": ()}])
def test_unknown_fields_of_a_login_stay_unknown(parking: Parking, sent: Sent, changes: dict[str, Any]) -> None:
    waiting = login(**changes)

    parking.park_login(waiting)

    (body,) = sent()
    assert read_message(body) == waiting


def test_ended_login_is_listed_with_its_error_code(parking: Parking) -> None:
    waiting = login()
    parking.park_login(waiting)

    parking.end(waiting, "RECONNECT_REQUIRED")

    (record,) = parking.records_of(USER_ID)
    assert (record.id, record.code, record.issued_at) == (waiting.id, "RECONNECT_REQUIRED", ISSUED_AT)


def test_parked_records_are_visible_to_their_own_user_only(parking: Parking) -> None:
    parking.park_connection(connection(1, USER_ID))
    parking.park_connection(connection(2, OTHER_USER_ID))

    assert [len(record.accounts) for record in parking.records_of(USER_ID)] == [1]
    assert [len(record.accounts) for record in parking.records_of(OTHER_USER_ID)] == [2]
    assert parking.records_of("somebody-else") == ()


def test_completed_record_is_deleted_and_others_stay(parking: Parking, sent: Sent) -> None:
    waiting = login()
    parking.park_login(waiting)
    parking.park_connection(connection())
    completed = read_connection(sent()[1])

    parking.remove(completed)
    parking.remove(completed)

    assert [record.id for record in parking.records_of(USER_ID)] == [waiting.id]


def test_record_expires_with_its_sqs_message(parking_queue: str, parking: Parking) -> None:
    parking.park_login(login())

    def seen_after(time: timedelta) -> int:
        return len(Parking(parking_queue, PARKED_TABLE, lambda: NOW + time).records_of(USER_ID))

    assert seen_after(KEPT - timedelta(seconds=2)) == 1
    assert seen_after(KEPT + timedelta(seconds=2)) == 0


def test_unreadable_record_does_not_hide_others(parking: Parking, log: io.StringIO) -> None:
    waiting = login()
    parking.park_login(waiting)
    foreign = {"user_id": {"S": USER_ID}, "id": {"S": "0"}, "record": {"S": '{"kind": "EAAtoken"}'}}
    expiration = {"expiration": {"N": str(int((NOW + KEPT).timestamp()))}}
    boto3.client("dynamodb").put_item(TableName=PARKED_TABLE, Item={**foreign, **expiration})

    assert [record.id for record in parking.records_of(USER_ID)] == [waiting.id]
    assert "EAAtoken" not in log.getvalue()


def test_all_pages_of_records_are_read(parking: Parking) -> None:
    """DynamoDB returns at most a megabyte per page."""
    for _ in range(3):
        parking.park_connection(connection(600, ciphertext="c" * 900))

    shown = [account for record in parking.records_of(USER_ID) for account in record.accounts]
    assert len(shown) == 3 * 600


def test_connection_is_parked_without_dynamodb(parking: Parking, sent: Sent) -> None:
    without_dynamodb()

    shown = parking.park_connection(connection())
    parking.park_login(login())

    assert [account.username for account in shown] == ["account_0", "account_1"]
    assert [read_message(body).kind for body in sent()] == ["connection", "login"]


def test_listing_tolerates_missing_dynamodb(parking: Parking) -> None:
    waiting = login()
    without_dynamodb()

    parking.remove(waiting)
    parking.end(waiting, "RECONNECT_REQUIRED")

    assert parking.records_of(USER_ID) == ()


def test_connection_refused_by_sqs_is_not_listed_as_parked(parking: Parking, parking_queue: str) -> None:
    without_sqs(parking_queue)

    with pytest.raises(QueueError):
        parking.park_connection(connection())
    with pytest.raises(QueueError):
        parking.park_login(login())

    assert parking.records_of(USER_ID) == ()


def test_message_can_be_postponed(parking: Parking, parking_queue: str) -> None:
    sqs = boto3.client("sqs")
    sqs.send_message(QueueUrl=parking_queue, MessageBody="m")
    (received,) = sqs.receive_message(QueueUrl=parking_queue, VisibilityTimeout=600)["Messages"]

    parking.postpone(received["ReceiptHandle"], 0)

    assert len(sqs.receive_message(QueueUrl=parking_queue)["Messages"]) == 1


def test_failed_postponement_leaves_the_message_to_the_visibility_timeout(parking: Parking, log: io.StringIO) -> None:
    parking.postpone("no-such-receipt", 60)

    assert "Could not postpone a message" in log.getvalue()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{}",
        "no json",
        '{"kind": "connection"}',
        '{"kind": "connection", "payload": "EAAtoken"}',
        '{"kind": "another", "payload": {}}',
        '{"kind": "login", "token_ciphertext": "EAAtoken"}',
        login().model_dump_json().replace('"instagram"', '"threads"'),
        login().model_dump_json().replace("+00:00", "").replace("Z", ""),
        "\ud800",
    ],
)
def test_unreadable_body_is_rejected_without_being_quoted(body: str) -> None:
    with pytest.raises(UnreadableMessageError) as refused:
        read_message(body)

    assert refused.value.__cause__ is None
    assert "EAAtoken" not in repr(refused.value)


def test_repr_of_parked_objects_has_no_ciphertext() -> None:
    parked = ParkedConnection(payload=payload_of(connection(1, ciphertext="the-ciphertext")))

    assert "the-ciphertext" not in f"{parked!r} {login(token_ciphertext='the-ciphertext')!r}"
