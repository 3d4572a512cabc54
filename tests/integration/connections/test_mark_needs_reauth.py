"""`mark_needs_reauth`, in Postgres and through the Data API: ends a token that is dead, and none that came later."""

import uuid
from datetime import datetime
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import ReconnectRequiredError
from instagram_connect.runtime.deadline import Deadline
from tests.support.database import Database, add_user, stored_user

# With microseconds: Meta's answers are timed to them, and a token is as old as the login that it came from.
EARLIER, NOON, LATER = (f"2026-11-2{day}T12:00:00.123457+00:00" for day in (1, 2, 3))

Row = dict[str, Any]


def connect_accounts(database: Database, user_id: str, *ids: str, issued_at: str = NOON) -> None:
    """Stores accounts with these ids, as a login does."""
    accounts = [
        {
            "instagram_business_id": instagram_business_id,
            "access_token_ciphertext": "page-ciphertext",
            "user_token_ciphertext": "user-ciphertext",
            "issued_at": issued_at,
            "expires_at": "2027-01-21T12:00:00+00:00",
        }
        for instagram_business_id in ids
    ]
    payload = {"user_id": user_id, "provider": "facebook", "request_id": "r-connect", "accounts": accounts}
    database.execute("select store_connection(%s)", [Jsonb(payload)])


def mark(database: Database, user_id: str, /, *ids: str, issued_at: str = NOON, **changes: Any) -> Any:
    payload = {
        "user_id": user_id,
        "instagram_business_ids": ids,
        "issued_at": issued_at,
        "failure_code": 190,
        "failure_subcode": 460,
        **changes,
    }
    row = database.execute("select instagram_connect.mark_needs_reauth(%s) as answer", [Jsonb(payload)]).fetchone()
    assert row is not None
    return row["answer"]


def rows(database: Database, user_id: str) -> list[Row]:
    """All that is stored of a user's accounts."""
    return database.execute(
        "select account.instagram_business_id, to_jsonb(account) as account, to_jsonb(credentials) as credentials "
        "from instagram_business_accounts as account "
        "join instagram_credentials as credentials on credentials.business_account_id = account.id "
        "where account.user_id = %s order by account.instagram_business_id",
        [user_id],
    ).fetchall()


def statuses(database: Database, user_id: str) -> dict[str, tuple[str, str]]:
    """The status of each account and that of its token."""
    return {
        row["instagram_business_id"]: (row["account"]["status"], row["credentials"]["status"])
        for row in rows(database, user_id)
    }


def test_the_same_login_stored_once_more_does_not_revive_a_token_that_is_dead(database: Database, user_id: str) -> None:
    connect_accounts(database, user_id, "1")
    mark(database, user_id, "1")
    before = rows(database, user_id)

    connect_accounts(database, user_id, "1")

    assert rows(database, user_id) == before


def test_account_and_token_are_marked_with_what_meta_said(database: Database, user_id: str) -> None:
    connect_accounts(database, user_id, "1")

    assert mark(database, user_id, "1") == 1

    (row,) = rows(database, user_id)
    credentials = row["credentials"]
    assert (row["account"]["status"], credentials["status"]) == ("needs_reauth", "needs_reauth")
    assert (credentials["failure_code"], credentials["failure_subcode"]) == (190, 460)
    assert credentials["failed_at"] is not None
    # Disconnecting tells Meta with the last copies.
    assert (credentials["access_token_ciphertext"], credentials["user_token_ciphertext"]) == (
        "page-ciphertext",
        "user-ciphertext",
    )


def test_a_failure_without_numbers_marks_all_the_same(database: Database, user_id: str) -> None:
    connect_accounts(database, user_id, "1")

    assert mark(database, user_id, "1", failure_code=None, failure_subcode=None) == 1

    (row,) = rows(database, user_id)
    assert (row["credentials"]["status"], row["credentials"]["failure_code"]) == ("needs_reauth", None)


def test_only_the_named_accounts_are_marked(database: Database, user_id: str) -> None:
    connect_accounts(database, user_id, "1", "2", "3")

    assert mark(database, user_id, "1", "3", "unknown") == 2

    assert statuses(database, user_id) == {
        "1": ("needs_reauth", "needs_reauth"),
        "2": ("active", "active"),
        "3": ("needs_reauth", "needs_reauth"),
    }


def test_nobody_elses_account_is_marked(database: Database, user_id: str) -> None:
    other_id = add_user(database)
    connect_accounts(database, user_id, "1")
    connect_accounts(database, other_id, "1")
    before = rows(database, other_id)

    assert mark(database, user_id, "1") == 1

    assert rows(database, other_id) == before
    assert mark(database, str(uuid.uuid4()), "1") == 0


@pytest.mark.parametrize(("issued_at", "marked"), [(EARLIER, 1), (NOON, 1), (LATER, 0)])
def test_only_a_token_of_then_or_before_is_marked(
    database: Database, user_id: str, issued_at: str, marked: int
) -> None:
    connect_accounts(database, user_id, "1", issued_at=issued_at)

    assert mark(database, user_id, "1", issued_at=NOON) == marked


