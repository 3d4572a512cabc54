"""What the doctor says where no real server can be made to fail: hosted projects, TLS, DNS, catalogs of any kind."""

import base64
import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from instagram_connect.doctor import catalog, findings
from instagram_connect.doctor.catalog import Facts, Surroundings
from instagram_connect.doctor.examination import examine
from instagram_connect.doctor.project import Project
from instagram_connect.doctor.report import Report
from instagram_connect.storage.direct_connection import Database, DatabaseError
from instagram_connect.storage.schema_contract import MIGRATIONS, RELATIONS

URL = "https://abcdefghijklmnopqrst.supabase.co"
KEY = "sb_secret_of_the_project"
DATABASE_URL = "postgresql://postgres.abcdefghijklmnopqrst:hunter2@aws-0-eu-west-1.pooler.supabase.com:5432/postgres"

HEALTHY: dict[str, Any] = {
    "database": {"name": "postgres", "started_at": 1.5},
    "is_in_recovery": False,
    "is_read_only": False,
    "read_only_source": "default",
    "bypasses_row_security": True,
    "protected_relations": list(RELATIONS),
    "missing_relations": [],
    "missing_columns": [],
    "missing_functions": [],
    "changed_functions": [],
    "missing_grants": [],
    "event_triggers": {"pgrst_ddl_watch": True, "pgrst_drop_watch": True},
}
AROUND = Surroundings(("PostgREST 14.5",), 3, None, (), "8s", frozenset(MIGRATIONS))

Answer = Callable[[httpx.Request], httpx.Response]


def told(**changes: Any) -> Answer:
    """A Data API that takes everything, and whose database says this."""

    def answer(request: httpx.Request) -> httpx.Response:
        is_asked = (
            request.url.path.endswith("/rpc/instagram_connect_describe_schema")
            and json.loads(request.content)["payload"]
        )
        return httpx.Response(200, json={**HEALTHY, **changes} if is_asked else [])

    return answer


def refused(status: int, code: str | None = None) -> Answer:
    """A Data API that answers everything with this."""
    return lambda _: httpx.Response(status, json={"code": code, "message": "m"} if code else {"message": "m"})


def failing(error: Exception, cause: Exception | None = None) -> Answer:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error from cause

    return answer


def project(answer: Answer, **changes: Any) -> Project:
    return replace(Project(URL, KEY, transport=httpx.MockTransport(answer)), **changes)


