"""Runs a separate local system for a test."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local import stack
from local.ports import free_base
from local.processes import Processes


class LocalSystem:
    """A separate local system, started with values that the test chooses."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port_base = free_base()
        self.processes = Processes(home)

    def environment(self, overrides: Mapping[str, str]) -> dict[str, str]:
        return {**os.environ, "LOCAL_PORT_BASE": str(self.port_base), **overrides}

    def up(self, only: tuple[str, ...] | None = None, **overrides: str) -> dict[str, str]:
        return stack.up(self.home, self.environment(overrides), only=only, deploy=False)

    def pids(self) -> dict[str, int]:
        return {name: record.pid for name, record in self.processes.records().items()}


@contextmanager
def temporary_system() -> Iterator[LocalSystem]:
    # Not pytest's own folder, which the user that Postgres runs as cannot enter.
    with tempfile.TemporaryDirectory(prefix="instagram-connect-") as folder:
        system = LocalSystem(Path(folder).resolve())
        with stack.guarded(system.home):
            yield system
