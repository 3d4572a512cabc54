"""Postgres without the accounts of other tests."""

from collections.abc import Iterator

import pytest

from tests.support.database import Database, stored_user


@pytest.fixture
def database(database: Database) -> Database:
    """With nothing in it that other tests left behind."""
    database.execute("delete from auth.users")
    database.execute("delete from refresh_brakes")
    return database


@pytest.fixture
def shared(stack: dict[str, str]) -> Iterator[tuple[Database, str]]:
    """A user whom other sessions see, without brakes."""
    with stored_user(stack) as (database, user_id):
        database.execute("delete from refresh_brakes")
        yield database, user_id
