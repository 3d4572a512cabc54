"""Webhook events in Postgres: each once for whoever has connected its account, counted, published, or refused."""

import json
import random
import traceback
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from instagram_connect.errors import StorageError
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.data_api import DataApi, DataApiError
from instagram_connect.storage.diagnosis import diagnose
from instagram_connect.storage.rpc import Rpcs
from instagram_connect.webhooks import parser
from instagram_connect.webhooks.events import EventKind
from instagram_connect.webhooks.ingestion import EVENT_ERRORS
from instagram_connect.webhooks.parser import parse_again
from instagram_connect.webhooks.repository import Stored, WebhookRepository
from tests.support.database import Database, add_user, disconnect, unique_id
from tests.support.webhook_world import (
    ANNA,
    DAY,
    HOUR,
    NOW,
    SECOND,
    SECRET,
    Connected,
    another,
    body,
    change,
    comment,
    connect,
    conversation_of,
    counts_of,
    event,
    everything_kept,
    forget_others,
    item,
    keys_of,
    message,
    messages_of,
    milliseconds,
    outcome,
    outgoing,
    rows_of,
    shared_world,
    storage,
    store,
    talk_of,
    told,
    waiting,
)


@pytest.fixture
def database(database: Database) -> Database:
    forget_others(database)
    return database


@pytest.fixture
def account(database: Database, user_id: str) -> Connected:
    return connect(database, user_id, page_id=unique_id("1048"))


# Once


def test_new_duplicate_and_unknown_events_are_told_apart(database: Database, account: Connected) -> None:
    entry, stranger = account.entry_id, unique_id()
    store(database, message(entry, "1"))

    stored = store(database, message(entry, "1"), message(entry, "2"), comment(entry, "c"), message(stranger, "1"))

    assert outcome(stored) == (2, 1, 1)
    assert keys_of(database, account) == ["cmt:c", "msg:1", "msg:2"]
    assert keys_of(database) == ["msg:1"]
    assert outgoing(stored) == [
        ("instagram.webhook.comment", account.id, "cmt:c"),
        ("instagram.webhook.message", account.id, "msg:2"),
    ]


def test_a_batch_that_comes_again_changes_and_publishes_nothing(database: Database, account: Connected) -> None:
    batch = [message(account.entry_id, "1"), comment(account.entry_id, "c"), message(unique_id(), "1")]
    first = store(database, *batch)
    before = talk_of(database, account), keys_of(database)

    again = store(database, *batch, at=NOW + DAY)

    assert (outcome(first), outcome(again)) == ((2, 0, 1), (0, 3, 0))
    assert again.outgoing == []
    assert (talk_of(database, account), keys_of(database)) == before


def test_what_is_in_a_batch_twice_is_stored_and_published_once(database: Database, account: Connected) -> None:
    known, unknown = message(account.entry_id, "1"), message(unique_id(), "1")

    stored = store(database, known, unknown, known, unknown, known)

    assert outcome(stored) == (1, 3, 1)
    assert told(stored) == ["msg:1"]
    assert (keys_of(database, account), keys_of(database)) == (["msg:1"], ["msg:1"])


def test_the_same_key_of_two_accounts_is_two_events(database: Database, account: Connected) -> None:
    other = connect(database, account.user_id)

    stored = store(database, message(account.entry_id, "1"), message(other.entry_id, "1"))

    assert outcome(stored) == (2, 0, 0)
    assert (keys_of(database, account), keys_of(database, other)) == (["msg:1"], ["msg:1"])


def test_each_user_who_connected_the_account_has_the_event_and_is_told(database: Database, account: Connected) -> None:
    other = another(database, account)

    stored = store(database, message(account.entry_id, "1"))

    assert outcome(stored) == (1, 0, 0)
    assert outgoing(stored) == sorted(("instagram.webhook.message", one.id, "msg:1") for one in (account, other))
    assert {one["detail"]["userId"] for one in stored.outgoing} == {account.user_id, other.user_id}
    assert [keys_of(database, one) for one in (account, other)] == [["msg:1"]] * 2
    assert counts_of(database, account.entry_id) == {"received": 1, "stored": 1}


