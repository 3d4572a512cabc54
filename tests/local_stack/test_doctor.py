"""Every cause that the doctor tells, made for real, with both engines behind the Data API.

Each is examined twice: with the database URL, where the doctor has to be sure, and with the API key alone, where it may
only be sure of what is so.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from instagram_connect.doctor import catalog
from instagram_connect.doctor.report import HEALTHY
from instagram_connect.storage.diagnosis import CACHE_EMPTY, STALE
from instagram_connect.storage.schema_contract import FUNCTIONS, RELATIONS
from tests.support.local_system import LocalSystem
from tests.support.patients import (
    CASES,
    END_POSTGREST_SESSIONS,
    LITE,
    POSTGREST,
    QUIETLY,
    SERVICES,
    Case,
    Patient,
    both,
    examined,
)
from tests.support.polling import eventually


@pytest.fixture(scope="module", params=[LITE, POSTGREST])
def patient(request: pytest.FixtureRequest, system: LocalSystem) -> Patient:
    patient = Patient(request.param, system, system.up(SERVICES, DATA_API=request.param))
    assert eventually(lambda: not patient.refused()), patient.refused()
    return patient


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
        patient.values["supabase_url"] + "/nowhere": "not a Data API",
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
