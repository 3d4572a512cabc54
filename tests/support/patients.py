"""Projects with a fault in their database or their Data API, and what the doctor has to say of each."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from psycopg.rows import dict_row

from instagram_connect.doctor.contract_check import refusals
from instagram_connect.doctor.examination import examine
from instagram_connect.doctor.project import Project
from instagram_connect.doctor.report import Report
from instagram_connect.storage.diagnosis import STALE, Diagnosis
from instagram_connect.storage.schema_contract import CATALOG_RELATIONS, MIGRATIONS
from local.database import connect
from local.settings import ROOT
from tests.support.local_system import LocalSystem
from tests.support.polling import eventually

SERVICES = ("postgres", "supabase", "postgrest")
LITE, POSTGREST = "lite", "postgrest"
# As a restore would: DDL without the event triggers that reload the schema cache.
QUIETLY = "set session_replication_role = replica"
WAITING_S = 0.6


@dataclass(frozen=True)
class Patient:
    """A project with a database to break, and the keys to examine it."""

    engine: str
    system: LocalSystem
    values: dict[str, str]

    @property
    def with_database(self) -> Project:
        return Project(self.values["supabase_url"], self.values["supabase_secret_key"], self.values["database_url"])

    @property
    def with_key_only(self) -> Project:
        return replace(self.with_database, database_url=None)

    def sql(self, *statements: str) -> list[dict[str, Any]]:
        """Runs statements in one session; answers the rows of the last."""
        with connect(self.values["database_url"], autocommit=True, row_factory=dict_row) as database:
            cursor = database.cursor()
            for statement in statements:
                cursor.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def refused(self, diagnosis: Diagnosis | None = None) -> set[str]:
        """What of the contract the Data API refuses, for this reason or for any."""
        with closing(self.with_key_only) as project:
            found = refusals(project.data_api, limit_s=4)
        return {refusal.name for refusal in found if diagnosis in (None, refusal.diagnosis)}

    def is_well(self) -> bool:
        """Whether everything is known again; if not, a reload is asked for: of many at once one can be overtaken."""
        refused = self.refused()
        if refused:
            self.sql("notify pgrst, 'reload schema'")
        return not refused

    def start_anew(self) -> None:
        """Brings all services up; PostgREST as a new process, because it waits longer after each failed attempt."""
        self.system.processes.stop(["postgrest"])
        self.system.up(SERVICES, DATA_API=self.engine)
        assert eventually(lambda: not self.refused()), self.refused()

    @contextmanager
    def broken(self, inject: tuple[str, ...], undo: tuple[str, ...]) -> Iterator[None]:
        try:
            self.sql(*inject)
            yield
        finally:
            self.sql(*undo)
            assert eventually(self.is_well), self.refused()


def examined(project: Project, waiting_s: float = WAITING_S) -> Report:
    with closing(project):
        return examine(project, waiting_s=waiting_s)


def both(patient: Patient) -> tuple[Report, Report]:
    """The examination with the database URL and the one with the API key alone, at the same time."""
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(examined, (patient.with_database, patient.with_key_only))
    for report in (first, second):
        assert_no_secret(patient, report)
    # Never sure of a cause that is not the one.
    assert not second.is_certain or second.cause == first.cause
    return first, second


def assert_no_secret(patient: Patient, report: Report) -> None:
    text = str(report.as_dict())
    for name in ("supabase_secret_key", "supabase_publishable_key", "database_url"):
        assert patient.values[name] not in text


def unrecorded(version: str) -> tuple[str, str]:
    """Takes a version out of the history of migrations, and puts it back."""
    table = "update supabase_migrations.schema_migrations set version"
    return f"{table} = '0{version}' where version = '{version}'", f"{table} = '{version}' where version = '0{version}'"


@dataclass(frozen=True)
class Case:
    """A cause in SQL, its end, and what the doctor has to say: the cause, what it names, and the command."""

    cause: str
    inject: tuple[str, ...]
    undo: tuple[str, ...]
    names: str
    command: str
    with_key_only: str
    is_sure_with_key_only: bool = False
    engines: tuple[str, ...] = (LITE, POSTGREST)


VERSION = min(MIGRATIONS)
UNRECORDED, RECORDED = unrecorded(VERSION)
RENAMED_TABLE = ("alter table daily_analytics rename to gone", "alter table gone rename to daily_analytics")
RENAMED_FUNCTION = (
    "alter function instagram_connect.list_accounts(jsonb) rename to gone",
    "alter function instagram_connect.gone rename to list_accounts",
)
END_POSTGREST_SESSIONS = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator'"


def renamed(name: str, new_name: str) -> str:
    kind = "table" if name in CATALOG_RELATIONS else "function"
    return f"alter {kind} {name} rename to {new_name}"


def gone(name: str) -> str:
    return f"gone_{name.rpartition('.')[2]}"[:63]


def away(name: str) -> str:
    return renamed(name, gone(name))


def back(name: str) -> str:
    schema, _, own = name.rpartition(".")
    kind = "table" if name in CATALOG_RELATIONS else "function"
    return f"alter {kind} {schema}.{gone(name)} rename to {own}"


def migration_without_objects(with_key_only: str, engine: str) -> Case:
    """The reload is explicit: or the guess depends on whether the other examination has asked for one by then."""
    return Case(
        "MIGRATION_WITHOUT_OBJECTS",
        (*map(away, MIGRATIONS[VERSION]), "notify pgrst, 'reload schema'"),
        tuple(map(back, MIGRATIONS[VERSION])),
        "instagram_connect.api_usage",
        f"supabase migration repair --status reverted {VERSION} && supabase db push",
        with_key_only,
        engines=(engine,),
    )


BODY_OF_DELETE_EVENTS = ((ROOT / "supabase" / "schemas" / "outbox" / "delete_events.sql").read_text(),)

CASES = {
    "a table that no migration made": Case(
        "TABLE_MISSING",
        (RENAMED_TABLE[0], UNRECORDED),
        (RENAMED_TABLE[1], RECORDED),
        "daily_analytics",
        "supabase db push",
        "TABLE_MISSING",
    ),
    "a column that no migration made": Case(
        "COLUMN_MISSING",
        ("alter table api_usage rename column used_percent to gone", UNRECORDED),
        ("alter table api_usage rename column gone to used_percent", RECORDED),
        "api_usage.used_percent",
        "supabase db push",
        "COLUMN_MISSING",
    ),
    "a function that no migration made": Case(
        "FUNCTION_MISSING",
        (RENAMED_FUNCTION[0], UNRECORDED),
        (RENAMED_FUNCTION[1], RECORDED),
        "list_accounts(payload)",
        "supabase db push",
        "FUNCTION_MISSING",
    ),
    "a function with other arguments": Case(
        "FUNCTION_MISSING",
        (
            RENAMED_FUNCTION[0],
            "create function instagram_connect.list_accounts(account text, day date) returns jsonb"
            " language sql as 'select null::jsonb'",
            UNRECORDED,
        ),
        ("drop function instagram_connect.list_accounts(text, date)", RENAMED_FUNCTION[1], RECORDED),
        "list_accounts(account, day)",
        "supabase db push",
        "FUNCTION_MISSING",
    ),
    "the function that the doctor asks": Case(
        "FUNCTION_MISSING",
        ("alter function instagram_connect_describe_schema(jsonb) rename to gone",),
        ("alter function public.gone rename to instagram_connect_describe_schema",),
        "instagram_connect_describe_schema(payload)",
        "supabase migration new restore_instagram_connect_describe_schema",
        "SCHEMA_CACHE_STALE",
    ),
    # A read of a table that its cache lacks PostgREST hands to Postgres, and Lite refuses itself.
    "the newest migration, which made nothing": migration_without_objects("TABLE_MISSING", POSTGREST),
    "the newest migration, which made nothing, as Lite sees it": migration_without_objects(STALE.reason, LITE),
    "a migration that only replaces a function": Case(
        "FUNCTION_OUTDATED",
        (
            "create or replace function instagram_connect.delete_events(payload jsonb) returns jsonb language plpgsql"
            " set search_path = '' as 'begin return null; end'",
            UNRECORDED,
        ),
        (*BODY_OF_DELETE_EVENTS, RECORDED),
        "instagram_connect.delete_events",
        "supabase db push",
        "FUNCTION_OUTDATED",
    ),
    "a function that only the others call": Case(
        "FUNCTION_MISSING",
        ("alter function account_view(instagram_business_accounts) rename to gone",),
        ("alter function instagram_connect.gone rename to account_view",),
        "account_view(account)",
        "supabase migration new restore_account_view",
        "FUNCTION_MISSING",
    ),
    "a table that was removed after its migration": Case(
        "TABLE_MISSING",
        RENAMED_TABLE[:1],
        RENAMED_TABLE[1:],
        "daily_analytics",
        "supabase migration new restore_daily_analytics",
        "TABLE_MISSING",
    ),
    "a table's privilege": Case(
        "PERMISSION_DENIED",
        ("revoke insert, delete on webhook_events from service_role",),
        ("grant insert, delete on webhook_events to service_role",),
        "webhook_events",
        "grant insert, delete on table instagram_connect.webhook_events to service_role;",
        "PERMISSION_DENIED",
        is_sure_with_key_only=True,
    ),
    "a function's privilege": Case(
        "PERMISSION_DENIED",
        ("revoke execute on function list_accounts from service_role",),
        ("grant execute on function list_accounts to service_role",),
        "list_accounts",
        "grant execute on function instagram_connect.list_accounts(payload jsonb) to service_role;",
        "PERMISSION_DENIED",
        is_sure_with_key_only=True,
    ),
    "the schema's privilege": Case(
        "PERMISSION_DENIED",
        ("revoke usage on schema public from public, service_role",),
        ("grant usage on schema public to public, service_role",),
        "schema public",
        "grant usage on schema public to service_role;",
        "PERMISSION_DENIED",
    ),
    "row-level security": Case(
        "ROW_LEVEL_SECURITY",
        ("alter role service_role nobypassrls",),
        ("alter role service_role bypassrls",),
        "service_role",
        "alter role service_role bypassrls;",
        "ROW_LEVEL_SECURITY",
        is_sure_with_key_only=True,
    ),
    "a read-only database": Case(
        "DATABASE_READ_ONLY",
        ("alter system set default_transaction_read_only = on", "select pg_reload_conf()"),
        (
            "set session characteristics as transaction read write",
            "alter system reset default_transaction_read_only",
            "select pg_reload_conf()",
        ),
        "default_transaction_read_only",
        "alter system reset default_transaction_read_only; select pg_reload_conf();",
        "DATABASE_READ_ONLY",
        is_sure_with_key_only=True,
    ),
    "a schema that is not exposed": Case(
        "SCHEMA_NOT_EXPOSED",
        (
            "alter role authenticator set pgrst.db_schemas = 'extensions'",
            "notify pgrst, 'reload config'",
            "notify pgrst, 'reload schema'",
        ),
        (
            "alter role authenticator reset pgrst.db_schemas",
            "notify pgrst, 'reload config'",
            "notify pgrst, 'reload schema'",
        ),
        "public",
        "alter role authenticator set pgrst.db_schemas = 'public, extensions'",
        "SCHEMA_NOT_EXPOSED",
        is_sure_with_key_only=True,
        engines=(POSTGREST,),
    ),
}
