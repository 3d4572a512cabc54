"""Measures how fast due tokens are refreshed, against the upper bound set by Meta's latency and the concurrency.

The real worker code runs in this process, with real PostgREST and Postgres, the local AWS for KMS, and a Meta simulator
that delays each refresh. All of them share this machine, so the processor time of this process is reported too.
"""

import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import boto3
import httpx
import psycopg

from bench.figures import Figure
from bench.recording import by_service, recorded
from bench.system import redirect_uri, silent
from instagram_connect.meta.products import MetaSettings
from instagram_connect.models import Provider
from instagram_connect.outbox.publisher import EventPublisher
from instagram_connect.outbox.repository import OutboxRepository
from instagram_connect.refresh.batch import CONCURRENCY, RefreshBatch
from instagram_connect.refresh.queue import ACCOUNTS_PER_MESSAGE, RefreshQueue
from instagram_connect.refresh.repository import RefreshRepository
from instagram_connect.runtime.batches import batches
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger
from instagram_connect.runtime.settings import Secrets
from instagram_connect.security.token_vault import TokenBinding, TokenVault
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs
from local.database import connect
from local.progress import step

SIZES = (200, 1000)
FULL_SIZES = (1000, 10_000)
META_LATENCY_S = 0.1
_SPEED = "speed of one worker"
_PROCESSOR_TIME = "processor time"
# Leaves five days to a token of sixty.
AGE = timedelta(days=55)


@dataclass(frozen=True)
class Bench:
    """A running system and the worker to measure."""

    stack: dict[str, str]
    meta: httpx.Client
    database: psycopg.Connection[Any]
    vault: TokenVault
    batch: RefreshBatch


def measure(stack: dict[str, str], sizes: Sequence[int] = SIZES) -> list[Figure]:
    """Return the figures for each number of due accounts."""
    logger.setLevel("CRITICAL")
    with _bench(stack) as bench:
        figures = [figure for size in sizes for figure in _measure(bench, size)]
    first, last = sizes[0], sizes[-1]
    measured = {figure.name: figure.measured for figure in figures}
    if first != last:
        for what, unit in ((_SPEED, "accounts/s"), (_PROCESSOR_TIME, "ms/account")):
            values = measured[_name(what, last)], measured[_name(what, first)]
            name = f"{_name(what, last)}, growth"
            figures.append(Figure.against(name, *values, unit, baseline_is=f"the same with {first:,} due"))
    return figures


def _name(what: str, size: int) -> str:
    return f"refresh: {what}, {size:,} due"


def _measure(bench: Bench, size: int) -> Iterator[Figure]:
    with step(f"Connecting {size} accounts"):
        _populate(bench, size)
    with step(f"Refreshing {size} accounts"), recorded(bench.stack) as calls, silent():
        owner = "bench"
        claims = bench.batch.repository.claim(owner, size, Deadline(60))
        for part in batches(claims, ACCOUNTS_PER_MESSAGE):
            bench.batch.work(owner, part, Deadline(60))
    row = bench.database.execute(
        "select count(*) from instagram_credentials where expires_at > now() + interval '59 days'"
    ).fetchone()
    if len(claims) != size or row != (size,):
        raise SystemExit(f"Only {row} of {size} accounts were refreshed: nothing was measured.")
    counts = by_service(calls)
    yield Figure.against(
        _name(_SPEED, size),
        size / calls.wall_s,
        CONCURRENCY / META_LATENCY_S,
        "accounts/s",
        baseline_is=f"{CONCURRENCY} calls at once, {META_LATENCY_S * 1000:.0f} ms per call to Meta",
    )
    yield Figure(_name(_PROCESSOR_TIME, size), round(calls.computing_s / size * 1000, 2), "ms/account")
    for service, title in (("meta", "Meta"), ("kms", "KMS"), ("data_api", "the Data API")):
        per_account = round(counts[service] / size, 3)
        yield Figure(_name(f"calls to {title} per account", size), per_account, "calls")


