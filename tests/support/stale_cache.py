"""Makes the Data API's schema cache stale, like a migration without a reload."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from instagram_connect.storage.schema_contract import rpc_name
from local.database import connect
from tests.support.app import App

UNKNOWN = {"PGRST202", None}  # None: PostgREST 12 may answer without a code


@contextmanager
def unknown_to_the_cache(app: App, function: str) -> Iterator[None]:
    """The function exists, and the schema cache was last read while it did not."""
    function = rpc_name(function)
    with connect(app.stack["database_url"], autocommit=True) as database:
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
