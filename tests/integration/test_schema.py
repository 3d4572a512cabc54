"""The migrations and the schema contract say the same, and nobody can read or write what is not theirs."""

import psycopg
import pytest

from instagram_connect.storage.schema_contract import FUNCTIONS, INTERNAL_FUNCTIONS, MIGRATIONS, RELATIONS
from local.settings import ROOT
from tests.support.database import Database

READABLE_BY_OWNERS = set(RELATIONS) - {
    "instagram_credentials",
    "data_deletion_requests",
    "refresh_brakes",
    "outgoing_events",
    "webhook_counts",
}
WITH_BUSINESS_ACCOUNT = set(RELATIONS) - {
    "instagram_business_accounts",
    "data_deletion_requests",
    "refresh_brakes",
    "webhook_counts",
}


def test_the_contract_lists_exactly_the_relations_and_columns_that_the_migrations_make(database: Database) -> None:
    rows = database.execute(
        "select table_name, array_agg(column_name::text) as columns from information_schema.columns "
        "where table_schema = 'public' group by table_name"
    ).fetchall()

    assert {row["table_name"]: set(row["columns"]) for row in rows} == {
        relation: set(columns) for relation, columns in RELATIONS.items()
    }


def test_the_contract_lists_exactly_the_functions_and_arguments_that_the_migrations_make(database: Database) -> None:
    rows = database.execute(
        "select proname, coalesce(proargnames, '{}') as arguments from pg_proc "
        "where pronamespace = 'public'::regnamespace"
    ).fetchall()

    assert {row["proname"]: tuple(row["arguments"]) for row in rows} == {**FUNCTIONS, **INTERNAL_FUNCTIONS}


@pytest.mark.parametrize("function", [name for name, arguments in FUNCTIONS.items() if arguments])
def test_a_function_asked_with_null_checks_the_grant_and_does_nothing(database: Database, function: str) -> None:
    database.execute("set local role service_role")
    answer = database.execute(f"select {function}(null) as answer").fetchone()
    database.execute("set local role authenticated")

    assert answer == {"answer": None}
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.execute(f"select {function}(null)")


@pytest.mark.parametrize("relation", RELATIONS)
def test_row_level_security_is_on_and_only_owners_and_the_backend_get_in(database: Database, relation: str) -> None:
    row = database.execute(
        """
        select
          relrowsecurity as protected,
          obj_description(oid) is not null as described,
          (select array_agg(p) from unnest(array['select','insert','update','delete']) p
            where has_table_privilege('anon', oid, p)) as anon,
          (select array_agg(p) from unnest(array['select','insert','update','delete']) p
            where has_table_privilege('authenticated', oid, p)) as authenticated,
          (select array_agg(p) from unnest(array['select','insert','update','delete']) p
            where has_table_privilege('service_role', oid, p)) as service_role
        from pg_class where oid = to_regclass('public.' || %s)
        """,
        [relation],
    ).fetchone()

    assert row == {
        "protected": True,
        "described": True,
        "anon": None,
        "authenticated": ["select"] if relation in READABLE_BY_OWNERS else None,
        "service_role": ["select", "insert", "update", "delete"],
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_the_backend_may_call_a_function(database: Database, function: str) -> None:
    row = database.execute(
        """
        select
          has_function_privilege('anon', oid, 'execute') as anon,
          has_function_privilege('authenticated', oid, 'execute') as authenticated,
          has_function_privilege('service_role', oid, 'execute') as service_role,
          obj_description(oid) is not null as described
        from pg_proc where proname = %s and pronamespace = 'public'::regnamespace
        """,
        [function],
    ).fetchone()

    assert row == {"anon": False, "authenticated": False, "service_role": True, "described": True}


@pytest.mark.parametrize("relation", sorted(WITH_BUSINESS_ACCOUNT))
def test_what_belongs_to_an_account_goes_with_it(database: Database, relation: str) -> None:
    row = database.execute(
        "select confdeltype from pg_constraint where contype = 'f' and conrelid = to_regclass('public.' || %s) "
        "and confrelid = 'public.instagram_business_accounts'::regclass",
        [relation],
    ).fetchone()

    assert row == {"confdeltype": b"c"} or row == {"confdeltype": "c"}


def test_each_migration_is_declared_with_what_it_makes_of_the_contract() -> None:
    files = {path.name.split("_")[0]: path.read_text() for path in (ROOT / "supabase" / "migrations").glob("*.sql")}

    assert set(MIGRATIONS) == set(files)
    assert {name for made in MIGRATIONS.values() for name in made} == {*RELATIONS, *FUNCTIONS, *INTERNAL_FUNCTIONS}
    for version, made in MIGRATIONS.items():
        for name in made:
            kind = "table" if name in RELATIONS else "function"
            assert f"create {kind} public.{name} (" in files[version].replace(f"{name}(", f"{name} (")


def test_the_event_triggers_watch_every_change_of_the_schema(database: Database) -> None:
    rows = database.execute(
        "select evtname, evtevent, evtenabled::text, evtfoid::regproc::text as function from pg_event_trigger "
        "order by evtname"
    ).fetchall()

    assert rows == [
        {
            "evtname": "pgrst_ddl_watch",
            "evtevent": "ddl_command_end",
            "evtenabled": "O",
            "function": "extensions.pgrst_ddl_watch",
        },
        {
            "evtname": "pgrst_drop_watch",
            "evtevent": "sql_drop",
            "evtenabled": "O",
            "function": "extensions.pgrst_drop_watch",
        },
    ]
