"""Writes a migration for what changed in supabase/schemas (`make migration NAME=verb_noun`).

The schemas are the truth. Two scratch databases are made, one from the schemas and one from the migrations; Supabase's
pg-delta compares their catalogs and plans the difference. Nobody has to read the result, but a statement that drops
something is refused unless ALLOW_DROPS=1 says that it is meant.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from local.errors import LocalSystemError
from local.install import SUPABASE, node
from local.settings import ROOT
from local.stack import running

MIGRATIONS = ROOT / "supabase" / "migrations"
PLATFORM = SUPABASE / "platform.sql"
PG_DELTA = SUPABASE / "node_modules" / "@supabase" / "pg-delta" / "dist" / "cli" / "main.js"
# What depends on the project that a migration meets, and so is no part of a comparison.
CLOSING = """\
select instagram_connect.restrict_public_access();
select instagram_connect.create_public_views();
select instagram_connect.install_ddl_watch();
notify pgrst, 'reload schema';
"""

CATALOG = ROOT / "layers" / "shared" / "instagram_connect" / "storage" / "schema_catalog.py"
_CATALOG_HEAD = '''"""Every table, column and function of the database. Made by `make migration` from supabase/schemas.

Names are qualified by their schema. A function's `body` is the SHA-256 of its source, as pg_proc.prosrc holds it, so
that the doctor sees a function that a migration should have replaced.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Function(NamedTuple):
    """A function's argument names and the SHA-256 of its body."""

    arguments: tuple[str, ...]
    body: str

