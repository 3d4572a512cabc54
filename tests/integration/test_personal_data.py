"""What Meta's privacy callbacks ask for, in Postgres: tokens end at once, data is gone, former logins stay out."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg
import pytest

from instagram_connect.deadline import Deadline
from instagram_connect.errors import AccountDisconnectedError
from instagram_connect.event_repository import EventRepository
from instagram_connect.privacy.repository import APP_REMOVED, DeletionStatus, PrivacyRepository
from instagram_connect.repository import ConnectionRepository
from instagram_connect.schema_contract import RELATIONS
from instagram_connect.webhooks.parser import parse_again
from tests.integration.conftest import Database, Postgres, add_user
from tests.integration.test_disconnect_account import disconnect, unique_id
from tests.integration.webhook_world import (
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
    comment,
    connect,
    counts_of,
    delete,
    everything,
    fill,
    forget_others,
    keys_of,
    message,
    outcome,
    shared_world,
    step,
    storage,
    store,
    unsent,
)


@pytest.fixture
def database(database: Database) -> Database:
    forget_others(database)
    return database


@pytest.fixture
def account(database: Database, user_id: str) -> Connected:
    return connect(database, user_id, person=PERSON)


def privacy(database: Database, at: datetime = NOW) -> PrivacyRepository:
    return PrivacyRepository(Postgres(database), lambda: at)


def revoke(database: Database, person: str = PERSON, asked_at: datetime = NOW) -> int:
    return privacy(database, NOW + MINUTE).revoke(person, asked_at, Deadline(20))


def account_row(database: Database, account: Connected) -> Row:
    row = database.execute(
        "select account.*, credentials.status as credentials_status, access_token_ciphertext, user_token_ciphertext, "
        "lease_owner from instagram_business_accounts as account "
        "join instagram_credentials as credentials on credentials.business_account_id = account.id "
        "where account.id = %s",
        [account.id],
    ).fetchone()
    assert row is not None
    return row


def events_of(database: Database, account: Connected) -> list[Row]:
    return database.execute(
        "select type, detail from outgoing_events where business_account_id = %s", [account.id]
    ).fetchall()


# Who removed the app


@pytest.mark.parametrize("provider", ["instagram", "facebook"])
def test_the_tokens_of_who_removed_the_app_are_erased_and_the_user_is_told_why(
    database: Database, user_id: str, provider: str
) -> None:
    account = connect(database, user_id, person=PERSON, provider=provider)
    database.execute("update instagram_credentials set lease_owner = 'worker', lease_expires_at = now()")

    assert revoke(database) == 1

    row = account_row(database, account)
    tokens = ("access_token_ciphertext", "user_token_ciphertext", "lease_owner")
    assert [row[name] for name in tokens] == [None, None, None]
    assert (row["credentials_status"], row["status"]) == ("revoked", "needs_reauth")
    assert (row["reconnect_reason"], row["reconnect_hint"]) == ("APP_REMOVED", APP_REMOVED["hint"])
    assert (row["reconnect_before"], row["webhook_subscribed_at"]) == (None, None)
    (event,) = events_of(database, account)
    assert (event["type"], event["detail"]["reason"]) == ("instagram.connection.needs_reauth", "APP_REMOVED")
    assert datetime.fromisoformat(event["detail"]["occurredAt"]) == NOW + MINUTE


def test_all_accounts_of_the_person_are_revoked_whoever_connected_them(database: Database, account: Connected) -> None:
    others = [connect(database, add_user(database), person=PERSON, provider="facebook") for _ in range(2)]

    assert revoke(database) == 3

    assert {account_row(database, one)["credentials_status"] for one in (account, *others)} == {"revoked"}


def test_revoking_again_changes_nothing_and_tells_nobody(database: Database, account: Connected) -> None:
    revoke(database)
    before = everything(database)

    revoke(database)

    after = everything(database)
    assert after == before
    assert len(events_of(database, account)) == 1


def test_a_login_that_had_ended_before_loses_its_tokens_and_is_told_of_once(
    database: Database, account: Connected
) -> None:
    database.execute("update instagram_credentials set status = 'needs_reauth'")
    database.execute(
        "update instagram_business_accounts set status = 'needs_reauth', reconnect_reason = 'TOKEN_EXPIRED'"
    )

    revoke(database)

    row = account_row(database, account)
    assert (row["access_token_ciphertext"], row["credentials_status"]) == (None, "revoked")
    assert row["reconnect_reason"] == "APP_REMOVED"
    assert events_of(database, account) == []


def test_what_is_not_of_the_person_or_came_later_stays(database: Database, account: Connected) -> None:
    same_account = another(database, account, person=OTHER_PERSON)
    later = connect(database, account.user_id, person=PERSON, at=NOW + SECOND)
    gone = connect(database, account.user_id, person=PERSON)
    disconnect(database, account.user_id, gone.id)
    before = [account_row(database, one) for one in (same_account, later, gone)]

    assert [revoke(database, "unknown"), revoke(database, asked_at=NOW - DAY - SECOND), revoke(database)] == [0, 0, 1]

    assert [account_row(database, one) for one in (same_account, later, gone)] == before
    assert account_row(database, account)["credentials_status"] == "revoked"


@pytest.mark.parametrize("act", [revoke, delete])
@pytest.mark.parametrize(("provider", "is_found"), [("instagram", 1), ("facebook", 0)])
def test_a_person_may_be_named_by_the_professional_account_with_instagram_login_only(
    database: Database, user_id: str, act: Callable[..., int], provider: str, is_found: int
) -> None:
    account = connect(database, user_id, provider=provider)

    assert act(database, account.entry_id) == is_found


def test_the_same_login_stored_once_more_does_not_bring_a_revoked_token_back(
    database: Database, account: Connected
) -> None:
    """A parked connection that comes late: its token is dead, and found to be when it is used."""
    revoke(database)

    connect(database, account.user_id, entry_id=account.entry_id, person=PERSON, at=NOW - 2 * DAY)

    assert account_row(database, account)["credentials_status"] == "revoked"


# Who wants their data deleted


def of_accounts(database: Database) -> dict[str, list[str]]:
    """All rows by the account that they belong to."""
    found: dict[str, list[str]] = {}
    for relation, columns in RELATIONS.items():
        key = "business_account_id" if "business_account_id" in columns else "id"
        if key in columns and relation not in ("refresh_brakes", "data_deletion_requests"):
            for row in database.execute(
                f"select {key}::text as owner, to_jsonb(row)::text as row from {relation} as row".encode()
            ):
                found.setdefault(str(row["owner"]), []).append(f"{relation} {row['row']}")
    return {owner: sorted(rows) for owner, rows in found.items()}


def tables_of(database: Database, account: Connected) -> set[str]:
    return {row.split()[0] for row in of_accounts(database).get(account.id, [])}


OF_AN_ACCOUNT = {name for name, columns in RELATIONS.items() if "business_account_id" in columns}


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
    assert outcome(store(database, message(account.entry_id, "new"))) == (0, 0, 1)
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


def test_webhooks_that_were_still_under_way_are_not_kept(database: Database, user_id: str) -> None:
    account = connect(database, user_id, person=PERSON, page_id=unique_id("1048"), provider="facebook")
    assert account.page_id is not None
    delete(database)

    stored = store(database, *(message(entry, "late", SECRET) for entry in (account.entry_id, account.page_id, "1")))

    assert (outcome(stored), stored.outgoing) == ((0, 0, 1), [])
    assert SECRET not in str(everything(database, "instagram_dm_messages", "outgoing_events"))
    assert [len(everything(database, name)[name]) for name in ("webhook_events", "webhook_counts")] == [1, 1]


def test_webhooks_of_who_came_back_are_stored(database: Database, account: Connected) -> None:
    delete(database)
    connect(database, account.user_id, entry_id=account.entry_id, person=PERSON, at=NOW + SECOND)

    assert outcome(store(database, message(account.entry_id, "1"))) == (1, 0, 0)


# Logins around a deletion


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


# Who may


def test_the_backends_role_needs_no_more_than_its_grants(database: Database, account: Connected) -> None:
    other = connect(database, account.user_id, person=OTHER_PERSON)
    database.execute("set local role service_role")
    webhooks, deadline = storage(database), Deadline(20)
    made = [message(one.entry_id, str(n)) for one in (account, other) for n in range(3)]

    stored = webhooks.store([*made, message("1", "1"), unsent(other.entry_id, "0")], deadline)
    webhooks.note_failed(made, deadline)
    kept = webhooks.kept(after_id=0, limit=9, deadline=deadline)
    parsed = [(event, kept[0].received_at) for event in parse_again(kept[0].payload)]
    replayed = webhooks.replay([kept[0].id], parsed, deadline)
    adopted = webhooks.adopt(9, deadline)
    report = webhooks.report(9, deadline, event_id="1")
    purged = storage(database, NOW + 99 * DAY).purge(9, deadline)
    revoked = privacy(database).revoke(OTHER_PERSON, NOW, deadline)
    deleted = privacy(database).delete(PERSON, NOW, CODE, deadline)
    events = EventRepository(Postgres(database), lambda: NOW + DAY).take(99, 60, deadline)

    assert (stored.stored, stored.unknown, len(kept), replayed.stored, adopted.stored) == (7, 1, 7, 1, 0)
    assert (len(report["days"]), len(report["found"]), purged) == (3, 3, 8)
    assert (revoked, deleted, privacy(database).status(CODE, deadline)) == (1, 1, DeletionStatus(NOW, NOW, None))
    assert len(events) == 5


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_nobody_but_the_backend_reads_whose_data_was_deleted(database: Database, role: str) -> None:
    database.execute(f"set local role {role}".encode())

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.execute("select from data_deletion_requests")
