"""Real Postgres with the migrations applied; each test's changes are rolled back."""

import uuid
from collections.abc import Iterator
from contextlib import closing
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
