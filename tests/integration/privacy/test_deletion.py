"""A person's data is deleted, and what was under way before the deletion is not stored."""

import hashlib
import random
from dataclasses import replace
from datetime import datetime, timedelta

import psycopg
import pytest

from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import AccountDisconnectedError
from instagram_connect.outbox.repository import OutboxRepository
from instagram_connect.privacy.repository import DeletionStatus
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.webhooks import parser
from instagram_connect.webhooks.parser import parse_again
from tests.support.database import TABLES, Database, Postgres, disconnect, unique_id
from tests.support.personal_data import account_row, privacy
from tests.support.webhook_world import (
    CODE,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    OTHER_PERSON,
    PERSON,
    REFUSED,
    SECOND,
    SECRET,
    Connected,
    Row,
    another,
    body,
    comment,
    connect,
    counts_of,
    delete,
    everything,
    everything_kept,
    fill,
    item,
    keys_of,
    message,
    messages_of,
    outcome,
    outgoing,
    rows_of,
    shared_world,
    step,
    storage,
    store,
    unsent,
)


def of_accounts(database: Database) -> dict[str, list[str]]:
    """All rows by the account that they belong to."""
    found: dict[str, list[str]] = {}
    for relation, columns in TABLES.items():
        key = "business_account_id" if "business_account_id" in columns else "id"
        if key in columns and relation not in ("refresh_brakes", "data_deletion_requests"):
            for row in database.execute(
                f"select {key}::text as owner, to_jsonb(row)::text as row from {relation} as row".encode()
            ):
                found.setdefault(str(row["owner"]), []).append(f"{relation} {row['row']}")
    return {owner: sorted(rows) for owner, rows in found.items()}


def tables_of(database: Database, account: Connected) -> set[str]:
    return {row.split()[0] for row in of_accounts(database).get(account.id, [])}


OF_AN_ACCOUNT = {name for name, columns in TABLES.items() if "business_account_id" in columns}


@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_nothing_of_the_person_is_left_anywhere_and_everything_of_others_is(
    database: Database, user_id: str, limit: int
) -> None:
    page = unique_id("1048")
    mine = [
        connect(database, user_id, person=PERSON, page_id=page, provider="facebook"),
        connect(database, user_id, person=PERSON),
    ]
    other = connect(database, user_id, person=OTHER_PERSON)
    for account in (*mine, other):
        fill(database, account)
    disconnect(database, user_id, mine[1].id)
    store(database, message(mine[1].entry_id, "late", SECRET), comment(page, "late"))
    assert tables_of(database, mine[0]) == tables_of(database, other) == {*OF_AN_ACCOUNT, "instagram_business_accounts"}
    others = of_accounts(database)[other.id], counts_of(database, other.entry_id)

    steps = 1
    while not (answer := step(database, limit=limit))["is_complete"]:
        steps += 1

    left = everything(database)
    ids = [PERSON, page, *(word for account in mine for word in (account.id, account.entry_id))]
    assert answer == {"is_complete": True, "accounts": 2}
    assert (steps > 4) is (limit < 3)
    assert [(name, rows) for name, rows in left.items() if any(word in str(rows) for word in ids)] == []
    assert (of_accounts(database)[other.id], counts_of(database, other.entry_id)) == others
    (request,) = database.execute("select * from data_deletion_requests").fetchall()
    hashes = [hashlib.sha256(word.encode()).hexdigest() for word in (PERSON, page, *(one.entry_id for one in mine))]
    assert [request["meta_user_hash"], *sorted(request["erased_entry_hashes"])] == [hashes[0], *sorted(hashes[1:])]
    assert (request["requested_at"], request["completed_at"]) == (NOW, NOW + MINUTE)


def test_tokens_and_the_flow_of_events_end_with_the_first_step(database: Database, account: Connected) -> None:
    fill(database, account)

    assert step(database, limit=2) == {"is_complete": False}

    row = account_row(database, account)
    assert (row["access_token_ciphertext"], row["credentials_status"]) == (None, "erased")
    assert row["status"] == "disconnected"
    assert outcome(store(database, message(account.entry_id, "new", at=3600))) == (0, 0, 1)
    assert privacy(database).status(CODE, Deadline(20)) == DeletionStatus(NOW, None, None)
    delete(database)
    assert keys_of(database) == []