def _populate(bench: Bench, size: int) -> None:
    meta = bench.meta
    meta.post("/_simulator/reset").raise_for_status()
    bench.database.execute("delete from instagram_business_accounts")
    user_id = str(uuid.uuid4())
    bench.database.execute("insert into auth.users (id, email) values (%s, %s)", [user_id, f"{user_id}@example.com"])

    def connect(number: int) -> tuple[str, str]:
        account_id, username = f"178490{number:011d}", f"bench.{number}"
        new = {"instagram": {"username": username, "id": account_id}}
        meta.post("/_simulator/people", json=new).raise_for_status()
        login = {"product": "instagram", "person": username, "redirect_uri": redirect_uri(bench.stack)}
        code = meta.post("/_simulator/authorize", json=login).raise_for_status().json()["code"]
        form = {
            "client_id": bench.stack["instagram_app_id"],
            "client_secret": bench.stack["instagram_app_secret"],
            "grant_type": "authorization_code",
            "redirect_uri": redirect_uri(bench.stack),
            "code": code,
        }
        short = meta.post("/api.instagram.com/oauth/access_token", data=form).raise_for_status().json()["access_token"]
        question = {
            "grant_type": "ig_exchange_token",
            "client_secret": bench.stack["instagram_app_secret"],
            "access_token": short,
        }
        answer = meta.get("/graph.instagram.com/access_token", params=question).raise_for_status().json()
        binding = TokenBinding(user_id, Provider.INSTAGRAM, account_id)
        return account_id, bench.vault.encrypt(answer["access_token"], binding)

    with ThreadPoolExecutor(8) as threads:
        rows = list(threads.map(connect, range(size)))
    for account_id, ciphertext in rows:
        bench.database.execute(
            """
            with account as (
              insert into instagram_business_accounts (
                user_id, provider, instagram_business_id, connected_at, webhook_checked_at
              )
              values (%(user)s, 'instagram', %(id)s, now() - %(age)s, now())
              returning id
            )
            insert into instagram_credentials (
              business_account_id, provider, access_token_ciphertext, issued_at, expires_at
            )
            select id, 'instagram', %(ciphertext)s, now() - %(age)s, now() - %(age)s + interval '60 days'
            from account
            """,
            {"user": user_id, "id": account_id, "age": AGE, "ciphertext": ciphertext},
        )
    meta.post("/_simulator/clock", json={"advance_seconds": AGE.total_seconds()}).raise_for_status()
    slow = {"operation": "refresh_instagram_token", "latency_ms": META_LATENCY_S * 1000, "times": None}
    meta.post("/_simulator/faults", json=slow).raise_for_status()


@contextmanager
def _bench(stack: dict[str, str]) -> Iterator[Bench]:
    meta = stack["meta_url"]
    settings = MetaSettings(
        graph_version="v25.0",
        facebook_app_id=None,
        facebook_scopes=None,
        facebook_login_config_id=None,
        facebook_graph_url=f"{meta}/graph.facebook.com",
        facebook_dialog_url=f"{meta}/www.facebook.com",
        instagram_app_id=stack["instagram_app_id"],
        instagram_scopes="instagram_business_basic",
        instagram_graph_url=f"{meta}/graph.instagram.com",
        instagram_api_url=f"{meta}/api.instagram.com",
        instagram_dialog_url=f"{meta}/www.instagram.com",
    )
    vault = TokenVault(boto3.client("kms").create_key()["KeyMetadata"]["Arn"])
    repository = RefreshRepository(Rpcs(DataApi(stack["supabase_url"], stack["supabase_secret_key"])), utc_now)
    secrets = Secrets({"instagram_app_secret": stack["instagram_app_secret"]})
    batch = RefreshBatch.of_deployment(
        settings,
        secrets,
        vault,
        repository,
        RefreshQueue("no queue is needed"),
        EventPublisher("no bus is needed", OutboxRepository(repository.rpcs, repository.now)),
    )
    with (
        httpx.Client(base_url=stack["meta_url"], timeout=60, trust_env=False) as http,
        connect(stack["database_url"], autocommit=True) as database,
    ):
        yield Bench(stack, http, database, vault, batch)
