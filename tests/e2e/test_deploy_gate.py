"""The deploy gate: invoked directly, and in a deploy that it must stop."""

from typing import Any

import psycopg
import pytest

from local.database import connect
from local.errors import LocalSystemError
from local.stack import up
from tests.support.app import App, User
from tests.support.deployed import invoke, invoke_gate
from tests.support.home import TEST_HOME


@pytest.fixture
def database(stack: dict[str, str]) -> Any:
    with connect(stack["database_url"], autocommit=True) as connection:
        yield connection


def test_gate_names_a_dropped_function_and_passes_once_it_is_restored(
    aws: dict[str, Any], database: psycopg.Connection[Any]
) -> None:
    database.execute("alter function store_connection(jsonb) rename to store_connection_gone")
    try:
        closed = invoke_gate(aws, "Update")
        deleted = invoke_gate(aws, "Delete")
    finally:
        # Disable the event triggers that reload the cache after a change.
        database.execute("set session_replication_role = replica")
        database.execute("alter function store_connection_gone(jsonb) rename to store_connection")

    # The cache still lacks the function here, so the gate itself must request the reload.
    opened = invoke_gate(aws, "Update")

    assert closed["Status"] == "FAILED"
    assert "store_connection(payload)" in closed["Reason"]
    assert "Run: supabase migration " in closed["Reason"]
    assert deleted["Status"] == "SUCCESS"
    assert opened["Status"] == "SUCCESS"


def test_gate_fails_on_a_missing_grant_and_shows_the_statement_to_fix_it(
    aws: dict[str, Any], database: psycopg.Connection[Any]
) -> None:
    database.execute("revoke insert on daily_analytics from service_role")
    try:
        closed = invoke_gate(aws, "Update")
    finally:
        database.execute("grant insert on daily_analytics to service_role")

    assert closed["Status"] == "FAILED"
    assert "grant insert on table instagram_connect.daily_analytics to service_role;" in closed["Reason"]


def test_doctor_function_returns_a_report(aws: dict[str, Any], database: psycopg.Connection[Any]) -> None:
    database.execute("alter event trigger pgrst_drop_watch disable")
    try:
        report = invoke(aws, "DoctorFunction", {})
    finally:
        database.execute("alter event trigger pgrst_drop_watch enable")

    assert report["cause"] == "HEALTHY", report
    assert [warning["cause"] for warning in report["warnings"]] == ["DDL_TRIGGERS_MISSING"]


def test_deploy_with_a_missing_table_is_rolled_back_and_the_old_version_keeps_serving(
    app: App, user: User, aws: dict[str, Any], database: psycopg.Connection[Any], stack_environment: dict[str, str]
) -> None:
    database.execute("alter table daily_analytics rename to daily_analytics_gone")
    changed = {**stack_environment, "WEBHOOK_VERIFY_TOKEN": "another-token-another-revision"}
    try:
        with pytest.raises(LocalSystemError) as caught:
            up(TEST_HOME, changed)
        status = _status(aws, app)
        # The previous code is back, and connections that do not need the table still work.
        response = app.exchange(user, app.log_in())
    finally:
        database.execute("alter table daily_analytics_gone rename to daily_analytics")
        database.execute("notify pgrst, 'reload schema'")
        up(TEST_HOME, stack_environment)

    assert "daily_analytics" in str(caught.value)
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert response.status_code == 200


def _status(aws: dict[str, Any], app: App) -> str:
    stacks = aws["client"]("cloudformation").describe_stacks(StackName=app.stack["stack_name"])["Stacks"]
    return str(stacks[0]["StackStatus"])
