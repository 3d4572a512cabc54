"""The deployed system with a gateway between its functions and what they call, and the people who use it."""

import json
import secrets
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import boto3
import httpx
import jwt
from botocore.config import Config
from psycopg.rows import dict_row

from local.database import connect
from tests.faults.gateway import Gateway
from tests.support.app import App, User
from tests.support.deployed import WEBHOOK_EVENTS, Consumer, consumer, queue_url
from tests.support.sabotage import impatient_queue

# The functions through which the flows run: POWERTOOLS_SERVICE_NAME by logical id.
FUNCTIONS = {
    "ExchangeTokenFunction": "exchange_token",
    "ParkedConnectionsFunction": "parked_connections",
    "RefreshTokenFunction": "refresh_token",
    "RefreshSweepFunction": "refresh_sweep",
    "RefreshWorkerFunction": "refresh_worker",
    "WebhookFunction": "webhook",
    "WebhookWorkerFunction": "webhook_worker",
    "WebhookMaintenanceFunction": "webhook_maintenance",
    "AccountsFunction": "accounts",
    "PrivacyFunction": "privacy",
    "PrivacyWorkerFunction": "privacy_worker",
}
# Shorter than deployed, where that is longer, so that what a worker held when it died comes again sooner. A message
# must not come again while its worker may still be at it.
TIMEOUT_S = 45
VISIBILITY_S = 50
QUEUES = ("ParkingQueue", "RefreshQueue", "WebhookQueue", "PrivacyQueue")
# Old enough to be refreshed, and far from its end.
CONNECTED_AGO = timedelta(days=30)
STARTING_ATTEMPTS = 5


@dataclass(frozen=True)
class Connected:
    """An account that a user connected by Instagram Login: the id of its row, and Meta's."""

    user: User
    account_id: str
    username: str
    instagram_id: str


@dataclass
class World:
    """What a flow needs of the system and of the people around it. Safe to use from several threads."""

    app: App
    gateway: Gateway
    aws: Mapping[str, Any]
    home: Path
    function_names: Mapping[str, str]
    published: Consumer
    _tokens: dict[str, str] = field(default_factory=dict)
    _pool: list[Connected] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def rows(self, query: LiteralString, *values: Any) -> list[dict[str, Any]]:
        """What a query gives, as the database's owner."""
        with connect(self.app.stack["database_url"], autocommit=True, row_factory=dict_row) as database:
            cursor = database.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    def new_user(self) -> User:
        """A signed-in user, without asking Supabase Auth each time."""
        secret = json.loads((self.home / "keys.json").read_text())["supabase_jwt_secret"]
        user_id, now = str(uuid.uuid4()), int(time.time())
        self.rows("insert into auth.users (id, email) values (%s, %s)", user_id, f"{user_id}@example.com")
        claims = {"sub": user_id, "aud": "authenticated", "role": "authenticated", "iat": now, "exp": now + 7200}
        return User(user_id, "", "", jwt.encode(claims, secret, algorithm="HS256"))

    def fill(self, count: int) -> None:
        """Connects so many accounts for `take`, each of another person and user, a month ago by everybody's clock."""
        self._set_metas_clock(-CONNECTED_AGO)
        accounts = [self._connect() for _ in range(count)]
        self._set_metas_clock(timedelta())
        ids = [account.account_id for account in accounts]
        self.rows(
            "update instagram_credentials set issued_at = issued_at - %s, expires_at = expires_at - %s "
            "where business_account_id = any(%s)",
            CONNECTED_AGO,
            CONNECTED_AGO,
            ids,
        )
        self.rows(
            "update instagram_business_accounts set connected_at = connected_at - %s where id = any(%s)",
            CONNECTED_AGO,
            ids,
        )
        self._pool += accounts

    def take(self) -> Connected:
        """An account that nobody else has. Raises IndexError when there are no more."""
        with self._lock:
            return self._pool.pop()

    def refreshes_of(self, account: Connected) -> int:
        """How often Meta has refreshed the token that the login gave. The new one it refuses to refresh: too young."""
        token = self._tokens[account.instagram_id]
        calls = self.app.calls("refresh_instagram_token")
        return sum(call["status"] == 200 and call["fingerprints"]["access_token"] == token for call in calls)

    def make_due(self, account: Connected) -> None:
        """Has an account's token end in five days, as far as is known here; at Meta it lives on."""
        self.rows(
            "update instagram_credentials set expires_at = now() + interval '5 days' where business_account_id = %s",
            account.account_id,
        )

    def let_an_hour_pass(self) -> None:
        """For what Meta's limits and failing accounts made wait; and for leases that nobody works at any more."""
        self.rows("update refresh_brakes set paused_until = paused_until - interval '1 hour'")
        self.rows("update instagram_credentials set refresh_not_before = refresh_not_before - interval '1 hour'")
        if self._is_empty("RefreshQueue"):
            self.rows("update instagram_credentials set lease_expires_at = lease_expires_at - interval '1 hour'")

    def invoke(self, function: str, event: object) -> bool:
        """Invokes a function; whether it came to its end."""
        answer = self.aws["lambda"].invoke(
            FunctionName=self.function_names[function], Payload=json.dumps(event).encode()
        )
        return "FunctionError" not in answer

    def send(self, queue: str, *bodies: str) -> None:
        """Puts messages into a queue, by its logical id."""
        for body in bodies:
            self.aws["sqs"].send_message(QueueUrl=queue_url(self.aws["sqs"], queue), MessageBody=body)

    def read_published(self) -> dict[str, set[str]]:
        """Under which ids consumers on the event bus have got each webhook event by now, by its key."""
        found: dict[str, set[str]] = defaultdict(set)
        for event in self.published.read():
            found[event["detail"]["eventKey"]].add(event["detail"]["id"])
        return found

    def restart(self, *functions: str, **variables: str) -> None:
        """Has functions start afresh, with these variables added to their environment; "" takes one away."""
        for function in functions:
            name = self.function_names[function]
            now = self.aws["lambda"].get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            # It is another environment that makes Lambda start it again.
            changed = {**now, **variables, "STARTED_AS": uuid.uuid4().hex}
            wanted = {key: value for key, value in changed.items() if value}
            self.aws["lambda"].update_function_configuration(FunctionName=name, Environment={"Variables": wanted})

    def _is_empty(self, queue: str) -> bool:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.aws["sqs"].get_queue_attributes(QueueUrl=queue_url(self.aws["sqs"], queue), AttributeNames=names)
        return not any(int(number) for number in found["Attributes"].values())

    def _connect(self) -> Connected:
        user, username = self.new_user(), f"faults.{secrets.token_hex(6)}"
        self.app.meta("POST", "/people", {"instagram": {"username": username}})
        code = self.app.log_in_to_instagram(username)
        # Functions that start on a busy machine ask to be asked again.
        for _ in range(STARTING_ATTEMPTS):
            answer = self.app.exchange(user, code, provider="instagram")
            if answer.is_success:
                break
            time.sleep(answer.json().get("retryAfterSeconds", 1))
        (account,) = answer.raise_for_status().json()["data"]["accounts"]
        # The last thing of a login at Meta: it subscribes its account to webhooks, with its token.
        subscribed = self.app.calls("subscribe_instagram")[-1]
        self._tokens[account["instagramBusinessId"]] = subscribed["fingerprints"]["access_token"]
        return Connected(user, account["id"], username, account["instagramBusinessId"])

    def _set_metas_clock(self, by: timedelta) -> None:
        self.app.meta("POST", "/clock", {"now": (datetime.now(UTC) + by).isoformat()})


