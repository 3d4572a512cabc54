"""Outages that affect all flows: killed processes, a database that rejects statements, wrong clocks."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import psycopg
import time_machine

from instagram_connect.storage.schema_contract import FUNCTIONS
from local.database import connect
from local.stack import up
from tests.faults.world import World
from tests.support.sabotage import kill_service

LASTING_S = 2.0
SKEW_S = 300

Outage = Callable[[], AbstractContextManager[None]]


def passing(world: World, environment: Mapping[str, str]) -> dict[str, Outage]:
    """Outages that are over after a moment, whatever runs into them, by their names."""
    return {
        "Postgres killed": partial(_killed, world, environment, "postgres"),
        "Data API killed": partial(_killed, world, environment, "supabase"),
        "schema cache stale": partial(_stale_cache, world),
        "privileges revoked": partial(_revoked, world),
        "database read-only": partial(_read_only, world),
    }


def lasting(world: World) -> dict[str, Outage]:
    """Outages that last for the whole run."""
    return {
        f"clock {SKEW_S} s ahead": partial(_skewed, world, SKEW_S),
        f"clock {SKEW_S} s behind": partial(_skewed, world, -SKEW_S),
    }


@contextmanager
def _killed(world: World, environment: Mapping[str, str], service: str) -> Iterator[None]:
    kill_service(service, world.home)
    try:
        yield
        time.sleep(LASTING_S)
    finally:
        up(world.home, environment, only=(service,))


@contextmanager
def _stale_cache(world: World) -> Iterator[None]:
    with _database(world) as database:
        # As in a restore: the event triggers, which would ask for the reload, stay silent.
        database.execute("set session_replication_role = replica")
        for name in FUNCTIONS:
            database.execute(f'alter function "{name}" rename to "{name}_away"'.encode())
        database.execute("notify pgrst, 'reload schema'")
        time.sleep(1)
        for name in FUNCTIONS:
            database.execute(f'alter function "{name}_away" rename to "{name}"'.encode())
    yield


@contextmanager
def _revoked(world: World) -> Iterator[None]:
    with _database(world) as database:
        for name in FUNCTIONS:
            database.execute(f'revoke execute on function "{name}" from service_role'.encode())
        try:
            yield
            time.sleep(LASTING_S)
        finally:
            for name in FUNCTIONS:
                database.execute(f'grant execute on function "{name}" to service_role'.encode())


@contextmanager
def _read_only(world: World) -> Iterator[None]:
    with _database(world) as database:
        # Only new sessions see it; those of the Data API are made new.
        ended = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
        database.execute("alter database postgres set default_transaction_read_only = on")
        database.execute(ended)
        try:
            yield
            time.sleep(LASTING_S)
        finally:
            database.execute("set default_transaction_read_only = off")
            database.execute("alter database postgres reset default_transaction_read_only")
            database.execute(ended)


@contextmanager
def _skewed(world: World, seconds: int) -> Iterator[None]:
    """Every function's clock is off; the clocks of Supabase, Postgres, AWS and Meta are right."""
    variables = {
        "PYTHONPATH": str(Path(__file__).parent / "skewed_clock"),
        "TIME_MACHINE_FOLDER": str(Path(time_machine.__file__).parent.parent),
        "CLOCK_SKEW_S": str(seconds),
    }
    world.restart(*world.function_names, **variables)
    try:
        yield
    finally:
        world.restart(*world.function_names, **dict.fromkeys(variables, ""))


def _database(world: World) -> psycopg.Connection[tuple[object, ...]]:
    return connect(world.app.stack["database_url"], autocommit=True)