def test_who_else_connected_the_account_keeps_their_rows_counts_and_webhooks(
    database: Database, account: Connected
) -> None:
    other = another(database, account, person=OTHER_PERSON)
    fill(database, account)
    before = of_accounts(database)[other.id], counts_of(database, other.entry_id)

    assert delete(database) == 1

    assert (of_accounts(database)[other.id], counts_of(database, other.entry_id)) == before
    assert outcome(store(database, message(other.entry_id, "new"))) == (1, 0, 0)


def test_deleting_again_deletes_nothing_and_says_the_same(database: Database, account: Connected) -> None:
    first = delete(database)
    later = connect(database, account.user_id, person=PERSON, at=NOW + SECOND)
    before = everything(database)

    assert (first, delete(database)) == (1, 1)
    assert everything(database) == before
    assert delete(database, code="another", asked_at=NOW) == 0
    assert account_row(database, later)["status"] == "active"


def test_of_an_unknown_person_nothing_is_deleted_and_the_request_is_kept(
    database: Database, account: Connected
) -> None:
    before = of_accounts(database)

    assert delete(database, "unknown") == 0

    assert of_accounts(database) == before
    assert privacy(database).status(CODE, Deadline(20)) == DeletionStatus(NOW, NOW + MINUTE, None)
    assert privacy(database).status("another", Deadline(20)) is None


@pytest.mark.parametrize("after", [SECOND, 2 * MINUTE])  # the first step is taken a minute after the request
def test_what_came_before_the_request_goes_also_when_its_person_comes_back_meanwhile(
    database: Database, account: Connected, after: timedelta
) -> None:
    fill(database, account)
    step(database, limit=2)
    connect(database, account.user_id, entry_id=account.entry_id, person=PERSON, at=NOW + after)
    store(database, message(account.entry_id, "new", "of the new login", at=60), at=NOW + MINUTE)

    delete(database)

    rows = str(everything(database))
    assert SECRET not in rows
    assert account_row(database, account)["status"] == "active"
    assert "of the new login" in rows


@pytest.mark.parametrize("limit", [2, 1000])
def test_unknown_events_and_counts_go_although_somebody_else_was_connected_until_they_disconnected(
    database: Database, user_id: str, limit: int
) -> None:
    account = connect(database, user_id, person=PERSON, page_id=unique_id("1048"), provider="facebook")
    assert account.page_id is not None
    other = another(database, account, person=OTHER_PERSON, provider="facebook")
    store(database, message(account.entry_id, "1"))
    for one in (account, other):
        disconnect(database, one.user_id, one.id)
    for entry in (account.entry_id, account.page_id):
        store(database, *(message(entry, f"u{n}", SECRET) for n in range(3)))

    assert delete(database, limit=limit) == 1

    assert keys_of(database) == []
    assert (counts_of(database, account.entry_id), counts_of(database, account.page_id)) == ({}, {})
    assert (keys_of(database, account), keys_of(database, other)) == ([], ["msg:1"])
    assert list(messages_of(database, other)) == ["1"]


@pytest.mark.parametrize("status", ["active", "needs_reauth"])
def test_unknown_events_and_counts_stay_for_who_else_has_the_account_connected(
    database: Database, user_id: str, status: str
) -> None:
    entry = unique_id()
    store(database, message(entry, "1"), message(entry, "2"))
    account = connect(database, user_id, entry_id=entry, person=PERSON)
    other = another(database, account, person=OTHER_PERSON)
    database.execute("update instagram_business_accounts set status = %s where id = %s", [status, other.id])
    store(database, message(entry, "3"))

    assert delete(database, limit=2) == 1

    assert (keys_of(database), keys_of(database, other)) == (["msg:1", "msg:2"], ["msg:3"])
    assert counts_of(database, entry) == {"received": 3, "stored": 1, "unknown": 2}
    assert storage(database).adopt(9, Deadline(20)).stored == 2
    assert counts_of(database, entry) == {"received": 3, "stored": 3}


