"""What people, Meta and the schedule do, and what has to be true afterwards, whatever failed in between.

Each flow is done by somebody who acts as they really do: a frontend sends again what it was told to send again, Meta
what was not answered with 200, the schedule comes back every hour.
"""

import hashlib
import hmac
import json
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import httpx

from instagram_connect.storage.schema_contract import rpc_name
from tests.faults.gateway import DEADLY, Failure, Plan, Step
from tests.faults.world import Connected, World
from tests.support import contract
from tests.support.app import User
from tests.support.deployed import schedule_of

ATTEMPTS = 10
LONGEST_PAUSE_S = 5.0
# Told to wait for longer than this, nobody waits: they come back.
LATER_S = 60
TIMES_COME_BACK = 3
LOGINS = 3
ANA = ("17841400000000001", "17841400000000002")
LUZ = ("17841400000000005",)
NOBODYS_ACCOUNT = "17841499999999999"
EVENTS = 3
# Whoever fails from here on may have to refresh once more.
AFTER_A_REFRESH = frozenset({"GET refresh_access_token", "GenerateDataKey", rpc_name("finish_refresh")})


class Verdict(StrEnum):
    """What became of one run of a flow."""

    RIGHT = "right"
    # The only way out that a person has to help with: Meta's answer to their code is lost, and with it the code.
    TOLD = "told to log in again"
    LOST = "lost"
    DOUBLED = "doubled"
    WRONG = "answered wrongly"


@dataclass
class Run:
    """One run of a flow. `what` is what the flow needs to know of it; `answers` are those that somebody got."""

    what: Any
    plan: Plan | None = None
    answers: list[httpx.Response] = field(default_factory=list)
    wrong: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the last answer says that it worked."""
        return bool(self.answers) and self.answers[-1].is_success


class Flow(ABC):
    """One flow through the system."""

    name: str
    functions: tuple[str, ...]
    # Flows of the same lane are not disturbed side by side: they would get each other's failures.
    lane: str
    # Every run takes one of those that are connected.
    takes_an_account = True
    queue: str | None = None

    def __init__(self, world: World) -> None:
        self.world = world

    def begin(self) -> Run:
        """Everything that comes before: nothing of it is disturbed."""
        return Run(self.world.take())

    @abstractmethod
    def act(self, run: Run) -> None:
        """What is disturbed; returns when whoever acts has nothing more to do."""

    @abstractmethod
    def judge(self, run: Run) -> Verdict:
        """What became of it; LOST as long as it is not there, which may still change."""

    def tick(self) -> None:  # noqa: B027 - most flows go on by themselves
        """What comes back by itself while a run is waited for."""

    def _ask(self, run: Run, send: Callable[[], httpx.Response]) -> None:
        """As a frontend does: again while the answer does not say that a person has to act."""
        for _ in range(ATTEMPTS):
            pause = 1.0
            with suppress(httpx.TransportError):
                answer = send()
                if _is_ours(answer):
                    _check(run, answer)
                    run.answers.append(answer)
                    body = answer.json()
                    pause = float(body.get("retryAfterSeconds") or 1)
                    if answer.is_success or body["actor"] in ("user", "page_admin") or pause > LATER_S:
                        return
            time.sleep(min(pause, LONGEST_PAUSE_S))

    def _call(self, user: User, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {user.token}"}
        app = self.world.app
        return app.http.request(method, f"{app.stack['api_url']}/api/instagram{path}", headers=headers, json=body)

    def _credentials(self, account_id: str) -> dict[str, Any]:
        (row,) = self.world.rows(
            "select account.status as account_status, credentials.status, account.reconnect_reason, "
            "credentials.access_token_ciphertext is not null as has_token, "
            "credentials.expires_at > now() + interval '59 days' as is_refreshed "
            "from instagram_business_accounts as account "
            "join instagram_credentials as credentials on credentials.business_account_id = account.id "
            "where account.id = %s",
            account_id,
        )
        return row


@dataclass
class Login:
    """A person at Meta's dialog, and the accounts that they let in."""

    user: User
    provider: str
    expected: tuple[str, ...]
    code: str = ""
    was_told: bool = False