def test_an_event_that_comes_again_goes_to_who_connected_since_and_to_nobody_else(
    database: Database, account: Connected
) -> None:
    store(database, message(account.entry_id, "1"))
    other = another(database, account)

    stored = store(database, message(account.entry_id, "1"))

    assert outgoing(stored) == [("instagram.webhook.message", other.id, "msg:1")]


def test_a_pages_id_names_the_account_too(database: Database, account: Connected) -> None:
    assert account.page_id is not None

    stored = store(
        database, comment(account.page_id, "1"), comment(account.entry_id, "2"), comment(account.page_id, "2")
    )

    assert outcome(stored) == (2, 1, 0)
    assert keys_of(database, account) == ["cmt:1", "cmt:2"]
    assert {one["detail"]["instagramBusinessId"] for one in stored.outgoing} == {account.entry_id}


def test_an_account_that_was_disconnected_is_unknown(database: Database, account: Connected) -> None:
    disconnect(database, account.user_id, account.id)

    stored = store(database, message(account.entry_id, "1"))

    assert (outcome(stored), stored.outgoing) == ((0, 0, 1), [])
    assert (keys_of(database, account), keys_of(database)) == ([], ["msg:1"])
    assert messages_of(database, account) == {}


def test_an_account_whose_login_ended_still_gets_its_events(database: Database, account: Connected) -> None:
    database.execute("update instagram_business_accounts set status = 'needs_reauth' where id = %s", [account.id])

    assert outcome(store(database, message(account.entry_id, "1"))) == (1, 0, 0)


def test_the_dashboards_test_and_what_nobody_can_read_are_kept_and_nothing_else(
    database: Database, account: Connected
) -> None:
    example = item("23245", 0, "12334", message={"mid": "random_mid", "text": "random_text"})
    test, (unread,) = change(account.entry_id, "messages", example), parser.parse(body(account.entry_id))

    stored = store(database, test, unread)

    assert (outcome(stored), stored.outgoing) == ((2, 0, 0), [])
    assert waiting(database, NOW + DAY) == []
    assert talk_of(database, account)["messages"] == talk_of(database, account)["conversations"] == []
    assert [row["kind"] for row in rows_of(database, account)] == [EventKind.TEST, EventKind.UNPARSED]
    assert [row["payload"] for row in rows_of(database, account)] == [test.payload, unread.payload]


def test_what_names_no_account_is_unknown_and_counted(database: Database) -> None:
    stored = store(database, *parser.parse(b"<html>"), *parser.parse(b"<html>"), *parser.parse(b"[]"))

    assert outcome(stored) == (0, 1, 2)
    assert counts_of(database, "") == {"received": 3, "duplicate": 1, "unknown": 2}


def test_nothing_is_stored_of_nothing(database: Database) -> None:
    assert store(database) == Stored(0, 0, 0, [])


# Counted


@pytest.mark.parametrize("seed", range(5))
def test_the_counts_of_many_batches_on_many_days_add_up(database: Database, account: Connected, seed: int) -> None:
    dice = random.Random(seed)
    stranger, other = unique_id(), another(database, account)
    made = [message(entry, str(n)) for entry in (account.entry_id, stranger) for n in range(30)]
    received = dict.fromkeys((account.entry_id, stranger), 0)
    answered = [0, 0, 0]

    for number in range(40):
        batch = dice.choices(made, k=dice.randrange(1, 12))
        answer = outcome(store(database, *batch, at=NOW + number * 7 * HOUR))
        answered = [before + now for before, now in zip(answered, answer, strict=True)]
        for one in batch:
            received[one.entry_id] += 1
    storage(database, NOW + 3 * DAY).note_failed(made[:2] + made[-1:], Deadline(20))

    known, unknown = (counts_of(database, entry) for entry in (account.entry_id, stranger))
    assert known["stored"] == len(keys_of(database, account)) == len(keys_of(database, other)) == answered[0]
    assert unknown["unknown"] == len(keys_of(database)) == answered[2]
    assert known["duplicate"] + unknown["duplicate"] == answered[1]
    assert (known["received"], known["failed"]) == (received[account.entry_id] + 2, 2)
    assert (unknown["received"], unknown["failed"]) == (received[stranger] + 1, 1)