def test_unknown_events_go_in_steps_and_those_of_others_stay(database: Database, account: Connected) -> None:
    stranger = unique_id()
    disconnect(database, account.user_id, account.id)
    store(database, *(message(entry, str(n)) for entry in (account.entry_id, stranger) for n in range(5)))

    steps = [(step(database, limit=2)["is_complete"], len(keys_of(database))) for _ in range(4)]

    assert steps == [(False, 8), (False, 6), (True, 5), (True, 5)]
    assert {row["entry_id"] for row in database.execute("select entry_id from webhook_events")} == {stranger}
    assert counts_of(database) == counts_of(database, stranger) == {"received": 5, "unknown": 5}


@pytest.mark.parametrize(
    "unreadable",
    ['{{"entry":[{{"id":"{0}","time":NaN,"text":"secret"}}]}}', "\x00 {0} \x00", "[" * 200 + "{0}"],
    ids=["no JSON", "bytes", "too deep"],
)
def test_what_nobody_could_read_goes_where_it_holds_an_id_of_the_person(
    database: Database, account: Connected, unreadable: str
) -> None:
    of_them, of_others = unreadable.format(account.entry_id).encode(), unreadable.format(unique_id()).encode()
    store(database, *parser.parse(of_them), *parser.parse(of_others))

    assert delete(database) == 1

    assert [row["payload"] for row in rows_of(database)] == [parser.parse(of_others)[0].payload]


def test_what_is_still_under_way_is_not_kept_from_the_first_step_on(database: Database, account: Connected) -> None:
    fill(database, account)
    step(database, limit=2)

    stored = store(database, message(account.entry_id, "late", SECRET))

    assert outcome(stored) == (0, 0, 0)
    assert keys_of(database) == []
    assert counts_of(database, "") == {"received": 1, "unknown": 1}


def test_webhooks_that_were_still_under_way_are_not_kept_and_are_counted_under_no_name(
    database: Database, user_id: str
) -> None:
    account = connect(database, user_id, person=PERSON, page_id=unique_id("1048"), provider="facebook")
    assert account.page_id is not None
    delete(database)

    stored = store(database, *(message(entry, "late", SECRET) for entry in (account.entry_id, account.page_id, "1")))

    assert (outcome(stored), stored.outgoing) == ((0, 0, 1), [])
    assert SECRET not in str(everything(database, "instagram_dm_messages", "outgoing_events"))
    assert [row["entry_id"] for row in database.execute("select entry_id from webhook_events")] == ["1"]
    assert counts_of(database, "") == {"received": 2, "unknown": 2}
    assert counts_of(database, "1") == {"received": 1, "unknown": 1}
    assert counts_of(database) == {"received": 3, "unknown": 3}


@pytest.mark.parametrize(("at", "is_kept"), [(-3600, False), (0, False), (60, False), (60.001, True), (3600, True)])
def test_only_what_happened_after_the_deletion_is_kept_whenever_it_comes(
    database: Database, account: Connected, at: float, is_kept: bool
) -> None:
    delete(database)

    stored = store(database, message(account.entry_id, "m", at=at), at=NOW + DAY)

    assert outcome(stored) == (0, 0, int(is_kept))
    assert keys_of(database) == ["msg:m"] * is_kept
    assert counts_of(database, account.entry_id if is_kept else "") == {"received": 1, "unknown": 1}
    assert counts_of(database) == {"received": 1, "unknown": 1}


def test_what_has_no_time_is_not_kept(database: Database, account: Connected) -> None:
    delete(database)
    timeless = replace(message(account.entry_id, "m", SECRET), occurred_at=None)

    stored = store(database, timeless, message(account.entry_id, "new", at=3600), at=NOW + DAY)

    assert outcome(stored) == (0, 0, 1)
    assert keys_of(database) == ["msg:new"]
    assert counts_of(database, "") == {"received": 1, "unknown": 1}


def test_of_several_deletions_the_last_one_counts(database: Database, account: Connected) -> None:
    delete(database)
    connect(database, account.user_id, entry_id=account.entry_id, person=PERSON, at=NOW + HOUR)
    delete(database, asked_at=NOW + DAY, code="second")
    days = [3600, 24 * 3600 + 60, 24 * 3600 + 61]

    store(database, *(message(account.entry_id, str(n), at=at) for n, at in enumerate(days)), at=NOW + 2 * DAY)

    assert keys_of(database) == ["msg:2"]
    assert counts_of(database, "") == {"received": 2, "unknown": 2}