class Connect(Flow):
    """A login becomes stored accounts: exchange_token, and the worker of what had to be parked."""

    name = "connect"
    functions: tuple[str, ...] = ("exchange_token", "parked_connections")
    lane = "connect"
    takes_an_account = False

    def __init__(self, world: World, provider: str) -> None:
        super().__init__(world)
        self.provider = provider
        self.name = f"connect ({provider})"

    def begin(self) -> Run:
        return Run(self._log_in(self.world.new_user()))

    def act(self, run: Run) -> None:
        self._exchange(run)
        for _ in range(LOGINS - 1):
            if not run.answers or run.answers[-1].json().get("code") not in (
                "OAUTH_OUTCOME_UNKNOWN",
                "OAUTH_CODE_USED",
            ):
                break
            run.what.was_told = True
            run.what.code = self._log_in(run.what.user).code
            self._exchange(run)
        if run.answers and run.answers[-1].status_code == 200 and not self._is_stored(run.what):
            run.wrong = "answered 200, and not everything was stored"

    def judge(self, run: Run) -> Verdict:
        login: Login = run.what
        counts = self._rows(login.user)
        if any(number > 1 for number in counts.values()) or counts.keys() - set(login.expected):
            return Verdict.DOUBLED
        if not self._is_stored(login):
            return Verdict.LOST
        if not run.is_done:
            # It was stored, and the person believes that it was not.
            return Verdict.WRONG
        return Verdict.TOLD if login.was_told else Verdict.RIGHT

    def may_tell(self, plan: Plan) -> bool:
        """Whether a failure can take Meta's answer to a code away, for which nobody but the person can get another.

        That is on its way, and until the token is kept: by a call to KMS and one to DynamoDB, beside the next to Meta.
        """
        step = plan.step
        is_answer = step.target == "meta" and "access_token" in step.operation
        is_keeping = (step.operation, step.nth) in (("GenerateDataKey", 1), ("PutItem", 2))
        return step.function == "exchange_token" and (is_answer or (is_keeping and plan.failure in DEADLY))

    def _log_in(self, user: User) -> Login:
        app = self.world.app
        if self.provider == "facebook":
            return Login(user, "facebook", ANA, app.log_in())
        return Login(user, "instagram", LUZ, app.log_in_to_instagram("luz.cria"))

    def _exchange(self, run: Run) -> None:
        login: Login = run.what
        body = {"code": login.code, "redirectUri": self.world.app.redirect_uri, "provider": login.provider}
        self._ask(run, lambda: self._call(login.user, "POST", "/exchange-token", body))

    def _rows(self, user: User) -> dict[str, int]:
        rows = self.world.rows(
            "select instagram_business_id, count(*) from instagram_business_accounts where user_id = %s group by 1",
            user.id,
        )
        return {row["instagram_business_id"]: row["count"] for row in rows}

    def _is_stored(self, login: Login) -> bool:
        rows = self.world.rows(
            "select account.instagram_business_id as id from instagram_business_accounts as account "
            "join instagram_credentials as credentials on credentials.business_account_id = account.id "
            "where account.user_id = %s and account.status = 'active' and credentials.status = 'active' "
            "and credentials.access_token_ciphertext is not null",
            login.user.id,
        )
        return {row["id"] for row in rows} == set(login.expected)


class StoreLate(Connect):
    """A connection that storage did not take becomes stored when it does: the worker of parked connections."""

    functions = ("parked_connections",)
    queue = "ParkingQueue"

    def __init__(self, world: World) -> None:
        super().__init__(world, "facebook")
        self.name = "store late"

    def begin(self) -> Run:
        run = super().begin()
        refusal = Plan(Step("exchange_token", "supabase", rpc_name("store_connection")), Failure.FAILING, calls=100)
        with self.world.gateway.failing(refusal):
            self._exchange(run)
        if not run.answers or run.answers[-1].status_code != 202:
            raise RuntimeError(f"Nothing was parked: {[answer.text for answer in run.answers]}")
        return run

    def act(self, run: Run) -> None:
        """Nobody has to do anything."""


