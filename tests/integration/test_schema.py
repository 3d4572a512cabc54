"""The migrations and the schema contract say the same, and nobody can read or write what is not theirs."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from instagram_connect.storage.schema_contract import (
    CATALOG_FUNCTIONS,
    CATALOG_RELATIONS,
    FUNCTIONS,
    MIGRATIONS,
)
from local.settings import ROOT
from tests.support.database import Database
from tools import migrations

NOT_FOR_OWNERS = {
    "instagram_credentials",
    "data_deletion_requests",
    "refresh_brakes",
    "outgoing_events",
    "webhook_counts",
}
NOT_OF_AN_ACCOUNT = {"instagram_business_accounts", "data_deletion_requests", "refresh_brakes", "webhook_counts"}


def test_migrations_make_the_same_database_as_the_schemas(stack: dict[str, str]) -> None:
    """Bodies, comments, grants and policies included."""
    with migrations.both(stack["database_url"]) as (migrated, desired):
        assert migrations.plan(migrated, desired) == ""


def test_a_changed_body_would_be_noticed(stack: dict[str, str]) -> None:
    with migrations.both(stack["database_url"]) as (migrated, desired):
        with psycopg.connect(desired, autocommit=True) as database:
            database.execute(
                "create or replace function instagram_connect.delete_events(payload jsonb) returns jsonb"
                " language plpgsql set search_path = '' as 'begin return null; end'"
            )

        assert "delete_events" in migrations.plan(migrated, desired)


def test_the_catalog_of_the_code_is_the_one_of_the_schemas(stack: dict[str, str]) -> None:
    with migrations.database_of(stack["database_url"], "from_schemas", migrations.schema_files()) as url:
        assert migrations.CATALOG.read_text() == migrations.catalog(url), "run `make migration`"


def test_every_schema_file_is_applied_once_and_holds_what_its_name_says() -> None:
    files = migrations.schema_files()

    assert set(files) == set((ROOT / "supabase" / "schemas").rglob("*.sql"))
    assert {path.stem for path in files} == {
        "schema",
        *(name.rpartition(".")[2] for name in {*CATALOG_RELATIONS, *CATALOG_FUNCTIONS}),
    }


def test_no_function_is_longer_than_a_page() -> None:
    for path in migrations.schema_files():
        bodies = re.findall(r"\$\$\n(.*?)\n\$\$", path.read_text(), re.DOTALL)
        assert max((body.count("\n") + 1 for body in bodies), default=0) <= 85, path


@contextmanager
def project(stack: dict[str, str], name: str) -> Iterator[psycopg.Connection[Any]]:
    """A Supabase project without our migrations."""
    with (
        migrations.database_of(stack["database_url"], name, []) as url,
        psycopg.connect(url, autocommit=True) as database,
    ):
        yield database


def migrate(database: psycopg.Connection[Any]) -> None:
    for path in migrations.migration_files():
        database.execute(path.read_bytes())


def test_a_wrapper_is_as_volatile_as_its_function(database: Database) -> None:
    """PostgREST calls a stable function in a read-only transaction, the only kind that a standby allows."""
    rows = database.execute(
        "select inner_one.proname as name, wrapper.provolatile = inner_one.provolatile as is_equal from pg_proc wrapper"
        " join pg_proc inner_one on wrapper.proname = 'instagram_connect_' || inner_one.proname"
        " where wrapper.pronamespace = 'public'::regnamespace"
        " and inner_one.pronamespace = 'instagram_connect'::regnamespace"
    ).fetchall()

    assert len(rows) == len(FUNCTIONS)
    assert [row["name"] for row in rows if not row["is_equal"]] == []


def test_everyday_names_in_public_stay_the_projects(stack: dict[str, str]) -> None:
    """Tables, views and functions of the app under names that we use, or that are simply common."""
    takes_jsonb = "(payload jsonb) returns jsonb language sql as $$select '1'::jsonb$$"
    with project(stack, "everyday_names") as database:
        for name in ("api_usage", "webhook_events", "instagram_credentials", "daily_analytics", "outgoing_events"):
            database.execute(f"create table public.{name} (id int, theirs text)".encode())
            database.execute(f"insert into public.{name} values (1, 'kept')".encode())
        database.execute("create view public.instagram_dm_messages as select 'theirs' as text")
        database.execute("create type public.automation_workflows as enum ('theirs')")
        for name in ("announce", "take_events", "list_accounts", "store_connection", "is_login_product"):
            database.execute(f"create function public.{name}{takes_jsonb}".encode())
        migrate(database)

        kept = database.execute("select theirs from public.api_usage").fetchall()
        theirs = database.execute("select text from public.instagram_dm_messages").fetchall()
        announced = database.execute("select public.announce('{}')").fetchall()
        stored = database.execute("select public.instagram_connect_store_connection(null)").fetchall()
        views = database.execute(
            "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'v' order by 1"
        ).fetchall()

    assert (kept, theirs, announced, stored) == ([("kept",)], [("theirs",)], [(1,)], [(None,)])
    assert [name for (name,) in views] == [
        "instagram_dm_conversations",
        "instagram_dm_messages",
    ]


def test_a_project_with_a_table_of_accounts_is_left_alone_with_a_clear_error(stack: dict[str, str]) -> None:
    with project(stack, "existing_accounts") as database:
        database.execute("create table public.instagram_business_accounts (id int)")

        with pytest.raises(psycopg.errors.RaiseException, match="exists already"):
            migrate(database)

        assert database.execute("select from pg_namespace where nspname = 'instagram_connect'").fetchall() == []


@pytest.mark.parametrize(
    "change",
    [
        "alter table instagram_connect.daily_analytics add column source text",
        "alter table instagram_connect.daily_analytics rename column day to reported_on",
        "alter table instagram_connect.automation_workflows alter column name type varchar(200)",
    ],
)
def test_a_later_migration_applies_to_a_project_that_has_the_views(stack: dict[str, str], change: str) -> None:
    url = stack["database_url"]
    with (
        migrations.database_of(url, "before_change", migrations.migration_files()) as before,
        migrations.database_of(url, "after_change", migrations.schema_files()) as after,
        migrations.database_of(url, "a_project", migrations.migration_files()) as live,
    ):
        with psycopg.connect(after, autocommit=True) as database:
            database.execute(change.encode())
        with psycopg.connect(before, autocommit=True) as database:
            migrations.undo_closing(database)
        statements = migrations.plan(before, after, allow_drops=True)
        with psycopg.connect(live, autocommit=True) as database:
            database.execute(migrations.migration(statements, is_first=False).encode())
        with psycopg.connect(live, autocommit=True) as database:
            views = database.execute("select count(*) from pg_views where schemaname = 'public'").fetchone()
            migrations.undo_closing(database)

        assert migrations.plan(live, after) == ""
        assert views == (7,)


def test_an_added_column_is_known_to_belong_to_its_migration() -> None:
    added = 'ALTER TABLE "instagram_connect"."webhook_events" ADD COLUMN "note" text;\n'
    owned = 'ALTER TABLE "instagram_connect"."api_usage" OWNER TO "postgres";\n'

    assert migrations.made_by(added + owned) == ("instagram_connect.webhook_events",)


def test_a_project_that_grants_everything_by_default_opens_nothing_of_ours(stack: dict[str, str]) -> None:
    with project(stack, "generous_grants") as database:
        for kind in ("tables", "functions", "sequences"):
            database.execute(
                f"alter default privileges in schema public grant all on {kind} to anon, authenticated".encode()
            )
        migrate(database)

        open_relations = database.execute(
            "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')"
            " and (has_table_privilege('anon', oid, 'select, insert, update, delete')"
            " or has_table_privilege('authenticated', oid, 'insert, update, delete, truncate'))"
        ).fetchall()
        open_functions = database.execute(
            "select proname from pg_proc where pronamespace = 'public'::regnamespace"
            " and (has_function_privilege('anon', oid, 'execute')"
            " or has_function_privilege('authenticated', oid, 'execute'))"
        ).fetchall()

    assert (open_relations, open_functions) == ([], [])


@pytest.mark.parametrize("function", [name for name, arguments in FUNCTIONS.items() if arguments])
def test_a_function_asked_with_null_checks_the_grant_and_does_nothing(database: Database, function: str) -> None:
    database.execute("set local role service_role")
    answer = database.execute(f"select {function}(null) as answer").fetchone()
    database.execute("set local role authenticated")

    assert answer == {"answer": None}
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.execute(f"select {function}(null)")


@pytest.mark.parametrize("relation", CATALOG_RELATIONS)
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
        from pg_class where oid = to_regclass(%s)
        """,
        [relation],
    ).fetchone()

    assert row == {
        "protected": True,
        "described": True,
        "anon": None,
        "authenticated": None if relation.rpartition(".")[2] in NOT_FOR_OWNERS else ["select"],
        "service_role": ["select", "insert", "update", "delete"],
    }


