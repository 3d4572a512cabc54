"""Every cause that the doctor tells, made for real, with both engines behind the Data API.

Each is examined twice: with the database URL, where the doctor has to be sure, and with the API key alone, where it may
only be sure of what is so.
"""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from psycopg.rows import dict_row

from instagram_connect.doctor import catalog
from instagram_connect.doctor.contract_check import refusals
from instagram_connect.doctor.examination import examine
from instagram_connect.doctor.project import Project
from instagram_connect.doctor.report import HEALTHY, Report
from instagram_connect.storage.diagnosis import CACHE_EMPTY, STALE, Diagnosis
from instagram_connect.storage.schema_contract import CATALOG_RELATIONS, FUNCTIONS, MIGRATIONS, RELATIONS
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


@pytest.fixture(scope="module", params=[LITE, POSTGREST])
def patient(request: pytest.FixtureRequest, system: LocalSystem) -> Patient:
    patient = Patient(request.param, system, system.up(SERVICES, DATA_API=request.param))
    assert eventually(lambda: not patient.refused()), patient.refused()
    return patient


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


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_cause_is_told_with_its_name_and_command(patient: Patient, case: Case) -> None:
    if patient.engine not in case.engines:
        pytest.skip("this engine has no such setting")

    with patient.broken(case.inject, case.undo):
        # What is not a catalog's matter takes Postgres' and PostgREST's processes a moment.
        assert LITE in case.engines or eventually(lambda: bool(patient.refused()))
        assert not case.is_sure_with_key_only or eventually(lambda: examined(patient.with_key_only).cause != HEALTHY)
        # Until it has read the schema again, it hands on what the database then refuses: another guess.
        assert case.with_key_only != STALE.reason or eventually(lambda: bool(patient.refused(STALE)))
        sure, guess = both(patient)

    assert (sure.cause, sure.is_certain, sure.actor) == (case.cause, True, "operator")
    assert (guess.cause, guess.is_certain) == (case.with_key_only, case.is_sure_with_key_only)
    assert case.names in sure.sentence
    assert sure.command is not None
    assert case.command in sure.command
    assert guess.is_certain or "DATABASE_URL" in (guess.needed_to_be_sure or "")


def test_nothing_is_wrong_with_a_healthy_project(patient: Patient) -> None:
    sure, guess = both(patient)

    assert (sure.cause, guess.cause) == ("HEALTHY", "HEALTHY")
    assert (sure.is_certain, guess.is_certain) == (True, True)
    assert sure.warnings == guess.warnings == ()


def make_unknown(patient: Patient, *functions: str) -> None:
    """The functions exist, and the cache was last read while they did not."""
    # In one transaction: a second reload would still be under way when the functions are back.
    patient.sql("; ".join(f"alter function {function} rename to {function}_away" for function in functions))
    names = {f"{function}(payload)" for function in functions}
    # By the cache, not by Postgres: the reload is over then.
    assert eventually(lambda: patient.refused(STALE) == names)
    # PostgREST puts off a second reload by a tenth of a second and then does it, of which nothing can be seen.
    time.sleep(0.5)
    assert patient.refused(STALE) == names


def bring_back(patient: Patient, *functions: str) -> None:
    patient.sql(QUIETLY, *(f"alter function {function}_away rename to {function}" for function in functions))


@pytest.mark.parametrize("has_database_url", [True, False])
def test_a_stale_cache_is_mended_by_the_doctors_own_reload_which_it_says(
    patient: Patient, has_database_url: bool
) -> None:
    make_unknown(patient, "instagram_connect_list_accounts")
    bring_back(patient, "instagram_connect_list_accounts")

    report = examined(patient.with_database if has_database_url else patient.with_key_only)

    assert (report.cause, report.is_certain, report.is_mended) == ("SCHEMA_CACHE_STALE", True, True)
    assert "instagram_connect_list_accounts(payload)" in report.sentence
    assert "reload that this examination asked for" in report.sentence
    assert patient.refused() == set()


