"""A hundred thousand events during random failures between Meta and the tables: none is lost or doubled.

Real processes are killed: the function that takes webhooks, the worker, Postgres, the Data API; the queue refuses. What
Meta does meanwhile is what it does anyway: it sends again what was not answered with 200, and some of it for no reason.
"""

import hashlib
import hmac
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from local.database import connect
from local.stack import up
from tests.support.app import App, User
from tests.support.home import TEST_HOME
from tests.support.sabotage import QueueGateway, impatient_queue, kill_function, kill_service, queue_gateway

EVENTS = int(os.environ.get("WEBHOOK_STORM_EVENTS", "100000"))
# Of one POST, as Meta batches them: many small ones, a few as large as they get.
BATCH_SIZES = (1, 5, 50, 250, 1000, 1000)
SENT_AGAIN = 0.3
AT_ONCE = 6
# Between two deliveries of one sender: the faults are to fall among them.
PAUSE_S = 0.3
CONNECTED = ("17841400000000001", "17841400000000005")
UNKNOWN = "17841499999999999"
PARTICIPANTS = 50
# Shorter than deployed, so that what a killed worker held comes again while the test looks.
VISIBILITY_S = 12
DONE_WITHIN_S = 300
NOTICED_WITHIN_S = 20
# Killed again before they have started, functions would never do anything.
STARTING_S = 4


@dataclass
class Meta:
    """Sends each delivery until it gets a 200."""

    url: str
    secret: str
    http: httpx.Client
    refused: Counter[str] = field(default_factory=Counter)

    def deliver(self, raw: bytes) -> None:
        time.sleep(PAUSE_S)
        digest = hmac.digest(self.secret.encode(), raw, hashlib.sha256).hex()
        while (answer := self._post(raw, digest)) != "200":
            self.refused[answer] += 1
            time.sleep(0.2)

    def _post(self, raw: bytes, digest: str) -> str:
        try:
            answer = self.http.post(self.url, content=raw, headers={"X-Hub-Signature-256": f"sha256={digest}"})
        except httpx.HTTPError as error:
            return type(error).__name__
        return str(answer.status_code)


@dataclass
class Saboteur:
    """Breaks one thing at a time and repairs it a moment later."""

    app: App
    queue: QueueGateway
    environment: dict[str, str]
    dice: random.Random

    def faults(self) -> list[Callable[[], None]]:
        return [
            self.kill_the_worker,
            self.kill_the_receiver,
            self.kill_postgres,
            self.kill_the_data_api,
            self.refuse_the_queue,
            self.revoke_the_grant,
        ]

    def kill_the_worker(self) -> None:
        kill_function(self.app.stack, "webhook_worker")
        time.sleep(STARTING_S)

    def kill_the_receiver(self) -> None:
        kill_function(self.app.stack, "webhook")
        time.sleep(STARTING_S)

    def kill_postgres(self) -> None:
        kill_service("postgres")
        self._wait()
        up(TEST_HOME, self.environment, only=("postgres",))

    def kill_the_data_api(self) -> None:
        kill_service("supabase")
        self._wait()
        up(TEST_HOME, self.environment, only=("supabase",))

    def refuse_the_queue(self) -> None:
        self.queue.refuses = True
        until = time.monotonic() + NOTICED_WITHIN_S
        while not self.queue.refused and time.monotonic() < until:
            time.sleep(0.1)
        self.queue.refuses = False

    def revoke_the_grant(self) -> None:
        with connect(self.app.stack["database_url"], autocommit=True) as database:
            database.execute("revoke execute on function store_webhook_events(jsonb) from service_role")
            self._wait()
            database.execute("grant execute on function store_webhook_events(jsonb) to service_role")

    def _wait(self) -> None:
        time.sleep(self.dice.uniform(0.3, 1.5))


@pytest.fixture
def queue(aws: dict[str, Any], stack: dict[str, str]) -> Iterator[QueueGateway]:
    with queue_gateway(aws, stack, "WebhookFunction") as gateway:
        yield gateway


