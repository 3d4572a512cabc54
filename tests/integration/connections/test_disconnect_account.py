"""`disconnect_account`, in Postgres: tokens go and the row stays, once, and only a newer login brings it back."""

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import AccountNotFoundError
from instagram_connect.runtime.deadline import Deadline
from local.database import connect
from tests.support.database import Database, add_user, disconnect, stored_user, unique_id

HOUR = timedelta(hours=1)

Answer = dict[str, Any]


def connect_account(
    database: Database,
    user_id: str,
    *,
    instagram_business_id: str | None = None,
    person: str | None = None,
    provider: str = "facebook",
    age: timedelta = HOUR,
    **changes: Any,
) -> Answer:
    """Stores an account as a login of this age does; answers it as its owner may see it."""
    now = datetime.now(UTC)
    account = {
        "instagram_business_id": instagram_business_id or unique_id(),
        "username": "cafe.azul",
        "page_id": "104857600000001",
        "webhook_subscribed_at": now.isoformat(),
        "access_token_ciphertext": "page-ciphertext",
        "user_token_ciphertext": "user-ciphertext",
        "scopes": ["instagram_basic"],
        "issued_at": (now - age).isoformat(),
        "expires_at": (now + 1_000 * HOUR).isoformat(),
        **changes,
    }
    payload = {
        "user_id": user_id,
        "provider": provider,
        "meta_user_id": person or unique_id("1022"),
        "request_id": "r-connect",
        "accounts": [account],
    }
    row = database.execute("select store_connection(%s) as stored", [Jsonb(payload)]).fetchone()
    assert row is not None
    (stored,) = row["stored"]
    return dict(stored)


def account_row(database: Database, account_id: str) -> Answer:
    row = database.execute("select * from instagram_business_accounts where id = %s", [account_id]).fetchone()
    assert row is not None
    return row


def credentials_row(database: Database, account_id: str) -> Answer:
    row = database.execute(
        "select * from instagram_credentials where business_account_id = %s", [account_id]
    ).fetchone()
    assert row is not None
    return row


def tokens(answer: Answer) -> tuple[str | None, str | None]:
    return answer["access_token_ciphertext"], answer["user_token_ciphertext"]


def is_last(answer: Answer) -> tuple[bool, bool]:
    return answer["is_last_of_account"], answer["is_last_of_person"]


def session(stack: dict[str, str]) -> Database:
    return connect(stack["database_url"], autocommit=True, row_factory=dict_row)


def while_disconnecting(stack: dict[str, str], user_id: str, account_id: str, act: Callable[[Database], object]) -> Any:
    """Disconnects, and lets another session act before that is committed; answers what the other one got."""
    got: list[object] = []

    def act_elsewhere() -> None:
        with session(stack) as other:
            got.append(act(other))

    with session(stack) as database, database.transaction():
        disconnect(database, user_id, account_id)
        elsewhere = threading.Thread(target=act_elsewhere)
        elsewhere.start()
        elsewhere.join(0.5)
        is_waiting = elsewhere.is_alive()
    elsewhere.join(10)
    assert is_waiting
    return got[0]


def test_both_tokens_are_erased_and_their_last_copies_answered(database: Database, user_id: str) -> None:
    account = connect_account(database, user_id, person="10220000000000099")

    answer = disconnect(database, user_id, account["id"])

    credentials = credentials_row(database, account["id"])
    assert tokens(credentials) == (None, None)
    assert credentials["status"] == "erased"
    assert tokens(answer) == ("page-ciphertext", "user-ciphertext")
    assert answer["meta_user_id"] == "10220000000000099"
    assert answer["account"] == {**account, "status": "disconnected", "token_expires_at": None}


