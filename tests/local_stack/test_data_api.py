"""The local Supabase on both engines: keys, grants, and a schema cache that stays stale."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import httpx
import psycopg
import pytest

from local.processes import Processes
from tests.support.local_system import LocalSystem
from tests.support.polling import eventually

SERVICES = ("postgres", "supabase", "postgrest")
UNKNOWN = ("PGRST205", "")  # PostgREST 12 returns no code


@dataclass
class Project:
    """A Supabase project as its clients see it, and its database."""

    values: dict[str, str]
    processes: Processes
    http: httpx.Client

    @property
    def publishable(self) -> str:
        return self.values["supabase_publishable_key"]

    @property
    def secret(self) -> str:
        return self.values["supabase_secret_key"]

    def sql(self, statement: str) -> None:
        with psycopg.connect(self.values["database_url"], autocommit=True) as database:
            database.execute(statement.encode())

    def call(self, method: str, path: str, key: str, token: str | None = None, **content: object) -> httpx.Response:
        headers = {"apikey": key, **({"Authorization": f"Bearer {token}"} if token else {})}
        json = content.get("json")
        return self.http.request(method, f"{self.values['supabase_url']}{path}", headers=headers, json=json)

    def knows(self, table: str) -> bool:
        """Whether the schema cache has the table. This writes nothing and works in every version."""
        return self.call("POST", f"/rest/v1/{table}?columns=word", self.secret, json=[]).status_code == 201

    def quietly(self, statement: str) -> None:
        """Run DDL as a restore does: without the event triggers that would reload the schema cache."""
        with psycopg.connect(self.values["database_url"], autocommit=True) as database:
            database.execute("set session_replication_role = replica")
            database.execute(statement.encode())

    def refusal_of(self, table: str) -> str | None:
        """Return the error code of a write to the table, from PostgREST or Postgres, or None."""
        answer = self.call("POST", f"/rest/v1/{table}?columns=word", self.secret, json=[])
        code: str | None = None if answer.status_code == 201 else answer.json().get("code", "")
        return code

    def new_table(self) -> str:
        """Create a table that the schema cache does not know yet."""
        name = f"words_{uuid4().hex[:8]}"
        self.quietly(f"create table public.{name} (word text); grant all on public.{name} to service_role")
        return name

    def sign_up(self) -> tuple[str, str]:
        account = {"email": f"{uuid4().hex}@example.com", "password": "correct horse"}
        session = self.call("POST", "/auth/v1/signup", self.publishable, json=account).json()
        return session["user"]["id"], session["access_token"]


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module", params=["lite", "postgrest"])
def project(request: pytest.FixtureRequest, system: LocalSystem, http: httpx.Client) -> Project:
    return Project(system.up(SERVICES, DATA_API=request.param), system.processes, http)


def test_new_table_stays_unknown_until_a_reload_is_requested(project: Project) -> None:
    table = project.new_table()
    assert not project.knows(table)

    project.sql("notify pgrst, 'reload config'")
    assert not project.knows(table)

    project.sql("notify pgrst, 'reload schema'")
    assert eventually(lambda: project.knows(table))


def test_migrated_database_reloads_after_a_schema_change(project: Project) -> None:
    """The migrations' event triggers request the reload."""
    table = f"words_{uuid4().hex[:8]}"

    project.sql(f"create table public.{table} (word text)")
    project.sql(f"grant all on public.{table} to service_role")

    assert eventually(lambda: project.knows(table))
    project.sql(f"drop table public.{table}")
    assert eventually(lambda: project.refusal_of(table) in UNKNOWN)


def test_rolled_back_or_temporary_change_reloads_nothing(project: Project) -> None:
    url = project.values["database_url"]
    with psycopg.connect(url) as database, psycopg.connect(url, autocommit=True) as listener:
        listener.execute("listen pgrst")
        database.execute("create table public.undone (word text)")
        database.rollback()
        database.execute("create temporary table passing (word text)")
        database.execute("drop table passing")
        database.commit()
        listener.execute("notify pgrst, 'last'")

        heard = next(notify.payload for notify in listener.notifies(timeout=5))

    assert heard == "last"


def test_new_column_is_reported_missing_until_the_reload(project: Project) -> None:
    table = project.new_table()
    project.sql("notify pgrst, 'reload schema'")
    assert eventually(lambda: project.knows(table))
    project.quietly(f"alter table public.{table} add column extra text")
    row = [{"word": "a", "extra": "b"}]

    stale = project.call("POST", f"/rest/v1/{table}", project.secret, json=row)
    project.sql("notify pgrst, 'reload schema'")

    # 12.0 checks columns only if the request names them; otherwise Postgres fails, or nothing does.
    named = f"/rest/v1/{table}?columns=word,extra"
    assert stale.status_code in (201, 400)
    assert eventually(lambda: project.call("POST", named, project.secret, json=row).status_code == 201)


def test_lost_listener_reconnects_and_reloads(project: Project) -> None:
    table = project.new_table()

    project.sql("select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%'")

    assert eventually(lambda: project.knows(table))


