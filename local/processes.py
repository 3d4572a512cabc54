"""Starts and stops the processes of one home folder, and only those.

A process belongs to a home when its pid and start time are those that were recorded when it was started, or
when it carries the home's name in its environment: what a service starts itself inherits that, and so is found
even when the service was killed.
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

HOME_MARK = "INSTAGRAM_CONNECT_HOME"
SERVICE_MARK = "INSTAGRAM_CONNECT_SERVICE"

# Long enough for Postgres to write its last checkpoint on a busy disk; what hangs longer is killed.
_GRACE_SECONDS = 8.0
_LOG_LINES = 30


@dataclass(frozen=True)
class Record:
    """One started process: who it is, and what it was started with."""

    pid: int
    started_at: float
    fingerprint: str

    def process(self) -> psutil.Process | None:
        """The living process, or None when it is gone or its pid has gone to somebody else."""
        try:
            process = psutil.Process(self.pid)
            # The start time is derived from the clock, which may be set by a fraction while the process runs.
            is_same = abs(process.create_time() - self.started_at) < 1
        except psutil.NoSuchProcess:
            return None
        return process if is_same and _is_alive(process) else None


@dataclass(frozen=True)
class Command:
    """What to start: a program with its environment, and the files that it is made of."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    sources: Collection[Path] = ()
    user: str | None = None

    def fingerprint(self) -> str:
        """Names this program with its settings and code; another one means that it has to be started anew."""
        digest = hashlib.sha256(json.dumps([list(self.arguments), sorted(self.environment.items())]).encode())
        for path in sorted(self.sources):
            digest.update(path.read_bytes())
        return digest.hexdigest()


class Processes:
    """The processes of one home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._path = home / "processes.json"

    def records(self) -> dict[str, Record]:
        """What was started and not stopped since, by service name, whether it still lives or not."""
        if not self._path.exists():
            return {}
        return {name: Record(**values) for name, values in json.loads(self._path.read_text()).items()}

    def running(self, name: str) -> Record | None:
        """The record of a service, if its process lives."""
        record = self.records().get(name)
        return record if record is not None and record.process() is not None else None

    def log(self, name: str) -> Path:
        """Where the service writes."""
        return self.home / "logs" / f"{name}.log"

    def start(self, command: Command) -> Record:
        """Start a program in the background, in a session of its own, where a Ctrl-C here does not reach it."""
        log = self.log(command.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        marks = {HOME_MARK: str(self.home), SERVICE_MARK: command.name}
        with log.open("ab") as output:
            # The shell ends at once and leaves the program to init, which collects it: no zombie of ours.
            shell = subprocess.run(
                ["/bin/sh", "-c", '"$@" >&2 </dev/null & echo $!', "sh", *command.arguments],
                env={**command.environment, **marks},
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
        """End services with everything that they started, all at the same time, and forget them."""
        records = self.records()
        processes: list[psutil.Process] = []
        for name in names:
            main = records[name].process() if name in records else None
            if main is not None:
                tree = _tree(main)
                processes += tree
                if name == "postgres":
                    _signal(main, signal.SIGINT)  # the fast shutdown; SIGTERM waits until every client has left
                else:
                    for process in tree:
                        _signal(process, signal.SIGTERM)
        self._finish(processes)
        self.sweep(names)
        self._save({name: record for name, record in records.items() if name not in names})

    def stop_all(self) -> None:
        """End everything that carries this home's name."""
        self.stop(list(self.records()))
        self.sweep(None)

    def sweep(self, names: Collection[str] | None) -> None:
        """End what these services (None: all that ever were) left behind when they were killed."""
        left_behind = []
        for process in psutil.process_iter():
            # Another user's process, a kernel thread or one that just ended cannot be asked, and is not ours.
            with contextlib.suppress(psutil.Error, OSError):
                name = self._service_of(process)
                if name is not None and (names is None or name in names):
                    left_behind.append(process)
        self._finish(left_behind, at_once=True)

    def _service_of(self, process: psutil.Process) -> str | None:
        """The service of this home that a process belongs to, if any."""
        environment = process.environ()
        if environment.get(HOME_MARK) == str(self.home) and process.pid != os.getpid():
            return environment.get(SERVICE_MARK)
        # Postgres writes its title where its environment was, and works in its data folder.
        return "postgres" if process.cwd() == str(self.home / "postgres") else None

    @staticmethod
    def _finish(processes: list[psutil.Process], *, at_once: bool = False) -> None:
        alive = processes if at_once else _wait(processes)
        for process in alive:
            _signal(process, signal.SIGKILL)
        _wait(alive)

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
    """Wait until these have ended; return those that do not."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while (alive := [process for process in processes if _is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def _is_alive(process: psutil.Process) -> bool:
    """Whether a process still runs; one that only waits for init to collect it does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def end_of(log: Path) -> str:
    """The last lines of a log, with its name, for an error message."""
    lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:] if log.exists() else []
    return f"The end of {log}:\n" + "\n".join(f"  {line}" for line in lines)