def test_the_row_stays_and_says_that_it_is_disconnected(database: Database, user_id: str) -> None:
    account = connect_account(database, user_id)
    before = account_row(database, account["id"])

    disconnect(database, user_id, account["id"])

    after = account_row(database, account["id"])
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"status", "token_expires_at", "webhook_subscribed_at", "last_request_id", "disconnected_at"}
    assert (after["status"], after["token_expires_at"], after["webhook_subscribed_at"]) == ("disconnected", None, None)
    assert after["last_request_id"] == "r-disconnect"
    assert abs(after["disconnected_at"] - datetime.now(UTC)) < timedelta(minutes=5)


def test_an_account_without_a_token_of_its_own_answers_the_one_it_has(database: Database, user_id: str) -> None:
    account = connect_account(database, user_id, provider="instagram", user_token_ciphertext=None)

    assert tokens(disconnect(database, user_id, account["id"])) == ("page-ciphertext", None)


def test_an_account_that_needs_a_new_login_loses_its_tokens_too(database: Database, user_id: str) -> None:
    account = connect_account(database, user_id)
    database.execute("update instagram_business_accounts set status = 'needs_reauth' where id = %s", [account["id"]])
    database.execute(
        "update instagram_credentials set status = 'needs_reauth' where business_account_id = %s", [account["id"]]
    )

    answer = disconnect(database, user_id, account["id"])

    assert answer["account"]["status"] == "disconnected"
    assert tokens(credentials_row(database, account["id"])) == (None, None)


def test_a_refresh_under_way_loses_its_lease(database: Database, user_id: str) -> None:
    account = connect_account(database, user_id)
    database.execute(
        "update instagram_credentials set lease_owner = 'worker', lease_expires_at = now() + interval '1 hour' "
        "where business_account_id = %s",
        [account["id"]],
    )

    disconnect(database, user_id, account["id"])

    credentials = credentials_row(database, account["id"])
    assert (credentials["lease_owner"], credentials["lease_expires_at"]) == (None, None)


def test_repeated_it_answers_no_tokens_and_is_only_later(stack: dict[str, str]) -> None:
    with stored_user(stack) as (database, user_id):
        account = connect_account(database, user_id)
        first = disconnect(database, user_id, account["id"])
        before, credentials = account_row(database, account["id"]), credentials_row(database, account["id"])

        second = disconnect(database, user_id, account["id"], "r-again")

        after = account_row(database, account["id"])
        assert second["account"] == first["account"]
        assert tokens(second) == (None, None)
        assert {name for name in after if after[name] != before[name]} == {
            "last_request_id",
            "disconnected_at",
            "updated_at",
        }
        assert after["disconnected_at"] > before["disconnected_at"]
        assert credentials_row(database, account["id"]) == credentials


def test_a_login_between_two_disconnections_does_not_bring_the_account_back(stack: dict[str, str]) -> None:
    """It was parked when its user disconnected the account a second time, and is stored only now."""
    with stored_user(stack) as (database, user_id):
        shared = unique_id()
        account = connect_account(database, user_id, instagram_business_id=shared)
        disconnect(database, user_id, account["id"])
        made_at = datetime.now(UTC)
        disconnect(database, user_id, account["id"])

        late = connect_account(database, user_id, instagram_business_id=shared, issued_at=made_at.isoformat())

        assert late["status"] == "disconnected"
        assert tokens(credentials_row(database, account["id"])) == (None, None)


def test_somebody_elses_account_is_not_found_and_stays_as_it_is(database: Database, user_id: str) -> None:
    account = connect_account(database, add_user(database))
    before = account_row(database, account["id"]), credentials_row(database, account["id"])

    answer = disconnect(database, user_id, account["id"])

    assert answer is None
    assert (account_row(database, account["id"]), credentials_row(database, account["id"])) == before


@pytest.mark.parametrize("changes", [{"account_id": str(uuid.uuid4())}, {"account_id": None}, {"user_id": None}])
def test_an_account_that_is_none_is_not_found(database: Database, user_id: str, changes: dict[str, Any]) -> None:
    account = connect_account(database, user_id)
    payload = {"user_id": user_id, "account_id": account["id"], "request_id": "r-1", **changes}

    row = database.execute("select instagram_connect.disconnect_account(%s) as answer", [Jsonb(payload)]).fetchone()

    assert row == {"answer": None}
    assert account_row(database, account["id"])["status"] == "active"


