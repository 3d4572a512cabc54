"""Measures how long a stale schema cache delays a connection, on both engines, against a schema reload alone.

The function exists but the Data API does not know it, as after a restore. The delay is the time from the first "not in
the schema cache" error to the response that the rows are stored. The baseline is a program that knows the cause: it
notifies Postgres and polls until the Data API knows the function.
"""

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

import httpx
import psycopg
from psycopg import sql

from bench.connecting import connection
from bench.figures import Figure
from bench.frontend import Frontend
from bench.recording import Call
from bench.system import HOME, deployed, on_supabase_lite
from instagram_connect.models import Provider
from instagram_connect.storage.schema_contract import rpc_name
from local.database import connect
from local.progress import step
from local.settings import Keys

HEALED = 50
FUNCTION = rpc_name("store_connection")
RELOAD_TIMEOUT_S = 5.0
# Polling without a pause would take processor time from the reload.
POLL_INTERVAL_S = 0.01
# PostgREST merges reloads requested within 0.1 s, so a new one would have to wait.
SETTLING_S = 0.2
# None: PostgREST 12 may return no code. An error from Postgres itself has another code.
UNKNOWN = ("PGRST202", None)


def measure(stack: Mapping[str, str]) -> list[Figure]:
    """Return all figures for healing."""
    figures = list(_on_engine(stack, "PostgREST"))
    with on_supabase_lite(stack):
        return [*figures, *_on_engine(stack, "Supabase Lite")]


def _on_engine(stack: Mapping[str, str], engine: str) -> Iterator[Figure]:
    keys = Keys.of_home(HOME)
    with (
        deployed(stack, keys),
        closing(Frontend(stack, keys)) as frontend,
        connect(stack["database_url"], autocommit=True) as database,
        httpx.Client(
            base_url=f"{stack['supabase_url']}/rest/v1/rpc",
            headers={"apikey": stack["supabase_secret_key"]},
            trust_env=False,
        ) as data_api,
    ):
        cache = _Cache(database, data_api)
        connection(frontend, Provider.INSTAGRAM, 1)
        ours, bare = [], []
        with step(f"Healing {HEALED} connections on {engine}, and reloading alone after every second one"):
            for number in range(HEALED):
                with cache.stale():
                    ours.append(_held_up_s(connection(frontend, Provider.INSTAGRAM, 1)) * 1000)
                if number % 2:
                    with cache.stale():
                        bare.append(cache.reload_s() * 1000)
    for title, of in (("median", statistics.median), ("worst", max)):
        yield Figure.against(
            f"healing: delay on {engine}, {title} of {HEALED}",
            of(ours),
            of(bare),
            "ms",
            baseline_is="a schema reload alone",
            runs=ours,
            baseline_runs=bare,
        )


def _held_up_s(calls: list[Call]) -> float:
    """Return the time from the first response to the store call, which is the error, to the last."""
    answers = [call.ended for call in calls if call.operation == f"POST {FUNCTION}"]
    if len(answers) < 2:
        raise RuntimeError("The Data API knew the function: nothing was healed.")
    return max(answers) - min(answers)


class _Cache:
    """The schema cache of the Data API."""

    def __init__(self, database: psycopg.Connection[tuple[object, ...]], data_api: httpx.Client) -> None:
        self._database = database
        self._data_api = data_api

    @contextmanager
    def stale(self) -> Iterator[None]:
        """Make the cache stale: it was read while the function had another name, and is not reloaded afterwards."""
        # Like a restore, without the event triggers that reload the cache after a change.
        self._database.execute("set session_replication_role = replica")
        self._rename(FUNCTION, "away")
        self._notify()
        self._wait_until(known=False)
        self._rename("away", FUNCTION)
        time.sleep(SETTLING_S)
        yield
        self._wait_until(known=True)

    def reload_s(self) -> float:
        """Return the duration of a reload, to within the polling interval."""
        began = time.perf_counter()
        self._notify()
        self._wait_until(known=True)
        return time.perf_counter() - began

    def _rename(self, function: str, name: str) -> None:
        self._database.execute(
            sql.SQL("alter function {}(jsonb) rename to {}").format(sql.Identifier(function), sql.Identifier(name))
        )

    def _notify(self) -> None:
        self._database.execute("notify pgrst, 'reload schema'")

    def _wait_until(self, *, known: bool) -> None:
        end = time.monotonic() + RELOAD_TIMEOUT_S
        while time.monotonic() < end:
            answer = self._data_api.post(f"/{FUNCTION}", json={"payload": None})
            is_unknown = answer.status_code == 404 and answer.json().get("code") in UNKNOWN
            if answer.is_success if known else is_unknown:
                return
            time.sleep(POLL_INTERVAL_S)
        raise RuntimeError(f"The Data API {'does not know' if known else 'still knows'} the function.")