def examined(answer: Answer, **changes: Any) -> Report:
    return examine(project(answer, **changes), waiting_s=0.0, sleep=lambda _: None)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what the database at the database URL says, or the error that it gives."""

    def says(around: Surroundings | DatabaseError = AROUND, **changes: Any) -> None:
        def facts_of(_: Database, *, limit_s: float) -> tuple[Facts, Surroundings]:
            if isinstance(around, DatabaseError):
                raise around
            return catalog._facts({**HEALTHY, **changes}), around

        monkeypatch.setattr(findings, "facts_of", facts_of)
        monkeypatch.setattr(Database, "reload_schema_cache", lambda _, *, limit_s: None)

    return says


def jwt(**claims: str) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{body}.signature"


@pytest.mark.parametrize("key", ["sb_publishable_x", jwt(role="anon"), jwt(role="authenticated", ref="x")])
def test_a_key_that_says_that_it_is_no_secret_one_is_told_without_asking(key: str) -> None:
    report = examined(failing(AssertionError("asked")), secret_key=key)

    assert (report.cause, report.is_certain) == ("PUBLISHABLE_KEY", True)
    assert key not in str(report.as_dict())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"secret_key": jwt(role="service_role", ref="zyxwvutsrqponmlkjihg")}, "the key to the project zyxw"),
        (
            {"database_url": "postgresql://postgres:hunter2@db.zyxwvutsrqponmlkjihg.supabase.co:5432/postgres"},
            "the database URL to the project zyxw",
        ),
        (
            {"database_url": DATABASE_URL.replace("abcdefghijklmnopqrst", "zyxwvutsrqponmlkjihg")},
            "the database URL to the project zyxw",
        ),
    ],
)
def test_settings_of_two_hosted_projects_are_told_without_asking(changes: dict[str, str], named: str) -> None:
    report = examined(failing(AssertionError("asked")), **changes)

    assert (report.cause, report.is_certain) == ("PROJECT_MISMATCH", True)
    assert named in report.sentence
    assert "hunter2" not in str(report.as_dict())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (failing(httpx.ConnectError("x"), socket.gaierror()), "does not resolve"),
        (failing(httpx.ConnectError("x"), ssl.SSLError()), "certificate"),
        (failing(httpx.ConnectError("x")), "nothing listens"),
        (failing(httpx.ReadTimeout("x")), "does not respond in time"),
        (failing(httpx.RemoteProtocolError("x")), "breaks"),
        (refused(503), "HTTP 503"),
        (refused(404), "not a Data API"),
        (refused(429), "HTTP 429"),
    ],
)
def test_a_data_api_that_does_not_answer_is_told_with_the_reason(answer: Answer, why: str) -> None:
    report = examined(answer)

    assert (report.cause, report.is_certain, report.waiting_helps) == ("DATA_API_UNREACHABLE", True, True)
    assert why in report.sentence


def test_a_visitor_is_told_from_a_role_that_lacks_a_grant() -> None:
    visitor, backend = examined(refused(401, "42501")), examined(refused(403, "42501"))

    assert visitor.cause == "PUBLISHABLE_KEY"
    assert (backend.cause, backend.is_certain) == ("PERMISSION_DENIED", False)
    assert backend.command == "grant usage on schema public to service_role;"


def test_a_lost_privilege_on_our_schema_is_told_from_one_on_public() -> None:
    """The table in `public` can be read; each function in `public` fails in the function that it calls."""

    def only_the_table(request: httpx.Request) -> httpx.Response:
        return refused(403, "42501")(request) if "/rpc/" in request.url.path else httpx.Response(200, json=[])

    report = examined(only_the_table)

    assert (report.cause, report.is_certain) == ("PERMISSION_DENIED", False)
    assert report.command == "grant usage on schema instagram_connect to service_role;"


def test_a_grant_on_one_function_covers_the_function_behind_it() -> None:
    def describing(request: httpx.Request) -> httpx.Response:
        is_it = request.url.path.endswith("/rpc/instagram_connect_describe_schema")
        return refused(403, "42501")(request) if is_it else httpx.Response(200, json=[])

    assert examined(describing).command == (
        "grant execute on function public.instagram_connect_describe_schema(jsonb),"
        " instagram_connect.describe_schema(jsonb) to service_role;"
    )


@pytest.mark.parametrize(
    ("around", "is_certain"),
    [(DatabaseError(None), True), (DatabaseError("57P03"), True), (DatabaseError("28P01"), False), (AROUND, True)],
)
def test_a_database_that_is_down_is_certain_only_if_its_own_url_says_so(
    seen: Callable[..., None], around: Any, is_certain: bool
) -> None:
    seen(around)

    report = examined(refused(503, "PGRST000"), database_url=DATABASE_URL)
    guess = examined(refused(503, "PGRST000"))

    assert (report.cause, report.is_certain) == ("DATABASE_UNAVAILABLE", is_certain)
    assert (guess.cause, guess.is_certain) == ("DATABASE_UNAVAILABLE", False)


def test_an_exposed_schema_that_does_not_exist_is_named(seen: Callable[..., None]) -> None:
    seen(replace(AROUND, exposed_schemas="public, gone", absent_schemas=("gone",)))

    report = examined(refused(503, "PGRST002"), database_url=DATABASE_URL)

    assert (report.cause, report.is_certain) == ("SCHEMA_CACHE_EMPTY", True)
    assert "gone" in report.sentence
    assert "pgrst.db_schemas = 'public';" in str(report.command)


@pytest.mark.parametrize("changes", [{"is_in_recovery": True}, {"is_read_only": True, "read_only_source": "database"}])
def test_a_database_that_takes_no_writes_says_so_itself(changes: dict[str, Any]) -> None:
    report = examined(told(**changes))

    assert (report.cause, report.is_certain) == ("DATABASE_READ_ONLY", True)


def test_a_replica_behind_the_database_url_is_a_warning_and_no_mismatch(seen: Callable[..., None]) -> None:
    seen(database={"name": "postgres", "started_at": 9.0}, is_in_recovery=True)

    report = examined(told(), database_url=DATABASE_URL)

    assert report.cause == "HEALTHY"
    assert [warning.cause for warning in report.warnings] == ["DATABASE_URL_UNUSABLE"]


def test_a_role_of_the_database_url_that_may_only_read_is_no_read_only_database(seen: Callable[..., None]) -> None:
    seen(is_read_only=True, read_only_source="user")

    assert examined(told(), database_url=DATABASE_URL).cause == "HEALTHY"


@pytest.mark.parametrize("other", [{"name": "postgres", "started_at": 9.0}, {"name": "other", "started_at": 1.5}])
def test_two_databases_are_told_apart_by_name_and_start(seen: Callable[..., None], other: dict[str, Any]) -> None:
    seen(database=other)

    report = examined(told(), database_url=DATABASE_URL)

    assert (report.cause, report.is_certain) == ("PROJECT_MISMATCH", True)


def test_a_data_api_that_serves_what_the_database_lacks_is_in_front_of_another_one(seen: Callable[..., None]) -> None:
    seen(missing_relations=["public.instagram_business_accounts"])

    def answer(request: httpx.Request) -> httpx.Response:
        is_unknown = request.url.path.endswith("/rpc/instagram_connect_describe_schema")
        return httpx.Response(404, json={"code": "PGRST202"}) if is_unknown else httpx.Response(200, json=[])

    report = examined(answer, database_url=DATABASE_URL)

    assert report.cause == "PROJECT_MISMATCH"
    assert "serves public.instagram_business_accounts" in str(report.evidence)


def test_a_project_in_which_nothing_listens_may_be_another_one(seen: Callable[..., None]) -> None:
    seen(replace(AROUND, listeners=(), data_api_sessions=0))

    report = examined(refused(404, "PGRST205"), database_url=DATABASE_URL)

    assert (report.cause, report.is_certain) == ("RELOAD_NOT_HEARD", False)
    assert "another database" in report.sentence


def test_no_listener_is_a_warning_while_everything_works(seen: Callable[..., None]) -> None:
    seen(replace(AROUND, listeners=()))

    report = examined(told(), database_url=DATABASE_URL)

    assert report.cause == "HEALTHY"
    assert [warning.cause for warning in report.warnings] == ["RELOAD_NOT_HEARD"]


def test_a_migration_that_is_older_than_the_newest_applied_one_needs_the_flag(seen: Callable[..., None]) -> None:
    first = min(MIGRATIONS)
    lacking = {"missing_relations": ["instagram_connect.api_usage"]}
    seen(replace(AROUND, recorded=frozenset({"29991231235959"})), **lacking)
    report = examined(told(**lacking), database_url=DATABASE_URL)

    assert (report.cause, report.command) == ("TABLE_MISSING", "supabase db push --include-all")
    assert first in report.sentence


def test_a_refusal_that_nothing_explains_is_passed_on_as_uncertain() -> None:
    report = examined(refused(500, "PGRST300"))

    assert (report.cause, report.is_certain) == ("DATA_API_MISCONFIGURED", False)
    assert report.needed_to_be_sure is not None


def test_a_long_verdict_is_cut_and_begins_with_the_cause() -> None:
    grants = [{"object": f"table public.t{n}", "privileges": ["select"]} for n in range(100)]

    text = examined(told(missing_grants=grants)).short(300)

    assert len(text) == 300
    assert text.startswith("PERMISSION_DENIED: service_role lacks select on table public.t0, ")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1",
        "ftp://project.example.com",
        "http://[::1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:abc",
        "https://project.example.com/rest/v1/",
        "https://project.example.com?apikey=sb_secret_x",
        "https://user:hunter2@project.example.com",
    ],
)
def test_what_is_not_the_address_of_a_project_is_told_without_asking_and_without_quoting_it(url: str) -> None:
    report = examine(Project(url, KEY, transport=httpx.MockTransport(told())))

    assert (report.cause, report.is_certain) == ("DATA_API_UNREACHABLE", True)
    assert "not the address of a project" in report.sentence
    assert not any(secret in str(report.as_dict()) for secret in ("sb_secret_x", "hunter2"))


@pytest.mark.parametrize("seen_by_the_role", [None, ()])
def test_a_role_that_may_not_see_other_sessions_is_no_deaf_data_api(
    seen: Callable[..., None], seen_by_the_role: tuple[str, ...] | None
) -> None:
    seen(around=replace(AROUND, listeners=seen_by_the_role))

    report = examine(Project(URL, KEY, DATABASE_URL, transport=httpx.MockTransport(told())))

    assert bool(report.warnings) == (seen_by_the_role == ())


OUTDATED = {"changed_functions": ["instagram_connect.claim_refreshes", "instagram_connect.finish_refresh"]}


@pytest.mark.parametrize(
    ("recorded", "command", "sentence"),
    [
        (frozenset(), "supabase db push", "was not applied"),
        (frozenset({"29991231235959"}), "supabase db push --include-all", "was not applied"),
        (frozenset(MIGRATIONS), "supabase migration new restore_claim_refreshes", "is recorded as applied"),
    ],
)
def test_a_replace_only_migration_that_was_not_applied_is_found(
    seen: Callable[..., None], recorded: frozenset[str], command: str, sentence: str
) -> None:
    seen(replace(AROUND, recorded=recorded), **OUTDATED)

    report = examined(told(**OUTDATED), database_url=DATABASE_URL)

    assert (report.cause, report.command, report.is_certain) == ("FUNCTION_OUTDATED", command, True)
    assert "instagram_connect.claim_refreshes, instagram_connect.finish_refresh" in report.sentence
    assert sentence in report.sentence


def test_without_a_database_url_an_outdated_function_is_found_but_not_why() -> None:
    report = examined(told(**OUTDATED))

    assert (report.cause, report.command, report.is_certain) == ("FUNCTION_OUTDATED", "supabase db push", False)