def test_other_accounts_of_the_user_stay_connected(database: Database, user_id: str) -> None:
    account, other = connect_account(database, user_id), connect_account(database, user_id)

    disconnect(database, user_id, account["id"])

    assert account_row(database, other["id"])["status"] == "active"
    assert tokens(credentials_row(database, other["id"])) == ("page-ciphertext", "user-ciphertext")


def test_an_account_that_somebody_else_has_too_is_the_last_one_for_whoever_goes_last(
    database: Database, user_id: str
) -> None:
    other_id, shared = add_user(database), unique_id()
    mine = connect_account(database, user_id, instagram_business_id=shared)
    theirs = connect_account(database, other_id, instagram_business_id=shared)

    assert is_last(disconnect(database, user_id, mine["id"])) == (False, True)
    assert is_last(disconnect(database, other_id, theirs["id"])) == (True, True)


def test_the_second_of_two_accounts_of_a_person_is_the_last_one(database: Database, user_id: str) -> None:
    person = unique_id("1022")
    first, second = (connect_account(database, user_id, person=person) for _ in range(2))

    assert is_last(disconnect(database, user_id, first["id"])) == (True, False)
    assert is_last(disconnect(database, user_id, second["id"])) == (True, True)


def test_a_person_whom_another_user_connected_too_still_needs_the_grant(database: Database, user_id: str) -> None:
    person = unique_id("1022")
    account = connect_account(database, user_id, person=person)
    connect_account(database, add_user(database), person=person)

    assert is_last(disconnect(database, user_id, account["id"])) == (True, False)


def test_the_same_id_at_the_other_product_is_another_person(database: Database, user_id: str) -> None:
    person = unique_id("1022")
    account = connect_account(database, user_id, person=person)
    connect_account(database, user_id, person=person, provider="instagram")

    assert is_last(disconnect(database, user_id, account["id"])) == (True, True)


def test_an_account_that_only_needs_a_new_login_still_counts_for_others(database: Database, user_id: str) -> None:
    shared, person = unique_id(), unique_id("1022")
    mine = connect_account(database, user_id, instagram_business_id=shared, person=person)
    theirs = connect_account(database, add_user(database), instagram_business_id=shared, person=person)
    database.execute("update instagram_business_accounts set status = 'needs_reauth' where id = %s", [theirs["id"]])

    assert is_last(disconnect(database, user_id, mine["id"])) == (False, False)


def test_a_login_older_than_the_disconnection_does_not_bring_the_account_back(database: Database, user_id: str) -> None:
    shared = unique_id()
    account = connect_account(database, user_id, instagram_business_id=shared, age=2 * HOUR)
    disconnect(database, user_id, account["id"])
    before = account_row(database, account["id"])

    late = connect_account(database, user_id, instagram_business_id=shared, age=HOUR, username="late")

    assert (late["id"], late["status"], late["username"]) == (account["id"], "disconnected", "cafe.azul")
    assert account_row(database, account["id"]) == before
    assert tokens(credentials_row(database, account["id"])) == (None, None)


def test_a_newer_login_brings_the_account_back_under_its_id(database: Database, user_id: str) -> None:
    shared = unique_id()
    account = connect_account(database, user_id, instagram_business_id=shared)
    disconnect(database, user_id, account["id"])

    again = connect_account(
        database, user_id, instagram_business_id=shared, age=-HOUR, access_token_ciphertext="new-ciphertext"
    )

    row, credentials = account_row(database, account["id"]), credentials_row(database, account["id"])
    assert (again["id"], again["status"]) == (account["id"], "active")
    assert (row["status"], row["disconnected_at"]) == ("active", None)
    assert (credentials["status"], *tokens(credentials)) == ("active", "new-ciphertext", "user-ciphertext")