@contextmanager
def world_of(stack: Mapping[str, str], home: Path) -> Iterator[World]:
    """The deployed system of a home folder, with its functions going through a gateway; as it was, afterwards."""
    aws = _clients(stack)
    with ExitStack() as cleanup:
        gateway = Gateway(stack)
        cleanup.callback(gateway.close)
        names = {}
        for entry in aws["lambda"].get_paginator("list_functions").paginate().build_full_result()["Functions"]:
            for logical_id, service in FUNCTIONS.items():
                if f"-{logical_id}-" in entry["FunctionName"]:
                    names[service] = entry["FunctionName"]
                    cleanup.enter_context(_routed(aws["lambda"], entry, gateway.environment(service)))
        for queue in QUEUES:
            cleanup.enter_context(impatient_queue(aws["sqs"], queue, VISIBILITY_S))
        published = cleanup.enter_context(consumer(aws["events"], aws["sqs"], WEBHOOK_EVENTS))
        http = cleanup.enter_context(httpx.Client(timeout=60, trust_env=False))
        app = App(dict(stack), http)
        app.meta("POST", "/reset")
        world = World(app, gateway, aws, home, names, published)
        world.rows("delete from instagram_business_accounts")
        world.rows("truncate webhook_events, webhook_counts, outgoing_events, refresh_brakes, data_deletion_requests")
        yield world
        app.meta("POST", "/reset")


def _clients(stack: Mapping[str, str]) -> dict[str, Any]:
    session = boto3.Session("local", "local", region_name=stack["aws_region"])
    config = Config(read_timeout=120, retries={"total_max_attempts": 1}, max_pool_connections=50)
    return {
        name: session.client(name, endpoint_url=stack["aws_endpoint_url"], config=config)
        for name in ("lambda", "sqs", "events", "scheduler")
    }


@contextmanager
def _routed(functions: Any, entry: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[None]:
    name, before = entry["FunctionName"], {"Timeout": entry["Timeout"], "Environment": entry["Environment"]}
    variables = {**entry["Environment"]["Variables"], **environment}
    timeout = min(TIMEOUT_S, entry["Timeout"])
    functions.update_function_configuration(FunctionName=name, Timeout=timeout, Environment={"Variables": variables})
    try:
        yield
    finally:
        functions.update_function_configuration(
            FunctionName=name,
            Timeout=before["Timeout"],
            Environment={"Variables": before["Environment"]["Variables"]},
        )