def test_what_happened_after_the_deletion_is_given_to_the_login_that_it_came_after(
    database: Database, account: Connected
) -> None:
    delete(database)
    login = NOW + HOUR
    store(database, *(message(account.entry_id, f"{at}", at=at) for at in (-1, 3500)), at=login - SECOND)
    store(database, *(message(account.entry_id, f"{at}", at=at) for at in (-2, 3601)), at=login + SECOND)
    again = connect(database, account.user_id, entry_id=account.entry_id, person=PERSON, at=login)

    adopted = storage(database, login + MINUTE).adopt(9, Deadline(20))

    assert outgoing(adopted) == [("instagram.webhook.message", again.id, "msg:3601")]
    assert (keys_of(database, again), keys_of(database)) == (["msg:3601"], ["msg:3500"])
    assert list(messages_of(database, again)) == ["3601"]
    assert counts_of(database, account.entry_id) == {"received": 2, "stored": 1, "unknown": 1}
    assert counts_of(database, "") == {"received": 2, "unknown": 2}


@pytest.mark.parametrize("seed", range(5))
def test_the_counts_of_batches_with_events_that_are_not_kept_add_up(
    database: Database, account: Connected, seed: int
) -> None:
    dice = random.Random(seed)
    other, gone, stranger = connect(database, account.user_id), account.entry_id, unique_id()
    delete(database)
    late = [message(gone, f"late{n}") for n in range(6)]
    new = [message(gone, f"new{n}", at=3600) for n in range(6)]
    named = [message(entry, str(n)) for entry in (other.entry_id, stranger) for n in range(6)]
    unnamed = parser.parse(b"<html>") + parser.parse(b"[]")
    batches = [dice.choices([*late, *new, *named, *unnamed], k=dice.randrange(1, 15)) for _ in range(20)]

    stored = [store(database, *batch, at=NOW + 2 * HOUR + n * HOUR) for n, batch in enumerate(batches)]

    received = [one for batch in batches for one in batch]
    dropped = sum(one in late for one in received)
    answered = [sum(numbers) for numbers in zip(*map(outcome, stored), strict=True)]
    assert sum(answered) == len(received) - dropped
    assert counts_of(database)["received"] == len(received)
    assert counts_of(database, "")["received"] == dropped + sum(one in unnamed for one in received)
    assert counts_of(database, "")["unknown"] == dropped + len({one.key for one in received if one in unnamed})
    assert counts_of(database, gone)["unknown"] == len({one.key for one in received if one in new})
    assert counts_of(database)["unknown"] == answered[2] + dropped == len(keys_of(database)) + dropped
    assert counts_of(database)["stored"] == answered[0] == len(keys_of(database, other))
    assert counts_of(database)["duplicate"] == answered[1]


def test_what_happened_before_is_stored_for_who_else_has_the_account_and_not_for_who_had_it(
    database: Database, account: Connected
) -> None:
    other = another(database, account, person=OTHER_PERSON)
    delete(database)

    while_connected = store(database, message(account.entry_id, "1"))
    disconnect(database, other.user_id, other.id)
    afterwards = store(database, message(account.entry_id, "2"))

    assert [outcome(one) for one in (while_connected, afterwards)] == [(1, 0, 0), (0, 0, 0)]
    assert (keys_of(database, other), keys_of(database)) == (["msg:1"], [])
    assert counts_of(database, "") == {"received": 1, "unknown": 1}


def test_parsed_again_the_events_of_who_else_had_the_account_stay_theirs(
    database: Database, account: Connected
) -> None:
    other = another(database, account, person=OTHER_PERSON)
    store(database, message(account.entry_id, "1"), replace(message(account.entry_id, "2"), occurred_at=None))
    delete(database)
    disconnect(database, other.user_id, other.id)
    kept = everything_kept(storage(database))
    events = [(made, row.received_at) for row in kept for made in parse_again(row.payload)]

    storage(database, NOW + DAY).replay([row.id for row in kept], events, Deadline(20))

    assert keys_of(database, other) == ["msg:1", "msg:2"]
    assert keys_of(database) == []