def test_killed_postgres_is_503_and_the_gateway_recovers_by_itself(project: Project, system: LocalSystem) -> None:
    engine = "postgrest" if "postgrest" in system.pids() else "lite"
    gateway = system.pids()["supabase"]
    known = project.new_table()
    project.sql("notify pgrst, 'reload schema'")
    assert eventually(lambda: project.knows(known))
    created_meanwhile = project.new_table()
    os.kill(system.pids()["postgres"], signal.SIGKILL)

    def is_down() -> bool:
        # On an open connection, PostgREST first passes on the dying server's error.
        answer = project.call("GET", f"/rest/v1/{known}", project.secret)
        return answer.status_code == 503 and answer.json()["code"] == "PGRST000"

    assert eventually(is_down)
    system.up(("postgres",), DATA_API=engine)

    assert eventually(lambda: project.knows(known))
    assert eventually(lambda: project.knows(created_meanwhile))
    assert system.pids()["supabase"] == gateway


@pytest.mark.parametrize(
    ("key", "message"), [(None, "No API key found in request"), ("sb_secret_wrong", "Invalid API key")]
)
@pytest.mark.parametrize("path", ["/rest/v1/anything", "/auth/v1/user"])
def test_missing_or_unknown_key_is_a_401_without_a_code(
    project: Project, key: str | None, message: str, path: str
) -> None:
    headers = {"apikey": key} if key else {}

    answer = project.http.get(f"{project.values['supabase_url']}{path}", headers=headers)

    assert answer.status_code == 401
    assert answer.json()["message"] == message
    assert set(answer.json()) == {"message", "hint"}


def test_secret_key_is_refused_from_a_browser(project: Project) -> None:
    headers = {"apikey": project.secret, "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}

    answer = project.http.get(f"{project.values['supabase_url']}/rest/v1/anything", headers=headers)

    assert answer.status_code == 401
    assert "browser" in answer.json()["message"]


def test_page_may_call_from_another_origin(project: Project) -> None:
    asks = {
        "Origin": "http://page",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "apikey",
    }

    for path in ("/rest/v1/anything", "/auth/v1/signup"):
        answer = project.http.options(f"{project.values['supabase_url']}{path}", headers=asks)

        assert answer.is_success
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "apikey" in answer.headers["access-control-allow-headers"]


def test_signing_keys_are_public(project: Project) -> None:
    answer = project.http.get(f"{project.values['supabase_url']}/auth/v1/.well-known/jwks.json")

    assert answer.json() == {"keys": []}


@pytest.mark.parametrize("token", ["not-a-jwt", "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.forged"])
def test_forged_token_is_refused(project: Project, token: str) -> None:
    answer = project.call("GET", "/rest/v1/anything", project.publishable, token)

    assert answer.status_code == 401
    assert answer.json()["code"] == "PGRST301"


def test_key_repeated_as_bearer_counts_as_the_key(project: Project) -> None:
    table = project.new_table()
    project.sql("notify pgrst, 'reload schema'")

    assert eventually(lambda: project.knows(table))
    assert project.call("GET", f"/rest/v1/{table}", project.secret, project.secret).status_code == 200


def test_new_table_has_no_grants_even_with_row_level_security(project: Project) -> None:
    project.sql("create table if not exists public.ungranted (word text)")
    project.sql("alter table public.ungranted enable row level security; notify pgrst, 'reload schema'")

    def refusal() -> bool:
        answer = project.call("GET", "/rest/v1/ungranted", project.secret)
        return answer.status_code == 403 and answer.json()["code"] == "42501"

    assert eventually(refusal)
    assert refusal()


def test_user_sees_only_own_rows(project: Project) -> None:
    table = f"notes_{uuid4().hex[:8]}"
    project.sql(f"""
        create table public.{table} (user_id uuid references auth.users on delete cascade, word text);
        alter table public.{table} enable row level security;
        create policy own on public.{table} for select to authenticated using (user_id = (select auth.uid()));
        grant select on public.{table} to authenticated;
        grant select, insert on public.{table} to service_role;
        notify pgrst, 'reload schema'
    """)
    (one, one_token), (other, _) = project.sign_up(), project.sign_up()
    assert eventually(lambda: project.knows(table))
    rows = [{"user_id": one, "word": "mine"}, {"user_id": other, "word": "theirs"}]

    written = project.call("POST", f"/rest/v1/{table}", project.secret, json=rows)
    own = project.call("GET", f"/rest/v1/{table}?select=word", project.publishable, one_token)
    without_user = project.call("GET", f"/rest/v1/{table}?select=word", project.publishable)
    everyone = project.call("GET", f"/rest/v1/{table}?select=word&order=word", project.secret)

    assert written.status_code == 201
    assert own.json() == [{"word": "mine"}]
    assert without_user.status_code == 401
    assert everyone.json() == [{"word": "mine"}, {"word": "theirs"}]


@pytest.mark.parametrize("payload", [{"a": [1, "x", None]}, [1, 2], "text", 5, True])
def test_jsonb_argument_arrives_unchanged(project: Project, payload: object) -> None:
    project.sql("""
        create or replace function public.echo(payload jsonb) returns jsonb language sql as 'select payload';
        notify pgrst, 'reload schema'
    """)

    def echoed() -> bool:
        answer = project.call("POST", "/rest/v1/rpc/echo", project.secret, json={"payload": payload})
        return answer.is_success and answer.json() == payload

    assert eventually(echoed, seconds=3)
