"""`list_accounts`, in Postgres and through the Data API: all accounts of one user, nobody else's, none cut off."""

import uuid
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.models import Account
from instagram_connect.runtime.deadline import Deadline
from tests.support.database import Database, add_user, stored_user

MORE_THAN_THE_DATA_API_GIVES = 1500


def connect_accounts(database: Database, user_id: str, *names: str, **changes: Any) -> None:
    """Stores an account for each name, as a login does."""
    accounts = [
        {
            "instagram_business_id": f"1784{uuid.uuid4().int % 10**13:013}",
            "username": name,
            "access_token_ciphertext": "ciphertext",
            "issued_at": "2026-11-22T12:00:00+00:00",
            "expires_at": "2027-01-21T12:00:00+00:00",
            **changes,
        }
        for name in names
    ]
    payload = {"user_id": user_id, "provider": "facebook", "request_id": "r-1", "accounts": accounts}
    database.execute("select store_connection(%s)", [Jsonb(payload)])


def listed(database: Database, user_id: str) -> Any:
    row = database.execute(
        "select instagram_connect.list_accounts(%s) as answer", [Jsonb({"user_id": user_id})]
    ).fetchone()
    assert row is not None
    return row["answer"]


def usernames(database: Database, user_id: str) -> list[str]:
    return [account["username"] for account in listed(database, user_id)]


def test_the_account_that_was_connected_first_comes_first(database: Database, user_id: str) -> None:
    connect_accounts(database, user_id, "second", "third", "first")
    for day, name in enumerate(("first", "second", "third")):
        database.execute(
            "update instagram_business_accounts set created_at = '2026-11-01'::timestamptz + %s * interval '1 day' "
            "where user_id = %s and username = %s",
            [day, user_id, name],
        )

    assert usernames(database, user_id) == ["first", "second", "third"]


def test_accounts_of_one_login_always_come_in_the_same_order(database: Database, user_id: str) -> None:
    connect_accounts(database, user_id, *"abcdefgh")
    first = listed(database, user_id)
    database.execute(
        "update instagram_business_accounts set biography = 'b' where user_id = %s and username <> 'e'", [user_id]
    )

    assert listed(database, user_id) == first
    assert [account["instagram_business_id"] for account in first] == sorted(
        account["instagram_business_id"] for account in first
    )


def test_an_account_is_shown_as_its_owner_may_see_it_and_no_further(database: Database, user_id: str) -> None:
    connect_accounts(
        database,
        user_id,
        "cafe.azul",
        name='Café "Azul" ☕',
        page_id="27640875392278831",
        followers_count=5_000_000_000,
    )

    (account,) = listed(database, user_id)

    assert account["token_expires_at"].startswith("2027-01-21T12:00:00")
    assert account["connected_at"].startswith("2026-11-22T12:00:00")
    assert {name: account[name] for name in ("name", "page_id", "followers_count", "provider", "status")} == {
        "name": 'Café "Azul" ☕',
        "page_id": "27640875392278831",
        "followers_count": 5_000_000_000,
        "provider": "facebook",
        "status": "active",
    }
    assert set(account) == set(Account.model_fields)


def test_what_needs_a_new_login_and_what_is_disconnected_is_listed_too(database: Database, user_id: str) -> None:
    connect_accounts(database, user_id, "active", "needs_reauth", "disconnected")
    database.execute("update instagram_business_accounts set status = username where user_id = %s", [user_id])

    shown = {account["username"]: account["status"] for account in listed(database, user_id)}

    assert shown == {"active": "active", "needs_reauth": "needs_reauth", "disconnected": "disconnected"}


def test_nobody_gets_the_accounts_of_another_user(database: Database, user_id: str) -> None:
    other_id = add_user(database)
    shared = {"instagram_business_id": "17841499999999991"}
    connect_accounts(database, user_id, "mine", **shared)
    connect_accounts(database, other_id, "theirs", **shared)

    assert usernames(database, user_id) == ["mine"]
    assert usernames(database, other_id) == ["theirs"]


@pytest.mark.parametrize("payload", [{"user_id": str(uuid.uuid4())}, {"user_id": None}, {}])
def test_whoever_has_no_account_gets_an_empty_list(database: Database, payload: dict[str, Any]) -> None:
    row = database.execute("select instagram_connect.list_accounts(%s) as answer", [Jsonb(payload)]).fetchone()

    assert row == {"answer": []}


def test_a_user_id_that_is_none_is_refused(database: Database) -> None:
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        listed(database, "' or true --")


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_only_the_backend_may_list(database: Database, user_id: str, role: str) -> None:
    database.execute(f"set local role {role}")

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        listed(database, user_id)


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_only_the_backend_may_make_the_view_of_an_account(database: Database, user_id: str, role: str) -> None:
    connect_accounts(database, user_id, "mine")
    database.execute(f"grant select on instagram_business_accounts to {role}")
    database.execute(f"set local role {role}")

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.execute("select instagram_connect.account_view(account) from instagram_business_accounts as account")


def test_the_data_api_cuts_nothing_off(stack: dict[str, str], repository: ConnectionRepository) -> None:
    names = [f"account_{number:04}" for number in range(MORE_THAN_THE_DATA_API_GIVES)]
    with stored_user(stack) as (database, user_id):
        connect_accounts(database, user_id, *names)

        accounts = repository.list_accounts(user_id, Deadline(20))

    assert sorted(str(account.username) for account in accounts) == names
    assert len({account.id for account in accounts}) == MORE_THAN_THE_DATA_API_GIVES


def test_the_data_api_gives_an_empty_list_to_whoever_has_no_account(repository: ConnectionRepository) -> None:
    assert repository.list_accounts(str(uuid.uuid4()), Deadline(20)) == ()


@pytest.mark.parametrize("function", ["list_accounts", "disconnect_account", "account_view"])
def test_a_browsers_key_calls_none_of_these_functions(stack: dict[str, str], function: str) -> None:
    headers = {"apikey": stack["supabase_publishable_key"]}
    arguments = {"payload": {"user_id": str(uuid.uuid4()), "account_id": str(uuid.uuid4())}}

    answer = httpx.post(f"{stack['supabase_url']}/rest/v1/rpc/{function}", headers=headers, json=arguments)

    assert answer.status_code in (401, 403, 404), answer.text
    assert answer.json()["code"] in ("42501", "PGRST202")