@pytest.mark.parametrize("function", CATALOG_FUNCTIONS)
def test_only_the_backend_may_call_a_function(database: Database, function: str) -> None:
    row = database.execute(
        """
        select
          has_function_privilege('anon', oid, 'execute') as anon,
          has_function_privilege('authenticated', oid, 'execute') as authenticated,
          has_function_privilege('service_role', oid, 'execute') as service_role,
          obj_description(oid) is not null as described
        from pg_proc where pronamespace::regnamespace::text || '.' || proname = %s
        """,
        [function],
    ).fetchone()

    assert row == {"anon": False, "authenticated": False, "service_role": True, "described": True}


@pytest.mark.parametrize(
    "relation", [name for name in CATALOG_RELATIONS if name.rpartition(".")[2] not in NOT_OF_AN_ACCOUNT]
)
def test_what_belongs_to_an_account_goes_with_it(database: Database, relation: str) -> None:
    row = database.execute(
        "select confdeltype from pg_constraint where contype = 'f' and conrelid = to_regclass(%s) "
        "and confrelid = 'public.instagram_business_accounts'::regclass",
        [relation],
    ).fetchone()

    assert row == {"confdeltype": b"c"} or row == {"confdeltype": "c"}


def test_each_migration_is_declared_with_what_it_creates() -> None:
    assert set(MIGRATIONS) == {path.name.split("_")[0] for path in migrations.migration_files()}
    assert {name for made in MIGRATIONS.values() for name in made} == {*CATALOG_RELATIONS, *CATALOG_FUNCTIONS}


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