def test_a_disconnection_after_coming_back_answers_the_new_tokens(database: Database, user_id: str) -> None:
    shared = unique_id()
    account = connect_account(database, user_id, instagram_business_id=shared)
    disconnect(database, user_id, account["id"])
    connect_account(database, user_id, instagram_business_id=shared, age=-HOUR, access_token_ciphertext="new")

    assert tokens(disconnect(database, user_id, account["id"])) == ("new", "user-ciphertext")


def test_a_second_disconnection_waits_for_the_first_and_gets_no_tokens(stack: dict[str, str]) -> None:
    with stored_user(stack) as (database, user_id):
        account = connect_account(database, user_id)

        answer = while_disconnecting(
            stack, user_id, account["id"], lambda other: disconnect(other, user_id, account["id"], "r-2")
        )

        assert answer["account"]["status"] == "disconnected"
        assert tokens(answer) == (None, None)


def test_an_older_login_that_is_stored_during_a_disconnection_does_not_undo_it(stack: dict[str, str]) -> None:
    with stored_user(stack) as (database, user_id):
        shared = unique_id()
        account = connect_account(database, user_id, instagram_business_id=shared, age=2 * HOUR)

        late = while_disconnecting(
            stack,
            user_id,
            account["id"],
            lambda other: connect_account(other, user_id, instagram_business_id=shared, age=HOUR),
        )

        assert late["status"] == "disconnected"
        assert tokens(credentials_row(database, account["id"])) == (None, None)


def test_of_many_disconnections_at_once_one_gets_the_tokens(stack: dict[str, str]) -> None:
    answers: list[Answer] = []
    together = threading.Barrier(6)

    def disconnect_at_once(user_id: str, account_id: str) -> None:
        with session(stack) as database:
            together.wait(10)
            answers.append(disconnect(database, user_id, account_id))

    with stored_user(stack) as (database, user_id):
        account = connect_account(database, user_id)
        threads = [threading.Thread(target=disconnect_at_once, args=(user_id, account["id"])) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(tokens(answer) == ("page-ciphertext", "user-ciphertext") for answer in answers) == [False] * 5 + [
        True
    ]
    assert [tokens(answer) for answer in answers].count((None, None)) == 5


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_only_the_backend_may_disconnect(database: Database, user_id: str, role: str) -> None:
    account = connect_account(database, user_id)

    database.execute(f"set local role {role}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.transaction():
        disconnect(database, user_id, account["id"])

    database.execute("reset role")
    assert account_row(database, account["id"])["status"] == "active"


def test_the_backends_role_needs_no_more_than_its_grants(database: Database, user_id: str) -> None:
    account = connect_account(database, user_id)
    database.execute("set local role service_role")

    assert disconnect(database, user_id, account["id"])["account"]["status"] == "disconnected"


def test_through_the_data_api_it_is_answered_once_and_not_found_for_others(
    stack: dict[str, str], repository: ConnectionRepository
) -> None:
    with stored_user(stack) as (database, user_id), stored_user(stack) as (_, stranger_id):
        account_id = connect_account(database, user_id)["id"]

        with pytest.raises(AccountNotFoundError):
            repository.disconnect_account(account_id, user_id=stranger_id, request_id="r-1", deadline=Deadline(20))
        first = repository.disconnect_account(account_id, user_id=user_id, request_id="r-2", deadline=Deadline(20))
        second = repository.disconnect_account(account_id, user_id=user_id, request_id="r-3", deadline=Deadline(20))

    assert (first.access_token_ciphertext, first.user_token_ciphertext) == ("page-ciphertext", "user-ciphertext")
    assert (second.access_token_ciphertext, second.user_token_ciphertext) == (None, None)
    assert first.account == second.account
    assert (first.account.status, first.is_last_of_account, first.is_last_of_person) == ("disconnected", True, True)