@contextmanager
def deaf_listener(patient: Patient) -> Iterator[None]:
    """The session in which the Data API listens stands still: alive and deaf, as after the bug of Postgres's queue."""
    (listener,) = patient.sql(
        "select pid from pg_stat_activity where query ilike 'listen \"pgrst\"%' and pid <> pg_backend_pid()"
    )
    os.kill(listener["pid"], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(listener["pid"], signal.SIGCONT)
        patient.sql("notify pgrst, 'reload schema'")
        assert eventually(lambda: not patient.refused())


def test_a_listener_that_does_not_hear_is_told_from_a_stale_cache(patient: Patient) -> None:
    make_unknown(patient, "instagram_connect_list_accounts")
    with deaf_listener(patient):
        bring_back(patient, "instagram_connect_list_accounts")

        sure, guess = both(patient)

    for report in (sure, guess):
        # The doctor's function is known, so that the key alone is enough to be sure.
        assert (report.cause, report.is_certain) == ("RELOAD_NOT_HEARD", True)
        assert "instagram_connect_list_accounts(payload)" in report.sentence
    assert any("listening on pgrst" in evidence for evidence in sure.evidence)
    assert "pg_terminate_backend" in str(sure.command)
    assert "pg_notification_queue_usage" in str(guess.command)


def test_without_catalogs_the_key_alone_names_what_is_possible_and_is_not_sure(patient: Patient) -> None:
    functions = ("instagram_connect_list_accounts", "instagram_connect_describe_schema")
    make_unknown(patient, *functions)
    with deaf_listener(patient):
        bring_back(patient, *functions)

        sure, guess = both(patient)

    assert (sure.cause, sure.is_certain) == ("RELOAD_NOT_HEARD", True)
    assert not guess.is_certain
    assert "a migration was not applied" in guess.sentence
    assert "DATABASE_URL" in str(guess.needed_to_be_sure)


def test_a_key_of_another_kind_or_of_nobody_is_told(patient: Patient) -> None:
    publishable = replace(patient.with_database, secret_key=patient.values["supabase_publishable_key"])
    foreign = replace(patient.with_database, secret_key="sb_secret_of_another_project")

    reports = [examined(publishable), examined(foreign), examined(replace(foreign, database_url=None))]

    assert [report.cause for report in reports] == ["PUBLISHABLE_KEY", "KEY_REJECTED", "KEY_REJECTED"]
    assert "another project" in reports[1].sentence


def test_a_database_url_of_another_database_is_a_mismatch(patient: Patient) -> None:
    patient.sql("drop database if exists another", "create database another")
    try:
        url = patient.values["database_url"].rsplit("/", 1)[0] + "/another"
        report = examined(replace(patient.with_database, database_url=url))
    finally:
        patient.sql("drop database another")

    assert (report.cause, report.is_certain) == ("PROJECT_MISMATCH", True)
    assert "another" in str(report.evidence)


def test_a_database_url_that_does_not_work_is_a_warning_only(patient: Patient) -> None:
    report = examined(replace(patient.with_database, database_url="postgresql://postgres:guess@127.0.0.1:1/postgres"))

    assert report.cause == "HEALTHY"
    assert [warning.cause for warning in report.warnings] == ["DATABASE_URL_UNUSABLE"]
    assert "guess" not in str(report.as_dict())


@pytest.mark.parametrize(
    ("inject", "undo", "command"),
    [
        (
            "alter event trigger pgrst_ddl_watch disable",
            "alter event trigger pgrst_ddl_watch enable",
            "alter event trigger pgrst_ddl_watch enable;",
        ),
        (
            "drop event trigger pgrst_drop_watch",
            "create event trigger pgrst_drop_watch on sql_drop execute function extensions.pgrst_drop_watch()",
            "create event trigger pgrst_drop_watch on sql_drop execute function extensions.pgrst_drop_watch();",
        ),
    ],
)
def test_event_triggers_that_are_gone_or_off_are_a_warning(
    patient: Patient, inject: str, undo: str, command: str
) -> None:
    with patient.broken((inject,), (undo,)):
        sure, guess = both(patient)

    for report in (sure, guess):
        assert report.cause == "HEALTHY"
        (warning,) = report.warnings
        assert (warning.cause, warning.command) == ("DDL_TRIGGERS_MISSING", command)


def unreachable_urls(patient: Patient) -> dict[str, str]:
    return {
        "http://127.0.0.1:1": "nothing listens",
        "http://project.invalid": "does not resolve",
        patient.values["supabase_url"].replace("http://", "https://"): "certificate",
        patient.values["supabase_url"] + "/nowhere": "no Data API",
        "127.0.0.1": "not the address",
    }


def test_a_data_api_that_cannot_be_reached_is_told_with_the_reason(patient: Patient) -> None:
    urls = unreachable_urls(patient)

    reports = {url: examined(replace(patient.with_key_only, supabase_url=url)) for url in urls}

    for url, why in urls.items():
        assert reports[url].cause == "DATA_API_UNREACHABLE"
        assert why in reports[url].sentence, reports[url]


@pytest.mark.parametrize(
    ("stopped", "cause"), [("postgrest", "DATA_API_UNREACHABLE"), ("postgres", "DATABASE_UNAVAILABLE")]
)
def test_a_server_that_is_down_is_told(patient: Patient, stopped: str, cause: str) -> None:
    if stopped not in patient.system.pids():
        pytest.skip("this engine has no such process")
    patient.system.processes.stop([stopped])
    try:
        assert eventually(lambda: bool(patient.refused()))
        sure, guess = both(patient)
    finally:
        patient.start_anew()

    assert (sure.cause, sure.is_certain) == (cause, True)
    # Of a lost database PostgREST 12 may only say that it has no schema cache.
    assert guess.cause in (cause, "SCHEMA_CACHE_EMPTY")
    assert guess.is_certain == (stopped == "postgrest")


REFUSE_DDL = """
create function extensions.refuse_ddl() returns event_trigger language plpgsql as
$$ begin raise exception 'no change now'; end $$;
create event trigger refuse_ddl on ddl_command_start execute function extensions.refuse_ddl()
"""
END_SESSIONS = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'postgres.js'"


@pytest.mark.parametrize(
    ("inject", "undo", "cause", "names"),
    [
        (
            REFUSE_DDL,
            "drop event trigger refuse_ddl; drop function extensions.refuse_ddl()",
            "SCHEMA_CACHE_EMPTY",
            "no schema cache",
        ),
        (
            "alter database postgres set default_transaction_read_only = on",
            "alter database postgres reset default_transaction_read_only",
            "DATABASE_READ_ONLY",
            "default_transaction_read_only",
        ),
    ],
)
def test_a_data_api_that_could_not_start_on_its_database_is_told(
    patient: Patient, inject: str, undo: str, cause: str, names: str
) -> None:
    """Supabase Lite needs to write at its start; PostgREST does not mind, and has its own cases above."""
    if patient.engine != LITE:
        pytest.skip("PostgREST starts on such a database")

    with patient.broken(
        (inject, END_SESSIONS), ("set session characteristics as transaction read write", undo, END_SESSIONS)
    ):
        assert eventually(lambda: bool(patient.refused()))
        sure, guess = both(patient)

    assert (sure.cause, sure.is_certain) == (cause, True)
    assert names in sure.sentence
    assert (guess.cause, guess.is_certain) == ("SCHEMA_CACHE_EMPTY", False)


def test_a_schema_that_takes_too_long_to_read_leaves_the_data_api_without_a_cache(patient: Patient) -> None:
    if patient.engine != POSTGREST:
        pytest.skip("this engine has no role of its own whose statements could be limited")
    try:
        patient.sql("alter role authenticator set statement_timeout = '5ms'", END_POSTGREST_SESSIONS)
        # All of it: while PostgREST still gives up its sessions and cache, some requests are left waiting.
        everything = len(RELATIONS) + len(FUNCTIONS) - 1
        assert eventually(lambda: len(patient.refused(CACHE_EMPTY)) == everything, 20)
        sure, guess = both(patient)
    finally:
        patient.sql("alter role authenticator set statement_timeout = '8s'")
        patient.start_anew()

    assert (sure.cause, sure.is_certain) == ("SCHEMA_CACHE_EMPTY", True)
    assert "statement_timeout of authenticator: 5ms" in sure.evidence
    assert (guess.cause, guess.is_certain) == ("SCHEMA_CACHE_EMPTY", False)


def test_the_function_and_the_direct_connection_say_the_same(patient: Patient) -> None:
    """The statement stands in a migration and in catalog.py: what both answer must not drift apart."""

    def told() -> catalog.Facts:
        with closing(patient.with_key_only) as project:
            return catalog.facts_through(project.data_api, limit_s=4)

    def seen() -> catalog.Facts:
        database = patient.with_database.database
        assert database is not None
        return catalog.facts_of(database, limit_s=4)[0]

    healthy = (told(), seen())
    cases = [CASES[name] for name in BREAKABLE_TOGETHER]
    inject = [step for case in cases for step in case.inject]
    undo = [step for case in cases for step in case.undo]
    with patient.broken(tuple(inject), tuple(undo)):
        broken = (told(), seen())

    assert healthy[0] == healthy[1]
    assert broken[0] == broken[1]
    assert broken[0] != healthy[0]
    assert not broken[0].is_complete
    assert broken[0].missing_grants


BREAKABLE_TOGETHER = (
    "a column that no migration made",
    "a function with other arguments",
    "a table that was removed after its migration",
    "a table's privilege",
    "row-level security",
)


def test_ending_the_listener_makes_the_data_api_listen_anew_and_read_the_schema(patient: Patient) -> None:
    make_unknown(patient, "instagram_connect_list_accounts")
    bring_back(patient, "instagram_connect_list_accounts")
    database = patient.with_database.database
    assert database is not None

    database.restart_listener(limit_s=4)

    assert eventually(lambda: not patient.refused())