def test_what_nobody_could_read_and_turns_out_to_be_of_before_is_not_kept_when_it_is_parsed_again(
    database: Database, account: Connected
) -> None:
    items = [item(account.entry_id, at, "900100", message={"mid": str(at), "text": SECRET}) for at in (0, 3600)]
    delete(database)
    store(database, parser.unreadable(body(account.entry_id, *items)))
    (kept,) = everything_kept(storage(database))
    events = [(made, kept.received_at) for made in parse_again(kept.payload)]

    replayed = storage(database, NOW + DAY).replay([kept.id], events, Deadline(20))

    assert (len(events), outcome(replayed)) == (2, (0, 0, 1))
    assert keys_of(database) == ["msg:3600"]
    assert counts_of(database) == {"received": 1, "unknown": 1}


def test_webhooks_of_who_came_back_are_stored(database: Database, account: Connected) -> None:
    delete(database)
    connect(database, account.user_id, entry_id=account.entry_id, person=PERSON, at=NOW + SECOND)

    assert outcome(store(database, message(account.entry_id, "1"))) == (1, 0, 0)


@pytest.mark.parametrize("named_by", ["person", "account"])
@pytest.mark.parametrize("at", [NOW - HOUR, NOW])
def test_a_login_of_before_that_is_stored_after_the_deletion_is_refused(
    database: Database, user_id: str, named_by: str, at: datetime
) -> None:
    entry = unique_id()
    delete(database, PERSON if named_by == "person" else entry)

    with pytest.raises(psycopg.Error) as raised, database.transaction():
        connect(database, user_id, entry_id=entry, person=PERSON, at=at)

    assert raised.value.sqlstate == REFUSED
    assert connect(database, user_id, entry_id=entry, person=PERSON, at=NOW + SECOND)
    assert connect(database, user_id, person=OTHER_PERSON, at=at)
    assert connect(database, user_id, person=None, at=at)


def payload(user_id: str, entry_id: str, at: datetime) -> Row:
    account = {"instagram_business_id": entry_id, "access_token_ciphertext": "x", "issued_at": at.isoformat()}
    return {"user_id": user_id, "provider": "instagram", "meta_user_id": PERSON, "accounts": [account]}


def test_through_the_data_api_such_a_login_ends_as_disconnected_because_data_was_deleted(
    stack: dict[str, str], repository: ConnectionRepository
) -> None:
    with shared_world(stack) as (database, user_id):
        delete(database)
        before, after = (payload(user_id, unique_id(), at) for at in (NOW, NOW + SECOND))

        with pytest.raises(AccountDisconnectedError) as raised:
            repository.store_payload(before, Deadline(20))
        (stored,) = repository.store_payload(after, Deadline(20))

        assert raised.value.reason == "DATA_DELETED"
        assert [account.id for account in repository.list_accounts(user_id, Deadline(20))] == [stored.id]


def test_the_backends_role_needs_no_more_than_its_grants(database: Database, account: Connected) -> None:
    other = connect(database, account.user_id, person=OTHER_PERSON)
    database.execute("set local role service_role")
    webhooks, deadline = storage(database), Deadline(20)
    made = [message(one.entry_id, str(n)) for one in (account, other) for n in range(3)]

    stored = webhooks.store([*made, message("1", "1"), unsent(other.entry_id, "0")], deadline)
    webhooks.note_failed(made, deadline)
    kept = everything_kept(webhooks)
    parsed = [(event, kept[0].received_at) for event in parse_again(kept[0].payload)]
    replayed = webhooks.replay([kept[0].id], parsed, deadline)
    adopted = webhooks.adopt(9, deadline)
    report = webhooks.report(9, deadline, event_id="1")
    purged = storage(database, NOW + 99 * DAY).purge(9, deadline)
    revoked = privacy(database).revoke(OTHER_PERSON, NOW, deadline)
    deleted = privacy(database).delete(PERSON, NOW, CODE, deadline)
    events = OutboxRepository(Postgres(database), lambda: NOW + DAY).take(99, 60, deadline)

    assert (stored.stored, stored.unknown, len(kept), replayed.stored, adopted.stored) == (7, 1, 7, 1, 0)
    assert (len(report["days"]), len(report["found"]), purged) == (3, 3, 8)
    assert (revoked, deleted, privacy(database).status(CODE, deadline)) == (1, 1, DeletionStatus(NOW, NOW, None))
    assert len(events) == 5


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_nobody_but_the_backend_reads_whose_data_was_deleted(database: Database, role: str) -> None:
    database.execute(f"set local role {role}".encode())

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.execute("select from instagram_connect.data_deletion_requests")
