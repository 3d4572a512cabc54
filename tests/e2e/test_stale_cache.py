"""The incident that this product exists to end: the Data API does not know what a migration made."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from tests.e2e.conftest import App, User

UNKNOWN = {"PGRST202", None}  # None: PostgREST 12 may answer without a code


@contextmanager
def unknown_to_the_cache(app: App, function: str) -> Iterator[None]:
    """The function exists, and the schema cache was last read while it did not."""
    with psycopg.connect(app.stack["database_url"], autocommit=True) as database:
        database.execute(f"alter function {function}(jsonb) rename to away")
        database.execute("notify pgrst, 'reload schema'")
        _wait_until_unknown(app, function)
        # As a restore would: without the event triggers that reload the cache after a change.
        database.execute("set session_replication_role = replica")
        database.execute(f"alter function away(jsonb) rename to {function}")
        try:
            yield
        finally:
            database.execute("notify pgrst, 'reload schema'")


def _wait_until_unknown(app: App, function: str) -> None:
    for _ in range(100):
        answer = ask(app, function)
        if answer.status_code == 404 and answer.json().get("code") in UNKNOWN:
            return
    raise AssertionError("the cache still knows the function")


def ask(app: App, function: str) -> httpx.Response:
    headers = {"apikey": app.stack["supabase_secret_key"]}
    return app.http.post(f"{app.stack['supabase_url']}/rest/v1/rpc/{function}", headers=headers, json={"payload": None})


def test_a_stale_cache_costs_no_connection(app: App, user: User) -> None:
    undisturbed = app.exchange(user, app.log_in())
    answers = []
    for _ in range(3):
        code = app.log_in()
        with unknown_to_the_cache(app, "store_connection"):
            assert ask(app, "store_connection").status_code == 404
            answers.append(app.exchange(user, code))

    assert [answer.status_code for answer in [undisturbed, *answers]] == [200] * 4
    assert [answer.json()["data"]["businessAccountId"] for answer in answers] == [
        undisturbed.json()["data"]["businessAccountId"]
    ] * 3


@pytest.mark.parametrize("function", ["list_accounts", "disconnect_account"])
def test_every_other_use_of_storage_heals_too(app: App, user: User, function: str) -> None:
    accounts = app.connect(user)

    with unknown_to_the_cache(app, function):
        answer = (
            app.call(user, "GET", "/instagram/accounts")
            if function == "list_accounts"
            else app.call(user, "DELETE", f"/instagram/accounts/{accounts[0]['id']}")
        )

    assert answer.status_code == 200, answer.text