class Refresh(Flow):
    """A token is refreshed once, and its account stays as it is."""

    lane = "refresh"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._event = json.loads(schedule_of(world.aws["scheduler"], "RefreshSweepFunction")["Target"]["Input"])

    def begin(self) -> Run:
        self.world.let_an_hour_pass()
        return super().begin()

    def judge(self, run: Run) -> Verdict:
        account: Connected = run.what
        found = self._credentials(account.account_id)
        if found["account_status"] != "active" or found["status"] != "active" or found["reconnect_reason"]:
            return Verdict.WRONG
        if not found["is_refreshed"]:
            return Verdict.LOST
        if self.world.refreshes_of(account) > _refreshes_allowed(run.plan):
            return Verdict.DOUBLED
        return Verdict.RIGHT

    def tick(self) -> None:
        self.world.let_an_hour_pass()
        self._sweep()

    def _sweep(self) -> None:
        self.world.invoke("refresh_sweep", self._event)


class Sweep(Refresh):
    """It is, before it ends: the schedule, refresh_sweep and refresh_worker."""

    name = "refresh (scheduled)"
    functions = ("refresh_sweep", "refresh_worker")
    queue = "RefreshQueue"

    def begin(self) -> Run:
        run = super().begin()
        self.world.make_due(run.what)
        return run

    def act(self, run: Run) -> None:
        self._sweep()


class RefreshOnDemand(Refresh):
    """It is, because its user wants it."""

    name = "refresh (on demand)"
    functions = ("refresh_token",)

    def act(self, run: Run) -> None:
        account: Connected = run.what
        body = {"businessAccountId": account.account_id}
        for _ in range(TIMES_COME_BACK):
            self._ask(run, lambda: self._call(account.user, "POST", "/refresh-token", body))
            if not run.answers or run.answers[-1].json().get("code") != "META_RATE_LIMITED":
                break
            self.world.let_an_hour_pass()
        if run.is_done and not self._credentials(account.account_id)["is_refreshed"]:
            run.wrong = "answered 200, and the token is the former one"

    def judge(self, run: Run) -> Verdict:
        verdict = super().judge(run)
        # Just refreshed, and asked again because its answer was lost: too young is what it then is.
        is_told = run.is_done or (bool(run.answers) and run.answers[-1].json()["code"] == "TOKEN_TOO_YOUNG")
        return verdict if is_told or verdict is not Verdict.RIGHT else Verdict.WRONG


def _refreshes_allowed(plan: Plan | None) -> int:
    """One, and another for each failure that may have hidden that it was done."""
    if plan and (plan.step.operation in AFTER_A_REFRESH or plan.failure in DEADLY):
        return 1 + plan.happened
    return 1


@dataclass
class Delivery:
    """Signed events, and where each of them belongs."""

    raw: bytes
    keys: tuple[str, ...]
    of_connected: tuple[str, ...]


class Webhook(Flow):
    """Meta's events become rows, and reach consumers: webhook, its queue, webhook_worker, the bus."""

    name = "webhook"
    functions = ("webhook", "webhook_worker")
    lane = "webhook"
    queue = "WebhookQueue"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._account: Connected | None = None

    def begin(self) -> Run:
        if self._account is None:
            self._account = self.world.take()
        names = [f"faults-{uuid.uuid4().hex}" for _ in range(EVENTS)]
        connected, unknown = self._account.instagram_id, NOBODYS_ACCOUNT
        entries = [_entry(connected, *names[:-1]), _entry(unknown, names[-1])]
        keys = tuple(f"msg:{name}" for name in names)
        return Run(Delivery(json.dumps({"object": "instagram", "entry": entries}).encode(), keys, keys[:-1]))

    def act(self, run: Run) -> None:
        stack, http = self.world.app.stack, self.world.app.http
        delivery: Delivery = run.what
        digest = hmac.digest(stack["instagram_app_secret"].encode(), delivery.raw, hashlib.sha256).hex()
        headers = {"X-Hub-Signature-256": f"sha256={digest}", "Content-Type": "application/json"}
        # Meta sends again for a day and a half; here without its pauses.
        for _ in range(ATTEMPTS):
            with suppress(httpx.TransportError):
                answer = http.post(f"{stack['api_url']}/api/instagram/webhook", content=delivery.raw, headers=headers)
                run.answers.append(answer)
                if answer.status_code == 200:
                    return
            time.sleep(1)

    def judge(self, run: Run) -> Verdict:
        delivery: Delivery = run.what
        rows = self.world.rows(
            "select event_key, count(*), count(distinct business_account_id) as accounts from webhook_events "
            "where event_key = any(%s) group by event_key",
            list(delivery.keys),
        )
        if any(row["count"] > max(1, row["accounts"]) for row in rows):
            return Verdict.DOUBLED
        published = [self.world.read_published()[key] for key in delivery.of_connected]
        if any(len(ids) > 1 for ids in published):
            return Verdict.DOUBLED
        return Verdict.RIGHT if len(rows) == len(delivery.keys) and all(published) else Verdict.LOST

    def tick(self) -> None:
        self.world.invoke("webhook_maintenance", {"maintain": True})


