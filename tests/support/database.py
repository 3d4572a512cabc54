"""Postgres for integration tests: sessions, users, and the schema's functions called in a test's own transaction."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row, tuple_row
from psycopg.types.json import Jsonb

from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.schema_contract import CATALOG_RELATIONS
from local.database import connect
from local.settings import ROOT

Database = psycopg.Connection[dict[str, Any]]


MIGRATIONS = sorted((ROOT / "supabase" / "migrations").glob("*.sql"))


PLATFORM = ROOT / "local" / "supabase" / "platform.sql"


class Postgres:
    """Stands for `Rpcs`: calls the functions in a test's own transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def call(self, function: str, payload: Any, deadline: Deadline) -> Any:
        return call(self._database, function, Jsonb(payload))

    call_patiently = call


# Every table of ours with its columns, by its name alone.
TABLES: Mapping[str, tuple[str, ...]] = {
    name.rpartition(".")[2]: columns for name, columns in CATALOG_RELATIONS.items()
}


def call(database: Database, function: str, payload: Jsonb | None) -> Any:
    query = sql.SQL("select {}(%s) as answer").format(sql.Identifier("instagram_connect", function))
    row = database.execute(query, [payload]).fetchone()
    assert row is not None
    return row["answer"]


def session(stack: dict[str, str]) -> Database:
    """Another session, each of whose statements is a transaction."""
    return connect(stack["database_url"], autocommit=True, row_factory=dict_row)


def add_user(database: Database) -> str:
    """A user of Supabase Auth, as far as foreign keys are concerned."""
    user_id = str(uuid.uuid4())
    database.execute("insert into auth.users (id, email) values (%s, %s)", [user_id, f"{user_id}@example.com"])
    return user_id


@contextmanager
def stored_user(stack: dict[str, str]) -> Iterator[tuple[Database, str]]:
    """A user whom other sessions and the Data API see too; gone in the end with everything of theirs."""
    with session(stack) as database:
        user_id = add_user(database)
        try:
            yield database, user_id
        finally:
            database.execute("delete from auth.users where id = %s", [user_id])


@contextmanager
def own_database(stack: dict[str, str], name: str) -> Iterator[psycopg.Connection[Any]]:
    """A database of its own with the migrations, each of whose statements is a transaction, for tests that commit."""
    with connect(stack["database_url"], autocommit=True) as server:
        server.execute(f"drop database if exists {name} with (force)".encode())
        server.execute(f"create database {name}".encode())
        url = stack["database_url"].rsplit("/", 1)[0] + f"/{name}"
        with connect(url, autocommit=True) as database:
            database.execute("create schema auth")
            database.execute("create table auth.users (id uuid primary key, email text)")
            for path in [PLATFORM, *MIGRATIONS]:
                database.execute(path.read_bytes())
            yield database
        server.execute(f"drop database {name} with (force)".encode())


@contextmanager
def functions_restored(database: psycopg.Connection[Any]) -> Iterator[None]:
    """Functions may be changed; afterwards they are as they were."""
    with psycopg.Cursor(database, row_factory=tuple_row) as cursor:
        query = "select pg_get_functiondef(oid) from pg_proc where pronamespace = 'instagram_connect'::regnamespace"
        definitions = cursor.execute(query).fetchall()
        yield
        for (definition,) in definitions:
            cursor.execute(definition.encode())


def redefine(database: psycopg.Connection[Any], function: str, old: str, new: str) -> None:
    """Replaces a part of a function, which has to be there."""
    with psycopg.Cursor(database, row_factory=tuple_row) as cursor:
        row = cursor.execute("select pg_get_functiondef(%s::regproc)", [f"instagram_connect.{function}"]).fetchone()
        assert row is not None
        assert old in row[0]
        cursor.execute(row[0].replace(old, new).encode())


def unique_id(prefix: str = "1784") -> str:
    """An id that no other test's account or person has, because theirs would decide what is the last one."""
    return f"{prefix}{uuid.uuid4().int % 10**13:013}"


def disconnect(database: Database, user_id: str, account_id: str, request_id: str = "r-disconnect") -> Any:
    payload = {"user_id": user_id, "account_id": account_id, "request_id": request_id}
    row = database.execute("select instagram_connect.disconnect_account(%s) as answer", [Jsonb(payload)]).fetchone()
    assert row is not None
    return row["answer"]