def test_hundred_thousand_events_survive_random_failures(
    app: App,
    user: User,
    queue: QueueGateway,
    aws: dict[str, Any],
    stack_environment: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    dice = random.Random()
    with connect(app.stack["database_url"], autocommit=True) as database:
        database.execute("delete from instagram_business_accounts")
        database.execute("truncate webhook_events, webhook_counts")
    for username in ("cafe.azul", "luz.cria"):
        app.exchange(user, app.log_in_to_instagram(username), provider="instagram").raise_for_status()
    saboteur = Saboteur(app, queue, stack_environment, dice)
    deliveries = list(_deliveries(dice))
    injected: Counter[str] = Counter()
    with (
        impatient_queue(aws["client"]("sqs"), "WebhookQueue", VISIBILITY_S),
        httpx.Client(timeout=20, trust_env=False) as http,
    ):
        meta = Meta(f"{app.stack['api_url']}/api/instagram/webhook", app.stack["instagram_app_secret"], http)
        try:
            with ThreadPoolExecutor(AT_ONCE) as threads:
                faults = dice.sample(saboteur.faults(), len(saboteur.faults()))
                # Each of them in the middle of a part of the deliveries.
                for number, fault in enumerate(faults):
                    sent = [threads.submit(meta.deliver, raw) for raw in deliveries[number :: len(faults)]]
                    time.sleep(dice.uniform(0.1, 0.5))
                    injected[fault.__name__] += 1
                    fault()
                    for delivery in sent:
                        delivery.result()
        finally:
            up(TEST_HOME, stack_environment)
        found = _settled(app, user, aws)

    expected = {_key(number) for number in range(EVENTS)}
    lost, strange = expected - found.keys(), found.keys() - expected
    doubled = {key for key, times in found.items() if times > 1}
    wrong, counted, waiting = _books(app, user)
    with capsys.disabled():
        print(
            f"\n{EVENTS:,} events in {len(deliveries):,} deliveries: lost {len(lost)}, doubled {len(doubled)}, "
            f"conversations wrong {wrong}; {counted['received']:,} taken from the queue, "
            f"{counted['duplicate']:,} of them again; faults: "
            f"{dict(injected)}; not answered with 200: {dict(meta.refused)}, {queue.refused} messages refused"
        )
    assert (lost, doubled, strange, wrong, waiting) == (set(), set(), set(), 0, 0)
    assert counted["received"] == counted["stored"] + counted["duplicate"] + counted["unknown"] + counted["failed"]
    assert counted["stored"] + counted["unknown"] == EVENTS
    # The faults really had an effect.
    assert queue.refused > 0
    assert sum(meta.refused.values()) > 0


def _key(number: int) -> str:
    return f"{_account(number)} msg:storm-{number}"


def _account(number: int) -> str:
    return UNKNOWN if number % 50 == 0 else CONNECTED[number % 2]


def _event(number: int) -> dict[str, Any]:
    customer = f"9001{number % PARTICIPANTS:02}"
    return {
        "id": _account(number),
        "time": 1_769_000_000_000,
        "messaging": [
            {
                "sender": {"id": customer},
                "recipient": {"id": _account(number)},
                "timestamp": 1_769_000_000_000 + number,
                "message": {"mid": f"storm-{number}", "text": f"{number}: open today? 😀"},
            }
        ],
    }


def _deliveries(dice: random.Random) -> Iterator[bytes]:
    """Bodies of all sizes in random order; some events are repeated in other batches."""
    numbers = list(range(EVENTS)) + dice.sample(range(EVENTS), int(EVENTS * SENT_AGAIN))
    dice.shuffle(numbers)
    while numbers:
        size = dice.choice(BATCH_SIZES)
        batch, numbers = numbers[:size], numbers[size:]
        yield json.dumps({"object": "instagram", "entry": [_event(number) for number in batch]}).encode()


def _settled(app: App, user: User, aws: dict[str, Any]) -> Counter[str]:
    """How often each event is stored, once nothing more comes; tidies up more often than the schedule does."""
    functions = aws["client"]("lambda")
    names = [entry["FunctionName"] for entry in functions.list_functions()["Functions"]]
    (maintenance,) = [name for name in names if "-WebhookMaintenanceFunction-" in name]
    until = time.monotonic() + DONE_WITHIN_S
    while True:
        functions.invoke(FunctionName=maintenance, Payload=b'{"maintain": true}')
        with connect(app.stack["database_url"], autocommit=True) as database:
            stored = database.execute(f"select count(*) {_EVENTS}", [user.id]).fetchone()
            waiting = database.execute("select count(*) from outgoing_events").fetchone()
            if (stored == (EVENTS,) and waiting == (0,)) or time.monotonic() > until:
                rows: Sequence[tuple[str]] = database.execute(
                    f"select event.entry_id || ' ' || event.event_key {_EVENTS}", [user.id]
                ).fetchall()
                return Counter(key for (key,) in rows)
        time.sleep(2)


# Others may have connected the same accounts: what an earlier test had parked is stored some time.
_EVENTS = (
    "from webhook_events as event "
    "left join instagram_business_accounts as account on account.id = event.business_account_id "
    "where event.business_account_id is null or account.user_id = %s"
)


def _books(app: App, user: User) -> tuple[int, dict[str, int], int]:
    """How many conversations do not end with their newest message, the counts, and what waits to be published."""
    newest: dict[tuple[str, str], int] = {}
    for number in range(EVENTS):
        if _account(number) != UNKNOWN:
            newest[_account(number), f"9001{number % PARTICIPANTS:02}"] = number
    with connect(app.stack["database_url"]) as database:
        conversations = database.execute(
            "select account.instagram_business_id, participant_id, last_message_id, "
            "(select count(*) from instagram_dm_messages as message where message.business_account_id = account.id "
            "and message.participant_id = conversation.participant_id) "
            "from instagram_dm_conversations as conversation "
            "join instagram_business_accounts as account on account.id = conversation.business_account_id "
            "where account.user_id = %s",
            [user.id],
        ).fetchall()
        names = ("received", "stored", "duplicate", "unknown", "failed")
        sums = ", ".join(f"sum({name})::bigint" for name in names)
        counts = database.execute(f"select {sums} from webhook_counts".encode()).fetchone()
        waiting = database.execute("select count(*) from outgoing_events").fetchone()
    assert counts is not None
    assert waiting is not None
    right = sum(1 for account, person, last, _ in conversations if last == f"storm-{newest.get((account, person))}")
    messages = sum(row[3] for row in conversations)
    missing = sum(1 for number in range(EVENTS) if _account(number) != UNKNOWN) - messages
    return len(newest) - right + missing, dict(zip(names, counts, strict=True)), waiting[0]