class Disconnect(Flow):
    """A user takes an account away: its tokens are gone."""

    name = "disconnect"
    functions = ("accounts",)
    lane = "accounts"

    def act(self, run: Run) -> None:
        account: Connected = run.what
        self._ask(run, lambda: self._call(account.user, "DELETE", f"/accounts/{account.account_id}"))
        if run.is_done and self._credentials(account.account_id)["has_token"]:
            run.wrong = "answered 200, and the token is there"

    def judge(self, run: Run) -> Verdict:
        found = self._credentials(run.what.account_id)
        is_gone = found["account_status"] == "disconnected" and not found["has_token"]
        return Verdict.RIGHT if is_gone and run.is_done else Verdict.LOST


class Deauthorize(Flow):
    """A person removes the app at Meta: their token is gone, and the account asks for a new login."""

    name = "deauthorize"
    functions = ("privacy", "privacy_worker")
    lane = "privacy"
    queue = "PrivacyQueue"
    callback, path = "deauthorize", "deauthorize"

    def act(self, run: Run) -> None:
        app, account = self.world.app, run.what
        url = f"{app.stack['api_url']}/api/instagram/{self.path}"
        wanted = {"url": url, "product": "instagram", "person": account.username}
        for _ in range(ATTEMPTS):
            answer = httpx.Response(200, json=app.meta("POST", f"/privacy/{self.callback}", wanted))
            if answer.json()["status"] == 200:
                run.answers.append(answer)
                return
            time.sleep(1)

    def judge(self, run: Run) -> Verdict:
        found = self._credentials(run.what.account_id)
        is_gone = found["status"] == "revoked" and not found["has_token"]
        return Verdict.RIGHT if is_gone and run.is_done else Verdict.LOST


class DeleteData(Deauthorize):
    """A person wants their data deleted: it is, and the page that Meta shows them says so."""

    name = "delete data"
    callback, path = "data_deletion", "data-deletion"

    def judge(self, run: Run) -> Verdict:
        rows = self.world.rows("select 1 from instagram_business_accounts where id = %s", run.what.account_id)
        if rows or not run.is_done:
            return Verdict.LOST
        page = self.world.app.http.get(run.answers[-1].json()["json"]["url"])
        return Verdict.RIGHT if "Your data has been deleted" in page.text else Verdict.LOST


def all_flows(world: World) -> list[Flow]:
    """Every flow, those first that share a function."""
    return [
        Connect(world, "facebook"),
        Connect(world, "instagram"),
        StoreLate(world),
        Sweep(world),
        RefreshOnDemand(world),
        Webhook(world),
        Disconnect(world),
        Deauthorize(world),
        DeleteData(world),
    ]


def _entry(account: str, *message_ids: str) -> dict[str, Any]:
    now = int(time.time() * 1000)
    talks = [
        {
            "sender": {"id": "900100"},
            "recipient": {"id": account},
            "timestamp": now,
            "message": {"mid": message_id, "text": "Are you open today?"},
        }
        for message_id in message_ids
    ]
    return {"id": account, "time": now, "messaging": talks}


def _is_ours(answer: httpx.Response) -> bool:
    """Whether a function answered: the gateway in front of a function that died has words of its own."""
    with suppress(ValueError):
        return "requestId" in answer.json()
    return False


def _check(run: Run, answer: httpx.Response) -> None:
    try:
        contract.check(answer)
    except AssertionError as error:
        run.wrong = str(error)
