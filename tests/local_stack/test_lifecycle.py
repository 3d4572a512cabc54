"""`make up` and `make down` with real processes: idempotent, self-repairing, and leaving nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from local import database, stack
from local.errors import LocalSystemError
from local.ports import free_base, is_free
from local.settings import HOST, ROOT
from tests.support.local_system import LocalSystem
from tests.support.polling import eventually

SERVICES = ("postgres", "aws", "meta", "web", "supabase")
# Starts quickly; used where any service will do.
ONE_SERVICE = ("web",)
HAS_SYSTEM_V_MEMORY = Path("/proc/sysvipc/shm").exists()


def test_second_up_changes_nothing(system: LocalSystem) -> None:
    first = system.up()
    pids = system.pids()

    second = system.up()

    assert system.pids() == pids
    assert second == first


@pytest.mark.parametrize("service", SERVICES)
def test_up_restarts_a_killed_service_and_leaves_the_others(system: LocalSystem, service: str) -> None:
    system.up()
    before = system.pids()
    os.kill(before[service], signal.SIGKILL)

    system.up()

    after = system.pids()
    assert after.pop(service) != before.pop(service)
    assert after == before


def test_up_restarts_a_service_that_dies_while_up_waits_for_it(system: LocalSystem) -> None:
    system.up(ONE_SERVICE)
    (pid,) = (system.pids()[name] for name in ONE_SERVICE)
    os.kill(pid, signal.SIGSTOP)  # running, but not ready
    death = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
    death.start()

    system.up(ONE_SERVICE)

    death.join()
    assert system.pids()[ONE_SERVICE[0]] != pid


@pytest.mark.skipif(not HAS_SYSTEM_V_MEMORY, reason="only Linux shows who is attached to shared memory")
def test_up_waits_until_a_killed_postgres_has_released_its_memory(fresh_system: LocalSystem) -> None:
    fresh_system.up(("postgres",))
    before = fresh_system.pids()
    with memory_attached(fresh_system, seconds=2):
        os.kill(before["postgres"], signal.SIGKILL)

        fresh_system.up(("postgres",))

    assert fresh_system.pids() != before


@pytest.mark.skipif(not HAS_SYSTEM_V_MEMORY, reason="only Linux shows who is attached to shared memory")
def test_memory_that_a_killed_postgres_never_releases_is_reported(
    fresh_system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_DETACH_SECONDS", 0.2)
    fresh_system.up(("postgres",))
    with memory_attached(fresh_system, seconds=600):
        os.kill(fresh_system.pids()["postgres"], signal.SIGKILL)

        with pytest.raises(LocalSystemError, match=r"still attached 1 times.*run `make up` again"):
            fresh_system.up(("postgres",))

    fresh_system.up(("postgres",))


def test_up_kills_a_suspended_backend_of_a_killed_postgres(fresh_system: LocalSystem) -> None:
    values = fresh_system.up(("postgres",))
    with psycopg.connect(values["database_url"]) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        backend.suspend()
        os.kill(fresh_system.pids()["postgres"], signal.SIGKILL)

        fresh_system.up(("postgres",))

        assert not _runs(backend.pid)


def test_everything_listens_on_loopback_only(system: LocalSystem) -> None:
    system.up()
    ours = {
        process.pid
        for record in system.processes.records().values()
        for process in [psutil.Process(record.pid), *psutil.Process(record.pid).children(recursive=True)]
    }

    listening = {
        tuple(connection.laddr)
        for connection in psutil.net_connections("inet")
        if connection.pid in ours and connection.status == psutil.CONN_LISTEN
    }

    assert listening == {(HOST, system.port_base + offset) for offset in range(5)}


def test_app_secret_from_the_environment_applies_only_while_it_is_set(system: LocalSystem) -> None:
    usual = system.up()
    pids = system.pids()

    changed = system.up(FACEBOOK_APP_SECRET="another-secret")
    changed_pids = system.pids()
    back = system.up()

    assert changed["facebook_app_secret"] == "another-secret"
    assert changed_pids["meta"] != pids["meta"]
    assert changed_pids["postgres"] == pids["postgres"]
    assert back == usual


def test_changed_port_base_moves_the_system_and_keeps_the_database(system: LocalSystem) -> None:
    before = system.up()
    with psycopg.connect(before["database_url"]) as database:
        database.execute("create table public.kept (word text)")
        database.execute("insert into public.kept values ('still here')")
    old_base = system.port_base

    system.port_base = free_base()
    after = system.up()

    with psycopg.connect(after["database_url"]) as database:
        assert database.execute("select word from public.kept").fetchall() == [("still here",)]
    assert all(is_free(old_base + offset) for offset in range(5))


def test_down_leaves_no_process_and_no_port(system: LocalSystem) -> None:
    system.up()
    pids = system.pids().values()

    stack.down(system.home)

    assert not any(_runs(pid) for pid in pids)
    assert all(is_free(system.port_base + offset) for offset in range(7))
    assert not (system.home / "stack.json").exists()
    assert (system.home / "postgres" / "PG_VERSION").exists()


def test_down_without_a_running_system_does_nothing(tmp_path: Path) -> None:
    stack.down(tmp_path / "never")

    assert not (tmp_path / "never").exists()


def test_down_kills_processes_left_behind_by_a_killed_service(tmp_path: Path) -> None:
    marks = {"INSTAGRAM_CONNECT_HOME": str(tmp_path), "INSTAGRAM_CONNECT_SERVICE": "aws"}
    with subprocess.Popen(["/bin/sleep", "600"], env=marks) as left_behind:
        stack.down(tmp_path)

        assert left_behind.wait(timeout=5) == -signal.SIGKILL


def test_recorded_pid_reused_by_another_process_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "600"]) as stranger:
        (tmp_path / "processes.json").write_text(
            f'{{"web": {{"pid": {stranger.pid}, "started_at": 1.0, "fingerprint": ""}}}}'
        )

        stack.down(tmp_path)

        assert stranger.poll() is None
        stranger.kill()


def test_port_in_use_is_reported_with_its_purpose_and_a_way_out(fresh_system: LocalSystem) -> None:
    port = fresh_system.port_base
    with socket.create_server((HOST, port)), pytest.raises(LocalSystemError) as refusal:
        fresh_system.up(ONE_SERVICE)

    assert f"port {port}, for the web page" in str(refusal.value)
    assert f"pid {os.getpid()}" in str(refusal.value)
    assert "LOCAL_PORT_BASE=" in str(refusal.value)


def test_service_that_fails_to_start_shows_the_end_of_its_log(fresh_system: LocalSystem) -> None:
    data = fresh_system.home / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("9.1\n")

    with pytest.raises(LocalSystemError) as failure:
        fresh_system.up(("postgres",))

    assert "Postgres exited" in str(failure.value)
    assert "postgresql.conf" in str(failure.value)


def test_system_is_stopped_after_its_parent_was_killed(fresh_system: LocalSystem) -> None:
    program = (
        "import time; from pathlib import Path; from local import stack\n"
        f"with stack.running(Path({str(fresh_system.home)!r}), only={ONE_SERVICE!r}):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert any(b"ready" in line for line in parent.stdout)
        pids = fresh_system.pids().values()
        parent.kill()

    assert pids
    assert eventually(lambda: not any(_runs(pid) for pid in pids))
    assert eventually(lambda: not (fresh_system.home / "stack.json").exists())


def test_concurrent_ups_wait_for_each_other(fresh_system: LocalSystem) -> None:
    program = (
        "import os; from pathlib import Path; from local import stack\n"
        f"stack.up(Path({str(fresh_system.home)!r}), os.environ, only={ONE_SERVICE!r})\n"
    )
    command = [sys.executable, "-c", program]
    calls = [subprocess.Popen(command, cwd=ROOT, env=fresh_system.environment({})) for _ in range(2)]

    assert [call.wait(timeout=30) for call in calls] == [0, 0]


@contextmanager
def memory_attached(system: LocalSystem, *, seconds: float) -> Iterator[None]:
    """Keep the running Postgres's shared memory attached, as the kernel may for a moment after its processes died."""
    segment = (system.home / "postgres" / "postmaster.pid").read_text().splitlines()[6].split()[1]
    program = (
        "import ctypes, time\n"
        f"assert ctypes.CDLL(None).shmat({segment}, None, 0) != -1\n"
        "print('attached', flush=True)\n"
        f"time.sleep({seconds})\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"attached\n"
        try:
            yield
        finally:
            holder.kill()


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