'''
_OURS = "nspname = 'instagram_connect' or nspname = 'public' and {name} like 'instagram\\_%'"
_RELATIONS_SQL = f"""
select nspname || '.' || relname, array_agg(attname::text order by attnum)
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
where relkind = 'r' and ({_OURS.format(name="relname")})
group by 1
order by 1
"""
_FUNCTIONS_SQL = f"""
select
  nspname || '.' || proname,
  coalesce(proargnames, '{{}}')::text[],
  encode(sha256(convert_to(prosrc, 'UTF8')), 'hex')
from pg_proc
join pg_namespace on pg_namespace.oid = pronamespace
where {_OURS.format(name="proname")}
order by 1
"""
_MADE = re.compile(
    r"^(?:CREATE TABLE|CREATE (?:OR REPLACE )?FUNCTION|ALTER TABLE(?: ONLY)?(?= \S+ ADD COLUMN))"
    r' "?(\w+)"?\."?(\w+)"?',
    re.MULTILINE | re.IGNORECASE,
)
_HELD_BY_VIEWS = re.compile(
    r"^ALTER TABLE .* (?:DROP COLUMN|RENAME COLUMN|ALTER COLUMN \S+ (?:SET DATA )?TYPE)", re.MULTILINE
)
_BEFORE_ALL = """\
do $$
begin
  if to_regclass('public.instagram_business_accounts') is not null then
    raise exception 'public.instagram_business_accounts exists already. Nothing was changed.';
  end if;
end;
$$;
"""

Database = psycopg.Connection[Any]


def schema_files() -> list[Path]:
    """The files of supabase/schemas in the order of supabase/config.toml, each once."""
    config = tomllib.loads((ROOT / "supabase" / "config.toml").read_text())
    patterns: list[str] = config["db"]["migrations"]["schema_paths"]
    found = [path for pattern in patterns for path in sorted((ROOT / "supabase").glob(pattern.removeprefix("./")))]
    return list(dict.fromkeys(found))


def migration_files() -> list[Path]:
    """The migrations, oldest first."""
    return sorted(MIGRATIONS.glob("*.sql"))


@contextmanager
def database_of(server_url: str, name: str, files: Iterable[Path]) -> Iterator[str]:
    """The URL of a new database on this server with what a Supabase project has, and these files applied."""
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"drop database if exists {name} with (force)".encode())
        server.execute(f"create database {name}".encode())
        try:
            url = f"{server_url.rsplit('/', 1)[0]}/{name}"
            with psycopg.connect(url, autocommit=True) as database:
                database.execute("create schema auth")
                database.execute("create table auth.users (id uuid primary key, email text)")
                database.execute("set check_function_bodies = off")  # files name functions of later files
                for path in [PLATFORM, *files]:
                    _apply(database, path)
            yield url
        finally:
            server.execute(f"drop database if exists {name} with (force)".encode())


@contextmanager
def both(server_url: str) -> Iterator[tuple[str, str]]:
    """The URLs of a database made from the migrations and of one made from the schemas, both without CLOSING."""
    with (
        database_of(server_url, "from_migrations", migration_files()) as migrated,
        database_of(server_url, "from_schemas", schema_files()) as desired,
    ):
        with psycopg.connect(migrated, autocommit=True) as database:
            undo_closing(database)
        yield migrated, desired


def plan(source_url: str, desired_url: str, *, allow_drops: bool = False) -> str:
    """The SQL that turns the source's schema into the desired one; empty if they are equal.

    Raises LocalSystemError if it would drop something and may not, or if pg-delta fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        plan_file, sql_file = Path(folder) / "plan.json", Path(folder) / "migration.sql"
        _pg_delta("plan", "--source", source_url, "--desired", desired_url, "--renames", "off", "--out", str(plan_file))
        if not json.loads(plan_file.read_text())["actions"]:
            return ""
        drops = ["--allow-drops"] if allow_drops else []
        _pg_delta("render", "--plan", str(plan_file), "--out", str(sql_file), *drops)
        rendered = sorted(Path(folder).glob("*.sql"))
        return "\n".join(path.read_text() for path in rendered)


def catalog(schemas_url: str) -> str:
    """The source of `storage/schema_catalog.py`: what a database made from the schemas holds."""
    with psycopg.connect(schemas_url, autocommit=True) as database:
        relations = database.execute(_RELATIONS_SQL).fetchall()
        functions = database.execute(_FUNCTIONS_SQL).fetchall()
    made = {path.name.split("_", 1)[0]: made_by(path.read_text()) for path in migration_files()}
    source = [_CATALOG_HEAD, "RELATIONS: Mapping[str, tuple[str, ...]] = {"]
    source += [f"    {name!r}: {tuple(columns)!r}," for name, columns in relations]
    source += ["}", "", "FUNCTIONS: Mapping[str, Function] = {"]
    source += [f"    {name!r}: Function({tuple(arguments)!r}, {body!r})," for name, arguments, body in functions]
    source += ["}", "", "# The tables and functions that each migration creates, replaces or adds columns to."]
    source += ["MIGRATIONS: Mapping[str, tuple[str, ...]] = {"]
    source += [f"    {version!r}: {names!r}," for version, names in made.items()]
    return _formatted("\n".join([*source, "}", ""]))


def write_catalog(server_url: str) -> None:
    """Bring `storage/schema_catalog.py` up to date."""
    with database_of(server_url, "from_schemas", schema_files()) as url:
        CATALOG.write_text(catalog(url))


def migration(statements: str, *, is_first: bool) -> str:
    """A whole migration around the statements of a plan."""
    head = "-- Made by `make migration` from supabase/schemas, which is what to read.\n"
    first = _BEFORE_ALL if is_first else ""
    if _HELD_BY_VIEWS.search(statements):
        first = "select instagram_connect.drop_public_views();\n"
    return f"{head}\n{first}\n{statements}\n{CLOSING}"


def write(name: str, server_url: str, *, allow_drops: bool) -> Path | None:
    """Write the migration that is missing; None if the migrations already make what the schemas say."""
    with both(server_url) as (migrated, desired):
        statements = plan(migrated, desired, allow_drops=allow_drops)
    if not statements.strip():
        return None
    path = MIGRATIONS / f"{datetime.now(UTC):%Y%m%d%H%M%S}_{name}.sql"
    path.write_text(migration(statements, is_first=not migration_files()))
    return path


def main() -> int:
    """Write a migration and return the exit code: 0, also if there is nothing to write; 2 if it cannot be written."""
    parser = argparse.ArgumentParser(prog="python -m tools.migrations", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="what changes, as verb_noun")
    parser.add_argument("--allow-drops", action="store_true", help="the migration may drop columns, tables, functions")
    arguments = parser.parse_args()
    if not arguments.name.isidentifier():
        parser.error("NAME is not of the form verb_noun")
    # Not pytest's or the user's own folder: it has to be open to the user that Postgres runs as.
    with tempfile.TemporaryDirectory(prefix="instagram-connect-migration-") as folder:
        try:
            with running(Path(folder).resolve(), only=("postgres",), deploy=False) as stack:
                path = write(arguments.name, stack["database_url"], allow_drops=arguments.allow_drops)
                write_catalog(stack["database_url"])
        except LocalSystemError as error:
            print(error, file=sys.stderr)
            return 2
    print(f"Wrote {path.relative_to(ROOT)}" if path else "The migrations already make what supabase/schemas says.")
    return 0


def _apply(database: Database, path: Path) -> None:
    try:
        database.execute(path.read_bytes())
    except psycopg.Error as error:
        raise LocalSystemError(f"{path.relative_to(ROOT)}: {error}") from error


def made_by(migration: str) -> tuple[str, ...]:
    """The tables and functions that a migration creates, replaces or adds columns to."""
    return tuple(sorted({f"{schema}.{name}" for schema, name in _MADE.findall(migration)}))


def _formatted(source: str) -> str:
    ruff = [str(Path(sys.executable).with_name("ruff")), "format", "--stdin-filename", str(CATALOG), "-"]
    return subprocess.run(ruff, input=source, capture_output=True, text=True, check=True).stdout


def undo_closing(database: Database) -> None:
    """Take back what CLOSING created."""
    if migration_files():
        database.execute("select instagram_connect.drop_public_views()")
    for trigger in ("pgrst_ddl_watch", "pgrst_drop_watch"):
        database.execute(f"drop event trigger if exists {trigger}".encode())
        database.execute(f"drop function if exists extensions.{trigger}()".encode())


def _pg_delta(*arguments: str) -> None:
    done = subprocess.run(
        [str(node()), str(PG_DELTA), *arguments], env=os.environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LocalSystemError(f"pg-delta {arguments[0]} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