def test_a_day_of_the_counts_is_one_in_utc(database: Database, account: Connected) -> None:
    database.execute("set local timezone = 'Pacific/Kiritimati'")
    for number, at in enumerate((NOW + 12 * HOUR - SECOND, NOW + 12 * HOUR)):
        store(database, message(account.entry_id, str(number)), at=at)

    report = storage(database, NOW + DAY).report(9, Deadline(20), entry_id=account.entry_id)

    assert [(day["day"], day["stored"]) for day in report["days"]] == [("2020-06-02", 1), ("2020-06-01", 1)]


# Published


def test_what_is_to_be_published_is_the_callers_for_the_lease_and_anothers_afterwards(
    database: Database, account: Connected
) -> None:
    stored = store(database, message(account.entry_id, "1"), comment(account.entry_id, "c"))

    assert waiting(database, NOW + 59 * SECOND) == []
    assert sorted(waiting(database, NOW + 60 * SECOND), key=str) == sorted(stored.outgoing, key=str)


def test_an_event_is_published_with_everything_that_is_known_of_it(database: Database, account: Connected) -> None:
    stored = store(database, message(account.entry_id, "m", "hi", at=-60))

    (event,) = stored.outgoing
    assert (event["type"], event["detail"]["data"]) == ("instagram.webhook.message", {"text": "hi"})
    times = [datetime.fromisoformat(event["detail"].pop(name)) for name in ("occurredAt", "receivedAt")]
    assert times == [NOW - 60 * SECOND, NOW]
    assert event["detail"] == {
        "eventKey": "msg:m",
        "businessAccountId": account.id,
        "userId": account.user_id,
        "instagramBusinessId": account.entry_id,
        "kind": "message",
        "field": "messages",
        "participantId": ANNA,
        "messageId": "m",
        "isFromUs": False,
        "data": {"text": "hi"},
    }


def test_where_meta_names_the_page_the_accounts_own_doings_are_told_from_a_customers(
    database: Database, account: Connected
) -> None:
    assert account.page_id is not None
    us, anna = {"id": account.entry_id}, {"id": ANNA}
    reaction = {"mid": "m", "action": "react", "reaction": "love", "emoji": "x"}
    ours = {"sender": us, "recipient": anna, "timestamp": milliseconds(2), "reaction": reaction}
    theirs = {"sender": anna, "recipient": us, "timestamp": milliseconds(1), "message": {"mid": "m", "text": "hi"}}

    store(database, *parser.parse(body(account.page_id, ours, theirs)))

    kept = {row["kind"]: (row["participant_id"], row["is_from_us"]) for row in rows_of(database, account)}
    assert kept == {"reaction": (ANNA, True), "message": (ANNA, False)}
    assert conversation_of(database, account)["last_message_id"] == "m"
    assert len(database.execute("select 1 from instagram_dm_conversations").fetchall()) == 1


# Intact, or refused


@pytest.fixture
def through_the_data_api(stack: dict[str, str]) -> Iterator[WebhookRepository]:
    with closing(DataApi(stack["supabase_url"], stack["supabase_secret_key"])) as data_api:
        yield WebhookRepository(Rpcs(data_api), lambda: NOW)


TEXTS = [
    "x" * 20_000,
    "caf\u00e9 👩‍👩‍👧‍👦 \U0001f1ea\U0001f1f8",
    "line\u2028separator\u2029 \x7f \x01 tab\t",
    """'); drop table webhook_events; -- "quoted" \\ \\u0000 $$ %s {} null""",
]


@pytest.mark.parametrize("text", TEXTS)
def test_through_the_data_api_texts_and_ids_arrive_as_they_were_sent(
    stack: dict[str, str], through_the_data_api: WebhookRepository, text: str
) -> None:
    mid = (text * 500).encode()[:500].decode(errors="ignore")
    with shared_world(stack) as (database, user_id):
        account = connect(database, user_id)
        made = message(account.entry_id, mid, text)

        stored = through_the_data_api.store([made], Deadline(20))
        (kept,) = everything_kept(through_the_data_api, entry_id=account.entry_id)

        (event,) = stored.outgoing
        assert (event["detail"]["data"]["text"], event["detail"]["messageId"]) == (text, mid)
        assert messages_of(database, account)[mid]["text"] == text
        assert rows_of(database, account)[0]["payload"] == kept.payload == made.payload
        assert (kept.event_key, kept.received_at) == (f"msg:{mid}", NOW)
        assert [one.key for one in parse_again(kept.payload)] == [kept.event_key]


