"""Postgres with an account whose owner makes privacy requests."""

import pytest

from tests.support.database import Database
from tests.support.webhook_world import (
    PERSON,
    Connected,
    connect,
    forget_others,
)


@pytest.fixture
def database(database: Database) -> Database:
    forget_others(database)
    return database


@pytest.fixture
def account(database: Database, user_id: str) -> Connected:
    return connect(database, user_id, person=PERSON)
