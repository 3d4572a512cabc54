"""Two hundred connections during random failures of everything they depend on: none is lost.

Real processes are killed and started again; the queue is refused by a gateway in front of it, because nothing in the
local AWS can be told to refuse.
"""

import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import psycopg
import pytest

from instagram_connect.connections.connect_once import LEAST_TIME_BETWEEN_ATTEMPTS_S
from local.database import connect
from local.stack import up
from tests.support.app import App, User
from tests.support.home import TEST_HOME
from tests.support.sabotage import QueueGateway, kill_service, queue_gateway

CONNECTIONS = 200
AT_ONCE = 6
# Well above the longest wait of a parked connection after an outage of some seconds.
ALL_STORED_WITHIN_S = 240
ANA = ["17841400000000001", "17841400000000002"]
LUZ = ["17841400000000005"]


@pytest.fixture
def queue(aws: dict[str, Any], stack: dict[str, str]) -> Iterator[QueueGateway]:
    """The queue, as exchange_token reaches it during the test."""
    with queue_gateway(aws, stack, "ExchangeTokenFunction") as gateway:
        yield gateway


@dataclass
class Saboteur:
    """Breaks one thing at a time and repairs it a moment later."""

    app: App
    queue: QueueGateway
    environment: dict[str, str]
    dice: random.Random

    def faults(self) -> list[Callable[[], None]]:
        return [
            self.kill_postgres,
            self.kill_the_data_api,
            self.make_the_cache_stale,
            self.revoke_the_grant,
            self.refuse_the_queue_as_well,
            self.take_meta_away,
        ]

    def kill_postgres(self) -> None:
        self._kill("postgres")

    def kill_the_data_api(self) -> None:
        self._kill("supabase")

    def make_the_cache_stale(self) -> None:
        with self._database() as database:
            # As in a restore: the event triggers, which would ask for the reload, stay silent.
            database.execute("set session_replication_role = replica")
            database.execute("alter function store_connection(jsonb) rename to away")
            database.execute("notify pgrst, 'reload schema'")
            time.sleep(0.5)
            database.execute("alter function away(jsonb) rename to store_connection")

    def revoke_the_grant(self) -> None:
        with self._revoked():
            self._wait()

    def refuse_the_queue_as_well(self) -> None:
        with self._revoked():
            self.queue.refuses = True
            self._wait()
            self.queue.refuses = False

    def take_meta_away(self) -> None:
        for operation in ("list_accounts", "read_me"):
            self.app.meta("POST", "/faults", {"operation": operation, "error": "html_502", "times": None})
        time.sleep(5)
        self.app.meta("DELETE", "/faults")

    def _kill(self, service: str) -> None:
        kill_service(service)
        self._wait()
        up(TEST_HOME, self.environment, only=(service,))

    @contextmanager
    def _revoked(self) -> Iterator[None]:
        with self._database() as database:
            database.execute("revoke execute on function store_connection(jsonb) from service_role")
            yield
            database.execute("grant execute on function store_connection(jsonb) to service_role")

    def _database(self) -> psycopg.Connection[Any]:
        return connect(self.app.stack["database_url"], autocommit=True)

    def _wait(self) -> None:
        time.sleep(self.dice.uniform(0.5, 2.5))