def incompressible(characters: int) -> str:
    dice = random.Random(characters)
    return "".join(chr(dice.randrange(0x20000, 0x2A000)) for _ in range(characters))


def test_more_than_an_index_takes_is_refused_as_a_defect_of_the_event_in_words_without_it(
    database: Database, account: Connected
) -> None:
    long_key = f"react:{incompressible(900)}"

    with pytest.raises(psycopg.errors.ProgramLimitExceeded) as raised, database.transaction():
        store(database, comment(account.entry_id, "c"), replace(message(account.entry_id, "m", SECRET), key=long_key))

    assert diagnose(DataApiError(code=raised.value.sqlstate, status=500)).reason in EVENT_ERRORS
    assert SECRET not in str(raised.value)
    assert long_key[:20] not in str(raised.value)
    assert keys_of(database, account) == []


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ({"message": {"mid": "m", "text": SECRET}}, {"payload": None}),
        ({"message": {"mid": "m", "text": SECRET}}, {"data": {"text": f"{SECRET} \x00"}}),
        ({"message_edit": {"mid": "m", "text": SECRET}}, {"data": {"text": SECRET, "editNumber": "many"}}),
    ],
)
def test_a_refused_event_is_refused_with_its_batch_and_the_error_holds_nothing_of_it(
    stack: dict[str, str],
    through_the_data_api: WebhookRepository,
    what: dict[str, Any],
    changes: dict[str, Any],
) -> None:
    with shared_world(stack) as (database, user_id):
        account = connect(database, user_id)
        refused = replace(event(account.entry_id, 0, **what), **changes)

        with pytest.raises(StorageError) as raised:
            through_the_data_api.store([comment(account.entry_id, "c"), refused], Deadline(20))

        said = "".join(traceback.format_exception(raised.value)) + repr(vars(raised.value))
        assert raised.value.reason in EVENT_ERRORS
        assert SECRET not in said
        assert account.entry_id not in said
        assert (keys_of(database, account), counts_of(database, account.entry_id)) == ([], {})


# Who may


def as_user(database: Database, user_id: str) -> None:
    database.execute("set local role authenticated")
    database.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps({"sub": user_id})])


OWN = ("instagram_dm_messages", "instagram_dm_conversations", "webhook_events")


def test_owners_read_what_is_theirs_and_nothing_else(database: Database, account: Connected) -> None:
    other = connect(database, add_user(database))
    store(
        database, message(account.entry_id, "mine"), message(other.entry_id, "theirs"), message(unique_id(), "nobodys")
    )

    as_user(database, account.user_id)

    for table in OWN:
        rows = database.execute(sql.SQL("select business_account_id::text from {}").format(sql.Identifier(table)))
        assert [row["business_account_id"] for row in rows] == [account.id]


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize("table", [*OWN, "webhook_counts", "data_deletion_requests"])
def test_nobody_but_the_backend_writes_or_reads_the_counts(
    database: Database, account: Connected, role: str, table: str
) -> None:
    store(database, message(account.entry_id, "1"))
    as_user(database, account.user_id)
    database.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
    column = {"webhook_counts": "day", "webhook_events": "payload", "data_deletion_requests": "requested_at"}
    names = {
        "table": sql.Identifier("instagram_connect", table),
        "column": sql.Identifier(column.get(table, "created_at")),
    }
    refused: list[LiteralString] = [
        "insert into {table} default values",
        "update {table} set {column} = null",
        "delete from {table}",
    ]
    if role == "anon" or table not in OWN:
        refused.append("select from {table}")

    for statement in refused:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), database.transaction():
            database.execute(sql.SQL(statement).format(**names))