def test_a_newer_login_stays_untouched_beside_an_older_one(database: Database, user_id: str) -> None:
    connect_accounts(database, user_id, "1", "2", issued_at=NOON)
    connect_accounts(database, user_id, "2", issued_at=LATER)
    _, newer = rows(database, user_id)

    assert mark(database, user_id, "1", "2", issued_at=NOON) == 1

    assert rows(database, user_id)[1] == newer
    assert statuses(database, user_id)["1"] == ("needs_reauth", "needs_reauth")


def test_a_token_that_was_refreshed_since_stays_untouched(database: Database, user_id: str) -> None:
    connect_accounts(database, user_id, "1")
    database.execute(
        "update instagram_credentials set issued_at = %s from instagram_business_accounts as account "
        "where account.id = business_account_id and account.user_id = %s",
        [LATER, user_id],
    )

    assert mark(database, user_id, "1", issued_at=NOON) == 0

    assert statuses(database, user_id) == {"1": ("active", "active")}


def test_repeated_it_changes_nothing(stack: dict[str, str]) -> None:
    with stored_user(stack) as (database, user_id):  # each statement at a time of its own
        connect_accounts(database, user_id, "1")
        first = mark(database, user_id, "1")
        before = rows(database, user_id)

        second = mark(database, user_id, "1", failure_subcode=463)

        assert (first, second) == (1, 0)
        assert rows(database, user_id) == before


def test_a_message_that_comes_again_ends_as_it_did_at_first(database: Database, user_id: str) -> None:
    """What was parked is stored once more before its token is checked once more."""
    for _ in range(3):
        connect_accounts(database, user_id, "1")
        mark(database, user_id, "1")

    assert statuses(database, user_id) == {"1": ("needs_reauth", "needs_reauth")}


def test_a_disconnected_account_stays_disconnected(database: Database, user_id: str) -> None:
    connect_accounts(database, user_id, "1")
    (row,) = rows(database, user_id)
    payload = {"user_id": user_id, "account_id": row["account"]["id"], "request_id": "r-1"}
    database.execute("select instagram_connect.disconnect_account(%s)", [Jsonb(payload)])

    assert mark(database, user_id, "1") == 0

    assert statuses(database, user_id) == {"1": ("disconnected", "erased")}


def test_a_newer_login_brings_the_account_back(database: Database, user_id: str) -> None:
    connect_accounts(database, user_id, "1")
    mark(database, user_id, "1")

    connect_accounts(database, user_id, "1", issued_at=LATER)

    (row,) = rows(database, user_id)
    credentials = row["credentials"]
    assert (row["account"]["status"], credentials["status"]) == ("active", "active")
    assert (credentials["failure_code"], credentials["failure_subcode"], credentials["failed_at"]) == (None,) * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"user_id": None},
        {"instagram_business_ids": []},
        {"issued_at": None},
    ],
)
def test_without_owner_accounts_or_time_nothing_is_marked(
    database: Database, user_id: str, changes: dict[str, Any]
) -> None:
    connect_accounts(database, user_id, "1")

    assert mark(database, user_id, "1", **changes) == 0

    assert statuses(database, user_id) == {"1": ("active", "active")}


def test_called_with_null_it_does_nothing(database: Database, user_id: str) -> None:
    connect_accounts(database, user_id, "1")

    row = database.execute("select instagram_connect.mark_needs_reauth(null) as answer").fetchone()

    assert row == {"answer": None}
    assert statuses(database, user_id) == {"1": ("active", "active")}


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_only_the_backend_may_mark(database: Database, user_id: str, role: str) -> None:
    connect_accounts(database, user_id, "1")

    database.execute(f"set local role {role}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.transaction():
        mark(database, user_id, "1")

    database.execute("reset role")
    assert statuses(database, user_id) == {"1": ("active", "active")}


def test_the_backends_role_needs_no_more_than_its_grants(database: Database, user_id: str) -> None:
    connect_accounts(database, user_id, "1")
    database.execute("set local role service_role")

    assert mark(database, user_id, "1") == 1


def test_through_the_data_api_the_dead_token_is_marked_and_the_list_shows_it(
    stack: dict[str, str], repository: ConnectionRepository
) -> None:
    failure = ReconnectRequiredError(
        reason="PASSWORD_CHANGED", log_context={"meta_code": 190, "meta_subcode": 460, "meta_http_status": 400}
    )
    with stored_user(stack) as (database, user_id):
        connect_accounts(database, user_id, "1", "2")

        repository.mark_needs_reauth(user_id, ["2"], datetime.fromisoformat(NOON), failure, Deadline(20))

        shown = repository.list_accounts(user_id, Deadline(20))
        _, marked = rows(database, user_id)
        assert [(account.instagram_business_id, account.status) for account in shown] == [
            ("1", "active"),
            ("2", "needs_reauth"),
        ]
        assert {account.connected_at for account in shown} == {datetime.fromisoformat(NOON)}
        assert (marked["credentials"]["failure_code"], marked["credentials"]["failure_subcode"]) == (190, 460)