def test_two_hundred_connections_survive_random_failures(
    app: App, queue: QueueGateway, stack_environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    users = _users(app, CONNECTIONS)
    saboteur = Saboteur(app, queue, stack_environment, random.Random())
    injected: Counter[str] = Counter()
    try:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            attempts = [threads.submit(_connect, app, user, number) for number, user in enumerate(users)]
            while not all(attempt.done() for attempt in attempts):
                fault = saboteur.dice.choice(saboteur.faults())
                injected[fault.__name__] += 1
                fault()
                time.sleep(saboteur.dice.uniform(0.2, 0.8))
    finally:
        up(TEST_HOME, stack_environment)
    answers = [attempt.result() for attempt in attempts]
    # As a frontend does it: whoever was told that it failed sends the same once more.
    told = [number for number, (_, answer) in enumerate(answers) if answer.status_code not in (200, 202)]
    repeated = {number: app.exchange(users[number], answers[number][0], **_product(number)) for number in told}

    in_vain = {number: answer for number, answer in repeated.items() if answer.status_code not in (200, 202)}
    promised = {user.id: number for number, user in enumerate(users) if number not in in_vain}
    missing = _missing(app, promised)
    until = time.monotonic() + ALL_STORED_WITHIN_S
    while missing and time.monotonic() < until:
        time.sleep(1)
        missing = _missing(app, promised)

    statuses = Counter(answer.status_code for _, answer in answers)
    with capsys.disabled():
        print(
            f"\n{CONNECTIONS} connections: {statuses[200]} stored at once, {statuses[202]} parked, {len(told)} told to "
            f"try again, {len(in_vain)} of them in vain, {len(missing)} lost; faults: {dict(injected)}, "
            f"{queue.refused} messages refused"
        )
    assert missing == set()
    # Only when Meta's own answer to a code is lost nobody can know what became of it, and the user is told so.
    assert {answer.json()["code"] for answer in in_vain.values()} <= {"OAUTH_OUTCOME_UNKNOWN", "OAUTH_CODE_USED"}
    assert len(promised) > CONNECTIONS * 0.9
    # The faults really had an effect.
    assert statuses[202] > 0
    assert len(injected) >= 3


def test_login_that_could_not_be_parked_reports_why_and_resumes_when_resent(
    app: App, user: User, queue: QueueGateway
) -> None:
    code = app.log_in()
    with connect(app.stack["database_url"], autocommit=True) as database:
        database.execute("revoke execute on function store_connection(jsonb) from service_role")
        queue.refuses = True
        try:
            failed = app.exchange(user, code)
        finally:
            queue.refuses = False
            database.execute("grant execute on function store_connection(jsonb) to service_role")
    time.sleep(LEAST_TIME_BETWEEN_ATTEMPTS_S)

    finished = app.exchange(user, code)

    body = failed.json()
    assert (failed.status_code, body["code"], body["reason"]) == (500, "STORAGE_FAILED", "PERMISSION_DENIED")
    assert finished.status_code == 200, finished.text
    assert len(app.calls("exchange_code")) == 1


def _connect(app: App, user: User, number: int) -> tuple[str, httpx.Response]:
    code = app.log_in() if number % 2 else app.log_in_to_instagram("luz.cria")
    return code, app.exchange(user, code, **_product(number))


def _product(number: int) -> dict[str, Any]:
    return {} if number % 2 else {"provider": "instagram"}


def _users(app: App, count: int) -> list[User]:
    """Users of Supabase Auth with access tokens, made without asking it two hundred times."""
    secret = json.loads((TEST_HOME / "keys.json").read_text())["supabase_jwt_secret"]
    users = []
    with connect(app.stack["database_url"], autocommit=True) as database:
        for _ in range(count):
            user_id = str(uuid.uuid4())
            email = f"{user_id}@example.com"
            database.execute("insert into auth.users (id, email) values (%s, %s)", [user_id, email])
            claims = {"sub": user_id, "aud": "authenticated", "role": "authenticated", "exp": int(time.time()) + 3600}
            users.append(User(user_id, email, "", jwt.encode(claims, secret, algorithm="HS256")))
    return users


def _missing(app: App, promised: dict[str, int]) -> set[str]:
    """Users who were told that it worked, and who have not each of their accounts with its token exactly once."""
    with connect(app.stack["database_url"]) as database:
        rows = database.execute(
            "select account.user_id::text, array_agg(account.instagram_business_id) "
            "from instagram_business_accounts account join instagram_credentials credentials "
            "on credentials.business_account_id = account.id "
            "where account.status = 'active' and credentials.status = 'active' "
            "and credentials.access_token_ciphertext is not null group by account.user_id"
        ).fetchall()
    stored = {user_id: sorted(accounts) for user_id, accounts in rows}
    return {user_id for user_id, number in promised.items() if stored.get(user_id) != (ANA if number % 2 else LUZ)}
