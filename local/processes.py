"""Starts and stops the processes of one home folder, and no others.

A process belongs to a home if its pid and start time match the record made when it was started, or if its environment
names the home. A service's children inherit that environment, so they are found even after the service was killed.
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from local.errors import LocalSystemError

HOME_MARK = "INSTAGRAM_CONNECT_HOME"
SERVICE_MARK = "INSTAGRAM_CONNECT_SERVICE"

# Long enough for Postgres to write its last checkpoint to a busy disk. A process that takes longer is killed.
_GRACE_SECONDS = 8.0
_LOG_LINES = 30


@dataclass(frozen=True)
class Record:
    """Identifies a started process and the command that started it."""

    pid: int
    started_at: float
    fingerprint: str

    def process(self) -> psutil.Process | None:
        """Return the running process, or None if it has ended or its pid belongs to another process now."""
        try:
            process = psutil.Process(self.pid)
            # The start time is derived from the clock, which may be adjusted slightly while the process runs.
            is_same = abs(process.create_time() - self.started_at) < 1
        except psutil.NoSuchProcess:
            return None
        return process if is_same and _is_alive(process) else None


@dataclass(frozen=True)
class Command:
    """A program to start, with its environment and source files."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    sources: Collection[Path] = ()
    user: str | None = None

    def fingerprint(self) -> str:
        """Return a hash of the program, its settings and its code; if it changes, the program needs a restart."""
        digest = hashlib.sha256(json.dumps([list(self.arguments), sorted(self.environment.items())]).encode())
        for path in sorted(self.sources):
            digest.update(path.read_bytes())
        return digest.hexdigest()


def marks(home: Path, service: str) -> dict[str, str]:
    """Return the environment variables by which `Processes.sweep` finds a process of a home folder's service."""
    return {HOME_MARK: str(home), SERVICE_MARK: service}


class Processes:
    """The processes of one home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._path = home / "processes.json"

    def records(self) -> dict[str, Record]:
        """Return the records of all services started and not stopped since, including any that have died."""
        if not self._path.exists():
            return {}
        return {name: Record(**values) for name, values in json.loads(self._path.read_text()).items()}

    def running(self, name: str) -> Record | None:
        """Return a service's record if its process is running."""
        record = self.records().get(name)
        return record if record is not None and record.process() is not None else None

    def log(self, name: str) -> Path:
        """Return the path of a service's log."""
        return self.home / "logs" / f"{name}.log"

    def start(self, command: Command) -> Record:
        """Start a program in the background, in its own session so that Ctrl-C here does not reach it."""
        log = self.log(command.name)
        log.parent.mkdir(parents=True, exist_ok=True)

        with log.open("ab") as output:
            # The shell exits at once, so init adopts and later reaps the program; it never becomes our zombie.
            shell = subprocess.run(
                ["/bin/sh", "-c", '"$@" >&2 </dev/null & echo $!', "sh", *command.arguments],
                env={**command.environment, **marks(self.home, command.name)},
                cwd=command.folder,
                user=command.user,
                group=command.user,
                extra_groups=[] if command.user else None,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
                check=True,
                text=True,
            )
        pid = int(shell.stdout)
        try:
            started_at = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            started_at = 0.0
        record = Record(pid, started_at, command.fingerprint())
        self._save({**self.records(), command.name: record})
        return record

    def stop(self, names: Collection[str]) -> None:
        """Stop services and their children, all at the same time, and delete their records."""
        records = self.records()
        processes: list[psutil.Process] = []
        for name in names:
            main = records[name].process() if name in records else None
            if main is not None:
                tree = _tree(main)
                processes += tree
                if name == "postgres":
                    _signal(main, signal.SIGINT)  # fast shutdown; on SIGTERM it waits for all clients to disconnect
                else:
                    for process in tree:
                        _signal(process, signal.SIGTERM)
        self._finish(processes)
        self.sweep(names)
        self._save({name: record for name, record in records.items() if name not in names})

    def stop_all(self) -> None:
        """Stop every process of this home."""
        self.stop(list(self.records()))
        self.sweep(None)

    def sweep(self, names: Collection[str] | None) -> None:
        """Kill the processes that these services (None: all services) left behind when they were killed."""
        left_behind = []
        # Not process_iter(): its cached objects refuse to signal a process whose pid belonged to another one before.
        for pid in psutil.pids():
            # Other users' processes, kernel threads and processes that have just ended raise; none of them is ours.
            with contextlib.suppress(psutil.Error, OSError):
                process = psutil.Process(pid)
                name = self._service_of(process)
                if name is not None and (names is None or name in names):
                    left_behind.append(process)
        self._finish(left_behind, at_once=True)

    def _service_of(self, process: psutil.Process) -> str | None:
        """Return the service of this home that a process belongs to, if any."""
        environment = process.environ()
        if environment.get(HOME_MARK) == str(self.home) and process.pid != os.getpid():
            return environment.get(SERVICE_MARK)
        # Postgres overwrites its environment with its process title; its working directory is its data folder.
        return "postgres" if process.cwd() == str(self.home / "postgres") else None

    @staticmethod
    def _finish(processes: list[psutil.Process], *, at_once: bool = False) -> None:
        alive = processes if at_once else _wait(processes)
        for process in alive:
            _signal(process, signal.SIGKILL)
        if survivors := _wait(alive):
            pids = ", ".join(str(process.pid) for process in survivors)
            raise LocalSystemError(f"These processes have not ended {_GRACE_SECONDS:.0f} s after SIGKILL: {pids}.")

    def _save(self, records: Mapping[str, Record]) -> None:
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps({name: asdict(record) for name, record in records.items()}, indent=2))
        draft.replace(self._path)


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [process]


def _wait(processes: Collection[psutil.Process]) -> list[psutil.Process]:
    """Wait for processes to end; return those still running after the grace period."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while (alive := [process for process in processes if _is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def _is_alive(process: psutil.Process) -> bool:
    """Whether a process is running; a zombie is not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def end_of(log: Path) -> str:
    """Return the path and last lines of a log, for an error message."""
    lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:] if log.exists() else []
    return f"The end of {log}:\n" + "\n".join(f"  {line}" for line in lines)
