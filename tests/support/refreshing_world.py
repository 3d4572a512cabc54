"""A simulated world for the real scheduling code: a clock, Meta with Instagram's rules, outages, workers that die.

Real are the functions in Postgres, the sweep, the batch, outage detection and the repository. The queue, KMS and Meta
are played in memory, because a year has eight thousand sweeps.
"""

import heapq
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from instagram_connect.errors import MetaRateLimitedError, MetaUnavailableError, ReconnectRequiredError, StorageError
from instagram_connect.models import DiscoveredAccount, Provider, Renewal
from instagram_connect.outbox.publisher import EventPublisher
from instagram_connect.outbox.repository import OutboxRepository
from instagram_connect.refresh.account_refresh import AccountRefresh
from instagram_connect.refresh.batch import RefreshBatch
from instagram_connect.refresh.models import Claim
from instagram_connect.refresh.outage_detection import OutageDetector
from instagram_connect.refresh.queue import ACCOUNTS_PER_MESSAGE
from instagram_connect.refresh.repository import DAY_S, RefreshRepository, RefreshRules
from instagram_connect.refresh.sweep import RefreshSweep
from instagram_connect.runtime.batches import batches
from instagram_connect.runtime.deadline import Deadline

START = datetime(2027, 1, 1, tzinfo=UTC)
LIFETIME = timedelta(seconds=5_183_944)
SHORT_LIFETIME = timedelta(days=11)  # the sweep of the next hour finds such a token due
YOUNGEST = timedelta(hours=24)
HOUR = timedelta(hours=1)
VISIBILITY = timedelta(minutes=2)
# Subscriptions do not affect tokens and would be most of the work.
RULES = RefreshRules(subscription_s=100 * 365 * DAY_S)


class ProcessKilled(BaseException):
    """The function is killed at this point."""


@dataclass(frozen=True)
class Outage:
    """An outage from `begins` to `ends`: `down`, `blocked`, `throttled` (Meta) or `storage`."""

    kind: str
    begins: datetime
    ends: datetime


@dataclass
class Token:
    """Meta's state of an account's token."""

    obtained_at: datetime
    expires_at: datetime


