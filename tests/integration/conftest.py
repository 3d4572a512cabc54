"""Real Postgres with the migrations applied; each test's changes are rolled back."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from psycopg.rows import dict_row

from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.storage.data_api import DataApi
from local.database import connect
from tests.support.database import Database, add_user


@pytest.fixture
def database(stack: dict[str, str]) -> Iterator[Database]:
    with connect(stack["database_url"], row_factory=dict_row) as connection:
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
