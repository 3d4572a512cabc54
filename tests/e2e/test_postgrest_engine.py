"""Connecting with the real PostgREST as Data API."""

from collections.abc import Iterator

import httpx
import pytest

from local.database import connect
from local.stack import up
from tests.support.app import App
from tests.support.deployed import invoke_gate
from tests.support.home import TEST_HOME
from tests.support.stale_cache import unknown_to_the_cache


@pytest.fixture(scope="module")
def on_postgrest(stack: dict[str, str], stack_environment: dict[str, str]) -> Iterator[dict[str, str]]:
    yield up(TEST_HOME, {**stack_environment, "DATA_API": "postgrest"})
    up(TEST_HOME, stack_environment)


@pytest.fixture
def app(on_postgrest: dict[str, str]) -> Iterator[App]:
    with httpx.Client(timeout=60, trust_env=False) as http:
        app = App(on_postgrest, http)
        app.meta("POST", "/reset")
        yield app


def test_accounts_are_stored_and_readable_only_by_their_owner(app: App) -> None:
    user, stranger = app.sign_up(), app.sign_up()

    response = app.exchange(user, app.log_in())

    query = "instagram_business_accounts?select=instagram_business_id&order=instagram_business_id"
    assert response.status_code == 200
    assert [row["instagram_business_id"] for row in app.read(user, query).json()] == [
        "17841400000000001",
        "17841400000000002",
    ]
    assert app.read(stranger, query).json() == []
    assert app.read(user, "instagram_credentials?select=*").json()["code"] == "42501"


def test_stale_cache_loses_no_connection(app: App) -> None:
    user = app.sign_up()
    code = app.log_in()

    with unknown_to_the_cache(app, "store_connection"):
        response = app.exchange(user, code)

    assert response.status_code == 200, response.text


def test_deploy_gate_names_what_postgrest_is_missing(app: App, aws: dict[str, object]) -> None:
    with connect(app.stack["database_url"], autocommit=True) as database:
        database.execute("alter table api_usage rename to api_usage_gone")
        try:
            closed = invoke_gate(aws, "Update")
        finally:
            database.execute("alter table api_usage_gone rename to api_usage")

    opened = invoke_gate(aws, "Update")

    assert (closed["Status"], opened["Status"]) == ("FAILED", "SUCCESS")
    assert "api_usage" in closed["Reason"]
