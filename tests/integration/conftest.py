"""Real Postgres with the migrations applied; each test's changes are rolled back."""

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from instagram_connect.data_api import DataApi
from instagram_connect.repository import ConnectionRepository

Database = psycopg.Connection[dict[str, Any]]


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
    with psycopg.connect(stack["database_url"], autocommit=True, row_factory=dict_row) as database:
        user_id = add_user(database)
        try:
            yield database, user_id
        finally:
            database.execute("delete from auth.users where id = %s", [user_id])
