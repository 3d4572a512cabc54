"""Computes the monthly AWS bill of 100,000 connected accounts: calls counted here, times the prices in prices.toml.

Each kind of work is done a few times, its calls are counted and its time is measured. How often it happens follows from
the product's own rules and the usage assumed in prices.toml. Not included: logs and metrics, data transfer, starts,
secrets, the page's requests, Supabase.
"""

import statistics
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench import counting
from bench.connecting import connect_user, connection
from bench.figures import Figure
from bench.frontend import Frontend
from bench.recording import Call, Recording
from bench.system import HOME, deployed
from instagram_connect.models import Provider
from instagram_connect.refresh.queue import ACCOUNTS_PER_MESSAGE
from instagram_connect.refresh.repository import DAY_S, RefreshRules
from local.progress import step
from local.settings import Keys
from local.template import section

PRICES = Path(__file__).parent / "prices.toml"
META_LATENCY_MS = 200
# Accounts in one message.
REFRESHED = 20
TIMES = 3
MONTH_S = 365 * DAY_S / 12
INSTAGRAM_TOKEN_S = 60 * DAY_S
# Memory that comes with one full processor; less memory gets a share of one. Source: Lambda, "Configure memory".
MB_OF_A_PROCESSOR = 1769
WRITES = ("PutItem", "UpdateItem", "DeleteItem")
# Lambda receives and deletes each message; sending is counted separately.
SQS_REQUESTS_TO_INVOKE = 2


SERVICES = {
    "lambda_requests": "Lambda",
    "lambda_gb_s": "Lambda",
    "api_gateway": "API Gateway",
    "sqs": "SQS",
    "kms": "KMS",
    "dynamodb_writes": "DynamoDB",
    "dynamodb_reads": "DynamoDB",
    "events": "EventBridge",
}


@dataclass(frozen=True)
class Work:
    """A kind of work: its category, how often it happens per month, and what it uses each time, by price."""

    kind: str
    times: float
    used: Mapping[str, float]


def measure(stack: Mapping[str, str]) -> list[Figure]:
    """Return the costs by service and by category, and their total."""
    book = tomllib.loads(PRICES.read_text())
    keys = Keys.of_home(HOME)
    with deployed(stack, keys), closing(Frontend(stack, keys)) as frontend:
        with step(f"Doing each kind of work {TIMES} times"):
            works = list(_works(frontend, book["usage"]))
        frontend.meta("POST", "/reset")
    return list(_bill(works, book["prices"], book["usage"]["accounts"]))


def _works(frontend: Frontend, usage: Mapping[str, float]) -> Iterator[Work]:
    rules = RefreshRules()
    # Tokens are refreshed when their remaining life is between lead and lead + spread.
    refresh_s = INSTAGRAM_TOKEN_S - rules.lead_s - rules.spread_s / 2
    accounts = {
        Provider.FACEBOOK: usage["accounts"] * usage["facebook_share"],
        Provider.INSTAGRAM: usage["accounts"] * (1 - usage["facebook_share"]),
    }
    renewals = {Provider.FACEBOOK: MONTH_S / rules.recheck_s, Provider.INSTAGRAM: MONTH_S / refresh_s}
    connection(frontend, Provider.FACEBOOK, 1)
    users = {
        Provider.FACEBOOK: [[connect_user(frontend, Provider.FACEBOOK, REFRESHED)] for _ in range(TIMES)],
        Provider.INSTAGRAM: [
            [connect_user(frontend, Provider.INSTAGRAM, 1) for _ in range(REFRESHED)] for _ in range(TIMES)
        ],
    }
    counting.age(frontend, [user for batches in users.values() for batch in batches for user in batch])
    frontend.slow_down(META_LATENCY_MS)
    for provider, number in accounts.items():

        def connect(_: int, provider: Provider = provider) -> Recording:
            return connection(frontend, provider, 1)

        def check(time_: int, provider: Provider = provider) -> Recording:
            batch = users[provider][time_]
            return counting.refresh(frontend, provider, batch, renew=False, check_subscription=True)

        def renew(time_: int, provider: Provider = provider) -> Recording:
            batch = users[provider][time_]
            return counting.refresh(frontend, provider, batch, renew=True, check_subscription=False)

        logins = number * usage["logins_per_account"]
        yield Work("connecting", logins, {**_used("ExchangeTokenFunction", connect), "api_gateway": 1})
        # A real message has ACCOUNTS_IN_A_MESSAGE accounts, so only part of its invocation and SQS requests counts.
        messages = number / REFRESHED
        part = REFRESHED / ACCOUNTS_PER_MESSAGE
        queued = {"lambda_requests": part, "sqs": part * (1 + SQS_REQUESTS_TO_INVOKE)}
        yield Work(
            "checking webhook subscriptions",
            messages * MONTH_S / rules.subscription_s,
            {**_used("RefreshWorkerFunction", check), **queued},
        )
        yield Work(
            "refreshing tokens", messages * renewals[provider], {**_used("RefreshWorkerFunction", renew), **queued}
        )
    user_id = connect_user(frontend, Provider.INSTAGRAM, 1)

    def body() -> str:
        return counting.messages(frontend, user_id, 1)

    webhooks = usage["accounts"] * usage["webhooks_per_account"]
    acknowledged = _used("WebhookFunction", lambda _: counting.acknowledge(frontend, body()))
    yield Work("webhooks", webhooks, {**acknowledged, "api_gateway": 1})
    stored = _used("WebhookWorkerFunction", lambda _: counting.ingest(frontend, [body()]))
    yield Work("webhooks", webhooks, {**stored, "sqs": SQS_REQUESTS_TO_INVOKE, "events": 1})


def _used(function: str, work: Callable[[int], Recording]) -> dict[str, float]:
    """Return what one invocation uses, by price; its time is the median of several."""
    memory_mb = section("Resources")[function]["Properties"]["MemorySize"]
    recordings = [work(number) for number in range(TIMES)]
    # Computing takes longer with a share of a processor; waiting does not.
    slowness = MB_OF_A_PROCESSOR / memory_mb - 1
    seconds = statistics.median(made.wall_s + made.computing_s * slowness for made in recordings)
    used = Counter(price for call in recordings[-1] if (price := _price_of(call)))
    return {**used, "lambda_requests": 1, "lambda_gb_s": seconds * memory_mb / 1024}


def _price_of(call: Call) -> str | None:
    if call.service == "dynamodb":
        return "dynamodb_writes" if call.operation in WRITES else "dynamodb_reads"
    # EventBridge is counted by event, not by call; Meta and the Data API are not AWS.
    return call.service if call.service in ("sqs", "kms") else None


def _bill(works: Sequence[Work], prices: Mapping[str, float], accounts: int) -> Iterator[Figure]:
    services = {**dict.fromkeys(SERVICES.values(), 0.0), "KMS": prices["kms_keys"]}
    kinds: dict[str, float] = {}
    for work in works:
        for name, used in work.used.items():
            cost = work.times * used * prices[name]
            services[SERVICES[name]] += cost
            kinds[work.kind] = kinds.get(work.kind, 0.0) + cost
    for name, cost in {**services, **{f"part for {kind}": cost for kind, cost in kinds.items()}}.items():
        yield Figure(f"costs: {name}", round(cost, 2), "USD/month")
    yield Figure(f"costs: total for {accounts:,} accounts", round(sum(services.values()), 2), "USD/month")