@dataclass
class World:
    """Everything that happens, and the rules that must hold."""

    database: psycopg.Connection[Any]
    dice: random.Random
    outages: Sequence[Outage] = ()
    changes_token: bool = True
    killing: float = 0.0
    rules: RefreshRules = RULES
    now: datetime = START
    tokens: dict[str, Token] = field(default_factory=dict)
    account_of: dict[str, str] = field(default_factory=dict)
    ended: dict[str, datetime] = field(default_factory=dict)
    refreshed: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=dict)
    broken_rules: list[str] = field(default_factory=list)
    messages: list[tuple[datetime, int, Any]] = field(default_factory=list)
    buried: list[str] = field(default_factory=list)
    kills: int = 0
    _sent: int = 0
    _lost: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        repository = RefreshRepository(_Storage(self), lambda: self.now, self.rules)
        events: Any = EventPublisher("bus", OutboxRepository(repository.rpcs, repository.now))
        flow = AccountRefresh({Provider.INSTAGRAM: _Meta(self)}, _Vault(), lambda: self.now, self.rules.lead_s)  # type: ignore[arg-type]
        queue: Any = _Queue(self)
        self.sweep = RefreshSweep(repository, queue, events)
        self.batch = RefreshBatch(
            flow,
            OutageDetector(flow, repository, lambda: self.now),
            repository,
            queue,
            events,
            lambda: self.now,
            concurrency=1,
            sleep=lambda _: None,
        )

    def populate(self, count: int, connected_within: timedelta) -> None:
        """Connects accounts of the given number of people before the start."""
        with self.database.cursor() as cursor:
            cursor.execute("truncate auth.users, refresh_brakes cascade")
            cursor.execute("insert into auth.users select gen_random_uuid() from generate_series(1, %s)", [count])
            cursor.execute(
                "insert into instagram_business_accounts (user_id, provider, instagram_business_id, connected_at) "
                "select id, 'instagram', row_number() over ()::text, %s::timestamptz - random() * %s::interval "
                "from auth.users returning id, connected_at",
                [START, connected_within],
            )
            rows = [(str(account_id), connected_at) for account_id, connected_at in cursor.fetchall()]
            with cursor.copy(
                "copy instagram_credentials (business_account_id, provider, access_token_ciphertext, issued_at, "
                "expires_at) from stdin"
            ) as copy:
                for account_id, connected_at in rows:
                    copy.write_row((account_id, "instagram", account_id, connected_at, connected_at + LIFETIME))
        for account_id, connected_at in rows:
            self.tokens[account_id] = Token(connected_at, connected_at + LIFETIME)
            self.account_of[account_id] = account_id
        self.database.execute("analyze")

    def live(self, days: float, sweeps_at_once: int = 1) -> None:
        """Advances time with hourly sweeps and workers that process their batches."""
        end = self.now + timedelta(days=days)
        while self.now < end:
            self.now += HOUR
            for _ in range(sweeps_at_once):
                self._survive(lambda: self.sweep.run(Deadline(60)))
            at = self.now
            while self.messages and self.messages[0][0] < at + HOUR:
                due_at, _, message = heapq.heappop(self.messages)
                self.now = max(at, due_at)
                if not self._survive(lambda message=message: self._work(message)):  # type: ignore[misc]
                    self.send(message, VISIBILITY)
            self.now = at

    def end_tokens(self, count: int) -> None:
        """The given number of people now revoke the permission at Meta."""
        self.ended |= dict.fromkeys(self.dice.sample(sorted(set(self.account_of.values())), count), self.now)

    def is_out(self, *kinds: str) -> str | None:
        """The current outage of one of these kinds."""
        return next((o.kind for o in self.outages if o.kind in kinds and o.begins <= self.now < o.ends), None)

    def may_die(self) -> None:
        """Raises ProcessKilled at random."""
        if self.killing and self.dice.random() < self.killing:
            self.kills += 1
            raise ProcessKilled

    def send(self, message: Any, delay: timedelta = timedelta(0)) -> None:
        """Puts a message into the queue."""
        self._sent += 1
        heapq.heappush(self.messages, (self.now + delay, self._sent, message))

    def check(self) -> None:
        """Raises AssertionError if a rule was broken."""
        rows = self.database.execute(
            "select business_account_id::text, access_token_ciphertext, status from instagram_credentials"
        ).fetchall()
        needing = {account_id for account_id, _, status in rows if status == "needs_reauth"}
        stored = {account_id: value for account_id, value, _ in rows}
        expired = [
            account_id
            for account_id, value in stored.items()
            if account_id not in self.ended and self.tokens[value].expires_at <= self.now
        ]
        told_in_vain = needing - set(self.ended)
        not_told = {a for a, at in self.ended.items() if at < self.now - timedelta(days=75)} - needing
        assert not self.broken_rules, self.broken_rules[:5]
        assert not self.buried
        assert not expired, f"{len(expired)} tokens expired"
        assert not told_in_vain, f"{len(told_in_vain)} people were told to reconnect without need"
        assert not not_told, f"{len(not_told)} dead tokens were not noticed"

    def renew(self, value: str) -> Renewal:
        """Meta's refresh_access_token."""
        self.fail_if_out(value)
        self.may_die()
        token, account_id = self.tokens[value], self.account_of[value]
        if self.now - token.obtained_at < YOUNGEST:
            if not self._was_lost(account_id):
                self.broken_rules.append(f"{account_id} was refreshed at an age of {self.now - token.obtained_at}")
            raise ReconnectRequiredError(reason="TOKEN_INVALID", log_context={"meta_code": 100})
        if self.now >= token.expires_at:
            raise ReconnectRequiredError(reason="TOKEN_EXPIRED", log_context={"meta_code": 190, "meta_subcode": 463})
        new = f"{account_id}#{self.now.isoformat()}" if self.changes_token else value
        # Sometimes Meta grants little time, so that a young token is already due.
        ends_at = self.now + (LIFETIME if self.dice.random() > 0.01 else SHORT_LIFETIME)
        self.tokens[new] = Token(self.now, ends_at)
        self.account_of[new] = account_id
        self._lost.add(account_id)  # until it is stored
        self.may_die()
        return Renewal(self.now, new, None, ends_at)

    def fail_if_out(self, value: str) -> None:
        """Raises Meta's error during an outage, or for a revoked token."""
        match self.is_out("down", "blocked", "throttled"):
            case "down":
                raise MetaUnavailableError
            case "blocked":
                raise ReconnectRequiredError(reason="APP_REMOVED", log_context={"meta_code": 190, "meta_subcode": 458})
            case "throttled":
                raise MetaRateLimitedError(retry_after_s=3600, log_context={"meta_code": 4})
        if self.account_of[value] in self.ended:
            raise ReconnectRequiredError(reason="PASSWORD_CHANGED", log_context={"meta_code": 190, "meta_subcode": 460})

    def _was_lost(self, account_id: str) -> bool:
        # Its worker died between Meta's response and storage, so we cannot know that the token is young.
        return account_id in self._lost

    def stored(self, account_id: str, ends_at: datetime) -> None:
        """Notes that a refresh was written."""
        self._lost.discard(account_id)
        before = self.refreshed.setdefault(account_id, [])
        if before and self.now < before[-1][1]:
            self.broken_rules.append(f"{account_id} was refreshed again before {before[-1][1]}")
        due_again_at = ends_at - timedelta(seconds=self.rules.lead_s + self.rules.spread_s)
        before.append((self.now, max(due_again_at, self.now + YOUNGEST)))

    def _work(self, message: Any) -> None:
        if isinstance(message, dict):
            self.batch.repository.finish(message, Deadline(60))
        else:
            owner, claims = message
            self.batch.work(owner, claims, Deadline(60))

    def _survive(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except (ProcessKilled, StorageError):
            return False
        return True


class _Storage:
    """The functions in Postgres, called directly, with the caller's clock."""

    def __init__(self, world: World) -> None:
        self._world = world

    def call(self, function: str, payload: Any, deadline: Deadline) -> Any:
        world = self._world
        if function in ("take_events", "refresh_overview"):  # nothing that a token depends on
            return [] if function == "take_events" else _NOTHING
        if world.is_out("storage"):
            raise StorageError(reason="DATABASE_UNAVAILABLE", recoverable=True)
        world.may_die()
        row = world.database.execute(f"select {function}(%s)", [Jsonb(payload)]).fetchone()
        assert row is not None
        if function == "finish_refresh" and row[0]["is_written"] and payload.get("renewal"):
            world.stored(payload["account_id"], datetime.fromisoformat(payload["renewal"]["expires_at"]))
        world.may_die()
        return row[0]

    call_patiently = call


_NOTHING: dict[str, Any] = {
    "active": 0,
    "overdue": 0,
    "oldest_due_at": None,
    "expired": 0,
    "needs_reauth": 0,
    "reconnect_requested": 0,
    "brakes": [],
    "events_waiting": 0,
}


class _Queue:
    """The queue, in memory."""

    def __init__(self, world: World) -> None:
        self._world = world

    def send_claims(self, owner: str, claims: Sequence[Claim]) -> tuple[Claim, ...]:
        for part in batches(claims, ACCOUNTS_PER_MESSAGE):
            self._world.may_die()
            self._world.send((owner, part))
        return ()

    def keep(self, payload: dict[str, Any]) -> None:
        self._world.send(payload, VISIBILITY)

    def send_to_dead_letters(self, account_id: str, reason: str) -> None:
        self._world.buried.append(f"{account_id}: {reason}")


class _Vault:
    """Works without KMS: a token is its own ciphertext."""

    def encrypt(self, token: str, binding: object) -> str:
        return token

    def decrypt(self, ciphertext: str, binding: object) -> str:
        return ciphertext


class _Meta:
    """Instagram Login of this world."""

    provider = Provider.INSTAGRAM

    def __init__(self, world: World) -> None:
        self._world = world

    def renew(
        self, account: DiscoveredAccount, user_token: str | None, expires_at: datetime | None, deadline: Deadline
    ) -> Renewal:
        return self._world.renew(account.access_token)

    def check_access(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        self._world.fail_if_out(account.access_token)


def outages(spans: Iterable[tuple[str, float, float]], gap: timedelta = timedelta(hours=4)) -> list[Outage]:
    """Consecutive outages: kind, hours after the previous one, duration in hours."""
    made, at = [], START
    for kind, pause_h, length_h in spans:
        begins = at + timedelta(hours=pause_h)
        made.append(Outage(kind, begins, begins + timedelta(hours=length_h)))
        at = made[-1].ends + gap
    return made
