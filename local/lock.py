"""A lock that lets one command at a time work on a home folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.progress import say


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the home folder's lock, waiting for it if necessary. The kernel releases it if its holder dies."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            say(f"Waiting for another command on {home} (pid {file.read().strip() or 'unknown'}) ...")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
