"""What all commands share: which project they work on, its storage, and their exit codes.

With SUPABASE_URL in the environment a command works on that project: SUPABASE_SECRET_KEY is required, DATABASE_URL is
optional. Without it the command works on the local system, as described by its stack.json. The two sources are never
mixed: a key must not be tried on another project.
"""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from instagram_connect.doctor.project import Project
from instagram_connect.errors import StorageError
from instagram_connect.runtime.observability import logger
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs

HEALTHY, SICK, WRONG_USAGE = 0, 1, 2

_LOCAL_HOME = Path(__file__).parent.parent / ".local"
_VARIABLES = ("SUPABASE_URL", "SUPABASE_SECRET_KEY", "DATABASE_URL")


class UsageError(Exception):
    """A command cannot run as it was called; the message says what to change."""


def add_home(parser: argparse.ArgumentParser) -> None:
    """Add the option `--home`."""
    parser.add_argument("--home", type=Path, default=_LOCAL_HOME, help="the local system's folder (default: .local)")


def read_project(home: Path, environment: Mapping[str, str]) -> Project:
    """Return the project to work on. Raises UsageError if its description is incomplete."""
    given = {name: environment[name] for name in _VARIABLES if environment.get(name)}
    if "SUPABASE_URL" not in given:
        if given:
            raise UsageError(f"{' and '.join(given)} without SUPABASE_URL: set it too, or none of them.")
        stack = read_stack(home)
        return Project(stack["supabase_url"], stack["supabase_secret_key"], stack["database_url"])
    if "SUPABASE_SECRET_KEY" not in given:
        raise UsageError("SUPABASE_URL without SUPABASE_SECRET_KEY: set the project's secret key too.")
    return Project(given["SUPABASE_URL"], given["SUPABASE_SECRET_KEY"], given.get("DATABASE_URL"))


def read_stack(home: Path) -> dict[str, str]:
    """Return the running local system's stack.json."""
    try:
        stack: dict[str, str] = json.loads((home / "stack.json").read_text())
    except FileNotFoundError:
        raise UsageError("The local system is not running: run `make up`, or set SUPABASE_URL.") from None
    return stack


@contextmanager
def storage_of(project: Project) -> Iterator[Rpcs]:
    """Give access to a project's storage, without logging. Raises UsageError if its address is not a URL."""
    try:
        data_api = DataApi(project.supabase_url, project.secret_key)
    except ValueError as error:
        raise UsageError(f"SUPABASE_URL is not a URL: {error}.") from None
    level = logger.log_level
    logger.setLevel(logging.CRITICAL)  # `exit_code` prints an error's reason and remedy
    try:
        with closing(data_api):
            yield Rpcs(data_api, project.database_url)
    finally:
        logger.setLevel(level)


def exit_code(command: Callable[[], int]) -> int:
    """Run a command and return its exit code; print its error, if any, to stderr."""
    try:
        return command()
    except UsageError as error:
        print(error, file=sys.stderr)
        return WRONG_USAGE
    except StorageError as error:
        print(f"{error.reason}: {error.log_context.get('remedy', error.hint)}", file=sys.stderr)
        return SICK
