"""`store_connection`, in Postgres: one transaction, safe to repeat, and nothing good is ever overwritten by less."""

import threading
import uuid
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from local.database import connect
from tests.support.database import Database, add_user

EARLIER, NOON, LATER = "2026-11-21T12:00:00+00:00", "2026-11-22T12:00:00+00:00", "2026-11-23T12:00:00+00:00"


def account(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "instagram_business_id": f"1784140000000000{number}",
        "username": f"account_{number}",
        "name": "Ünïcode \"quoted\" 'name' 🚀",
        "page_id": "27640875392278831",
        "page_name": "A Page",
        "profile_picture_url": "https://cdn.example.com/1.jpg",
        "followers_count": 5_000_000_000,
        "page_tasks": ["MANAGE", "MESSAGING"],
        "webhook_subscribed_at": NOON,
        "access_token_ciphertext": "page-ciphertext",
        "user_token_ciphertext": "user-ciphertext",
        "scopes": ["instagram_basic"],
        "issued_at": NOON,
        "expires_at": "2027-01-21T12:00:00+00:00",
        "data_access_expires_at": "2027-02-20T12:00:00+00:00",
        **changes,
    }


def store(database: Database, owner_id: str, *accounts: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    payload = {
        "user_id": owner_id,
        "provider": "facebook",
        "meta_user_id": "10220000000000001",
        "request_id": "r-1",
        "accounts": list(accounts),
        **changes,
    }
    row = database.execute("select store_connection(%s) as stored", [Jsonb(payload)]).fetchone()
    assert row is not None
    stored: list[dict[str, Any]] = row["stored"]
    return stored


def one(database: Database, table: str, user_id: str) -> dict[str, Any]:
    key = "id" if table == "instagram_business_accounts" else "business_account_id"
    owned = "select id from instagram_business_accounts where user_id = %s"
    row = database.execute(f"select * from {table} where {key} in ({owned})", [user_id]).fetchone()
    assert row is not None
    return row


def test_accounts_and_credentials_are_stored_and_answered_in_the_order_given(database: Database, user_id: str) -> None:
    stored = store(database, user_id, account(2), account(1))

    assert [row["username"] for row in stored] == ["account_2", "account_1"]
    assert stored[0]["followers_count"] == 5_000_000_000
    assert stored[0]["status"] == "active"
    assert stored[0]["token_expires_at"].startswith("2027-01-21T12:00:00")
    assert stored[0]["connected_at"] == NOON
    credentials = one(database, "instagram_credentials", user_id)
    assert (credentials["access_token_ciphertext"], credentials["scopes"]) == ("page-ciphertext", ["instagram_basic"])


def test_repeating_changes_nothing(database: Database, user_id: str) -> None:
    first = store(database, user_id, account())
    before = one(database, "instagram_credentials", user_id)

    second = store(database, user_id, account())

    assert second == first
    # Within one transaction now() stands still, so even the time of the update is the same.
    assert one(database, "instagram_credentials", user_id) == before


def test_an_older_login_that_arrives_late_changes_nothing(database: Database, user_id: str) -> None:
    store(database, user_id, account(issued_at=LATER, access_token_ciphertext="new"))
    before = one(database, "instagram_business_accounts", user_id)

    stored = store(
        database,
        user_id,
        account(issued_at=EARLIER, username="former_name", access_token_ciphertext="old", expires_at=NOON),
        request_id="r-late",
    )

    assert one(database, "instagram_credentials", user_id)["access_token_ciphertext"] == "new"
    assert one(database, "instagram_business_accounts", user_id) == before
    assert (stored[0]["username"], stored[0]["connected_at"]) == ("account_1", LATER)


def test_a_login_older_than_a_refresh_leaves_the_refreshed_token(database: Database, user_id: str) -> None:
    store(database, user_id, account(issued_at=EARLIER))
    database.execute(
        "update instagram_credentials set access_token_ciphertext = 'refreshed', issued_at = %s, "
        "expires_at = '2027-03-01' from instagram_business_accounts as account "
        "where account.id = business_account_id and account.user_id = %s",
        [LATER, user_id],
    )
    database.execute(
        "update instagram_business_accounts set token_expires_at = '2027-03-01' where user_id = %s", [user_id]
    )

    stored = store(database, user_id, account(issued_at=NOON))

    assert one(database, "instagram_credentials", user_id)["access_token_ciphertext"] == "refreshed"
    assert stored[0]["token_expires_at"].startswith("2027-03-01")


def test_a_newer_login_replaces_the_token_and_revives_the_connection(database: Database, user_id: str) -> None:
    store(database, user_id, account())
    database.execute("update instagram_business_accounts set status = 'needs_reauth' where user_id = %s", [user_id])
    database.execute(
        "update instagram_credentials set status = 'needs_reauth', failure_code = 190, failure_subcode = 460, "
        "lease_owner = 'worker' from instagram_business_accounts as account "
        "where account.id = business_account_id and account.user_id = %s",
        [user_id],
    )

    stored = store(database, user_id, account(issued_at=LATER, access_token_ciphertext="new"))

    credentials = one(database, "instagram_credentials", user_id)
    assert stored[0]["status"] == "active"
    assert (credentials["status"], credentials["access_token_ciphertext"]) == ("active", "new")
    assert (credentials["failure_code"], credentials["failure_subcode"], credentials["lease_owner"]) == (None,) * 3


@pytest.mark.parametrize("blank", [None, ""])
def test_a_blank_never_replaces_a_good_value(database: Database, user_id: str, blank: str | None) -> None:
    store(database, user_id, account(biography="Bio", website="https://example.com"))
    before = one(database, "instagram_business_accounts", user_id)
    texts = ("username", "name", "biography", "website", "profile_picture_url", "page_id", "page_name")

    store(
        database,
        user_id,
        account(
            issued_at=LATER,
            followers_count=None,
            page_tasks=None,
            scopes=None,
            data_access_expires_at=None,
            **dict.fromkeys(texts, blank),
        ),
        meta_user_id=blank,
    )

    credentials = one(database, "instagram_credentials", user_id)
    assert credentials["scopes"] == ["instagram_basic"]
    assert credentials["data_access_expires_at"] is not None
    after = one(database, "instagram_business_accounts", user_id)
    kept = (*texts, "followers_count", "page_tasks", "meta_user_id", "webhook_subscribed_at")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


@pytest.mark.parametrize("blank", [None, ""])
def test_a_persons_token_of_a_former_login_does_not_outlive_it(
    database: Database, user_id: str, blank: str | None
) -> None:
    store(database, user_id, account())

    store(database, user_id, account(issued_at=LATER, user_token_ciphertext=blank))

    assert one(database, "instagram_credentials", user_id)["user_token_ciphertext"] is None


@pytest.mark.parametrize("blank", [None, ""])
def test_a_login_without_a_token_is_refused_as_a_whole(database: Database, user_id: str, blank: str | None) -> None:
    with pytest.raises(psycopg.errors.CheckViolation), database.transaction():
        store(database, user_id, account(1), account(2, access_token_ciphertext=blank))

    assert count_accounts(database, user_id) == 0


@pytest.mark.parametrize(
    ("broken", "changes"),
    [
        (account(issued_at=None), {}),
        (account(issued_at="yesterday-ish"), {}),
        (account(instagram_business_id=""), {}),
        (account(instagram_business_id=None), {}),
        (account(), {"user_id": None}),
        (account(), {"user_id": str(uuid.uuid4())}),
        (account(), {"provider": "myspace"}),
        (account(), {"accounts": []}),
        (account(), {"accounts": None}),
        (account(), {"accounts": {}}),
    ],
)
def test_a_payload_that_makes_no_sense_stores_nothing(
    database: Database, user_id: str, broken: dict[str, Any], changes: dict[str, Any]
) -> None:
    with pytest.raises(psycopg.Error), database.transaction():
        store(database, user_id, account(9), broken, **changes)

    assert count_accounts(database, user_id) == 0


def test_called_with_null_it_does_nothing(database: Database) -> None:
    row = database.execute("select store_connection(null) as stored").fetchone()

    assert row == {"stored": None}


def test_two_logins_of_one_user_at_once_end_with_both_and_without_deadlock(stack: dict[str, str]) -> None:
    """Twenty times two sessions store the same two accounts, each naming them in another order."""
    with connect(stack["database_url"], autocommit=True, row_factory=dict_row) as connection:
        user_id = add_user(connection)
    failures: list[BaseException] = []

    def log_in_often(order: tuple[int, int]) -> None:
        try:
            with connect(stack["database_url"], autocommit=True, row_factory=dict_row) as session:
                for _ in range(20):
                    store(session, user_id, *(account(number) for number in order))
        except psycopg.Error as error:
            failures.append(error)

    sessions = [threading.Thread(target=log_in_often, args=(order,)) for order in ((1, 2), (2, 1))]
    for session in sessions:
        session.start()
    for session in sessions:
        session.join()

    with connect(stack["database_url"], row_factory=dict_row) as connection:
        assert failures == []
        assert count_accounts(connection, user_id) == 2


def count_accounts(database: Database, user_id: str) -> int:
    row = database.execute(
        "select count(*) as count from instagram_business_accounts where user_id = %s", [user_id]
    ).fetchone()
    assert row is not None
    return int(row["count"])
