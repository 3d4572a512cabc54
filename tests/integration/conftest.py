"""Real Postgres with the migrations applied; each test's changes are rolled back."""

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from instagram_connect.data_api import DataApi
from instagram_connect.deadline import Deadline
from instagram_connect.repository import ConnectionRepository

Database = psycopg.Connection[dict[str, Any]]


class Postgres:
    """Stands for `Rpcs`: calls the functions in a test's own transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def call(self, function: str, payload: Any, deadline: Deadline) -> Any:
        return call(self._database, function, Jsonb(payload))

    call_patiently = call


def call(database: Database, function: str, payload: Jsonb | None) -> Any:
    query = sql.SQL("select {}(%s) as answer").format(sql.Identifier(function))
    row = database.execute(query, [payload]).fetchone()
    assert row is not None
    return row["answer"]


def session(stack: dict[str, str]) -> Database:
    """Another session, each of whose statements is a transaction."""
    return psycopg.connect(stack["database_url"], autocommit=True, row_factory=dict_row)


@pytest.fixture
def database(stack: dict[str, str]) -> Iterator[Database]:
    with psycopg.connect(stack["database_url"], row_factory=dict_row) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def repository(stack: dict[str, str]) -> Iterator[ConnectionRepository]:
    """Storage as the functions reach it, through the Data API."""
    with closing(DataApi(stack["supabase_url"], stack["supabase_secret_key"])) as data_api:
        yield ConnectionRepository(data_api)


@pytest.fixture
def user_id(database: Database) -> str:
    return add_user(database)


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
