"""Measures how fast webhooks are acknowledged, and how fast events are stored.

The baselines, measured alternately, are a bare handler that does the same with boto3 and hmac, and inserts of single
rows with the library that a Supabase project would use.
"""

import json
import statistics
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import psycopg
from postgrest import SyncPostgrestClient

from bench import counting
from bench.figures import Figure
from bench.recording import recorded
from bench.system import HOME, context, deployed, silent
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs
from instagram_connect.webhooks.parser import parse
from instagram_connect.webhooks.repository import WebhookRepository
from local.database import connect
from local.progress import step
from local.settings import Keys

ACKNOWLEDGED = 300
TURNS = 10
STORED_AT_ONCE = 1000
# Fewer, because single rows are slow; the speed does not depend on the number.
INSERTED_ROW_BY_ROW = 100
ACCOUNT = "17841400000000001"
HANDLERS = {"ours": "functions.webhook.app", "bare": "bench.bare_webhook"}


def measure(stack: dict[str, str]) -> list[Figure]:
    """Return all figures for webhooks."""
    with deployed(stack, Keys.of_home(HOME)):
        return [*_acknowledging(stack), *_storing(stack)]


def _entry(number: int) -> dict[str, Any]:
    message = {"mid": f"bench-{number}", "text": "Are you open today? " + "\u2615" * 20}
    talk = {
        "sender": {"id": f"9001{number % 100:02}"},
        "recipient": {"id": ACCOUNT},
        "timestamp": 1_769_000_000_000 + number,
        "message": message,
    }
    return {"id": ACCOUNT, "time": 1_769_000_000_000, "messaging": [talk]}


def _acknowledging(stack: dict[str, str]) -> Iterator[Figure]:
    times: dict[str, list[float]] = {name: [] for name in HANDLERS}
    with step(f"Acknowledging {ACKNOWLEDGED} webhooks, alternately with the baseline"), silent():
        for number in range(ACKNOWLEDGED):
            for name, module in HANDLERS.items():
                event = counting.webhook(stack, json.dumps({"object": "instagram", "entry": [_entry(number)]}))
                began = time.perf_counter()
                answer = import_module(module).lambda_handler(event, context())
                times[name].append((time.perf_counter() - began) * 1000)
                if answer["statusCode"] != 200:
                    raise SystemExit(f"{module} returned {answer}.")
    ours, bare = times["ours"], times["bare"]
    baseline_is = "a bare handler with boto3 and hmac"
    for percent, title in ((50, "median"), (95, "95th percentile"), (99, "99th percentile")):
        yield Figure.against(
            f"webhook: time to acknowledge, {title}",
            _percentile(ours, percent),
            _percentile(bare, percent),
            "ms",
            baseline_is=baseline_is,
            runs=ours if percent == 50 else (),
            baseline_runs=bare if percent == 50 else (),
        )
    yield Figure.against(
        "webhook: acknowledged one after another",
        1000 * len(ours) / sum(ours),
        1000 * len(bare) / sum(bare),
        "webhooks/s",
        baseline_is=baseline_is,
    )


def _percentile(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]


def _storing(stack: dict[str, str]) -> Iterator[Figure]:
    data_api = DataApi(stack["supabase_url"], stack["supabase_secret_key"])
    repository = WebhookRepository(Rpcs(data_api), utc_now)
    rows = SyncPostgrestClient(f"{stack['supabase_url']}/rest/v1", headers={"apikey": stack["supabase_secret_key"]})
    seconds: dict[str, float] = defaultdict(float)
    stored: Counter[str] = Counter()
    statements: Counter[str] = Counter()
    with connect(stack["database_url"], autocommit=True) as database:
        account_id = _connect(database)

        def store(numbers: range) -> None:
            body = {"object": "instagram", "entry": [_entry(number) for number in numbers]}
            repository.store(parse(json.dumps(body).encode()), Deadline(60))

        def insert_at_once(numbers: range) -> None:
            _insert(rows, [_row(account_id, number) for number in numbers])

        def insert_row_by_row(numbers: range) -> None:
            for number in numbers:
                _insert(rows, [_row(account_id, number)])

        ways = (
            (store, STORED_AT_ONCE),
            (insert_at_once, STORED_AT_ONCE),
            (insert_row_by_row, INSERTED_ROW_BY_ROW),
        )
        with step(f"Storing {STORED_AT_ONCE:,} events at once, and in single rows, {TURNS} times alternately"):
            for _ in range(TURNS):
                for way, count in ways:
                    numbers = range(stored.total(), stored.total() + count)
                    with recorded(stack) as calls:
                        way(numbers)
                    seconds[way.__name__] += calls.wall_s
                    statements[way.__name__] += len(calls)
                    stored[way.__name__] += count
        counted = database.execute("select count(*) from webhook_events").fetchone()
    data_api.close()
    if counted != (stored.total(),):
        raise SystemExit(f"Expected {stored.total()} stored events, found {counted}.")
    ours, at_once, row_by_row = (stored[way.__name__] / seconds[way.__name__] for way, _ in ways)
    single_rows, many_rows = "inserts of single rows", f"inserts of {STORED_AT_ONCE:,} rows"
    yield Figure.against("webhook: events stored", ours, row_by_row, "events/s", baseline_is=single_rows)
    yield Figure.against("webhook: events stored", ours, at_once, "events/s", baseline_is=many_rows)
    yield Figure.against(
        f"webhook: calls to the Data API for {STORED_AT_ONCE:,} events",
        statements["store"] / TURNS,
        STORED_AT_ONCE * statements["insert_row_by_row"] / stored["insert_row_by_row"],
        "calls",
        baseline_is=single_rows,
    )


def _row(account_id: str, number: int) -> dict[str, Any]:
    return {
        "business_account_id": account_id,
        "entry_id": ACCOUNT,
        "event_key": f"msg:bench-{number}",
        "field": "messages",
        "payload": {"object": "instagram", "entry": [_entry(number)]},
    }


def _insert(client: SyncPostgrestClient, rows: list[dict[str, Any]]) -> None:
    """Insert events as a simple handler would: without conversations, messages, outbox and counts."""
    client.from_("webhook_events").upsert(
        rows, on_conflict="business_account_id,event_key", ignore_duplicates=True
    ).execute()


def _connect(database: psycopg.Connection[Any]) -> str:
    database.execute("delete from instagram_business_accounts")
    database.execute("truncate webhook_events, webhook_counts")
    user_id = str(uuid.uuid4())
    database.execute("insert into auth.users (id, email) values (%s, %s)", [user_id, f"{user_id}@example.com"])
    row = database.execute(
        "insert into instagram_business_accounts (user_id, provider, instagram_business_id, connected_at) "
        "values (%s, 'instagram', %s, now()) returning id",
        [user_id, ACCOUNT],
    ).fetchone()
    assert row is not None
    return str(row[0])
