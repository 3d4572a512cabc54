"""Refreshing in unit tests: fakes of storage, Meta, KMS and the queue."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from instagram_connect.errors import ReconnectRequiredError, StorageError
from instagram_connect.meta import usage
from instagram_connect.models import DiscoveredAccount, Provider, Renewal
from instagram_connect.refresh.account_refresh import AccountRefresh
from instagram_connect.refresh.batch import RefreshBatch
from instagram_connect.refresh.models import Claim, RefreshTask
from instagram_connect.refresh.outage_detection import OutageDetector
from instagram_connect.refresh.repository import RefreshRepository, RefreshRules
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.sqs import QueueError
from tests.support.fakes import NOW, USER_ID

OWNER = "3d9a6c1e-0000-4000-8000-0000000000aa"
EXPIRES_AT = NOW + timedelta(days=8)
NEW_END = NOW + timedelta(days=60)
STORAGE_DOWN = StorageError(reason="DATA_API_UNREACHABLE", recoverable=True)


def password_changed() -> ReconnectRequiredError:
    """A dead token with a cause named by Meta."""
    return ReconnectRequiredError(reason="PASSWORD_CHANGED", log_context={"meta_code": 190, "meta_subcode": 460})


def task(account_id: str, **changes: Any) -> RefreshTask:
    """A task whose account, person and token share a name."""
    values = {
        "account_id": account_id,
        "user_id": USER_ID,
        "provider": Provider.INSTAGRAM,
        "instagram_business_id": f"1784-{account_id}",
        "meta_user_id": f"person-{account_id}",
        "page_id": None,
        "issued_at": NOW - timedelta(days=52),
        "expires_at": EXPIRES_AT,
        "data_access_expires_at": None,
        "access_token_ciphertext": f"sealed:{account_id}",
        "user_token_ciphertext": None,
        **changes,
    }
    return RefreshTask(**values)


def claim_of(refresh_task: RefreshTask, *, renew: bool = True, check_subscription: bool = False) -> Claim:
    return Claim(
        account_id=refresh_task.account_id,
        provider=refresh_task.provider,
        renew=renew,
        check_subscription=check_subscription,
    )


def account_row(account_id: str | None, **changes: Any) -> dict[str, Any]:
    """An account as storage returns it."""
    return {
        "id": account_id,
        "provider": "instagram",
        "instagram_business_id": f"1784-{account_id}",
        "username": "cafe.azul",
        "name": None,
        "page_id": None,
        "page_name": None,
        "profile_picture_url": None,
        "followers_count": None,
        "token_expires_at": NEW_END.isoformat(),
        "connected_at": NOW.isoformat(),
        "status": "active",
        **changes,
    }


@dataclass
class FakeStorage:
    """Stands for `Rpcs`: answers as the functions of the migration do, and keeps what it was asked.

    `answers` come first; a callable is given the payload. `failures` name functions that fail, always.
    """

    tasks: dict[str, RefreshTask] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    answers: dict[str, Any] = field(default_factory=dict)
    failures: dict[str, Exception] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)

    def call(self, function: str, payload: Any, deadline: Deadline) -> Any:
        if function in self.failures:
            raise self.failures[function]
        self.calls.append((function, payload))
        if function in self.answers:
            answer = self.answers[function]
            return answer(payload) if callable(answer) else answer
        match function:
            case "leased_refreshes":
                found = (self.tasks.get(account_id) for account_id in payload["account_ids"])
                return [entry.model_dump(mode="json") for entry in found if entry]
            case "finish_refresh":
                self.happened.append(f"wrote {payload['account_id']}")
                if payload["account_id"] in self.lost:
                    return {"is_written": False}
                status = "needs_reauth" if payload.get("failure") else "active"
                return {"is_written": True, "account": account_row(payload["account_id"], status=status)}
            case "brake_refreshes":
                return {"is_new_suspension": True}
            case "refresh_witnesses":
                return []
            case _:
                return None

    call_patiently = call

    def asked(self, function: str) -> list[dict[str, Any]]:
        """The payloads that a function was called with."""
        return [payload for name, payload in self.calls if name == function]

    @property
    def written(self) -> dict[str, dict[str, Any]]:
        """The results stored for refreshed accounts."""
        finished = self.asked("finish_refresh")
        return {payload["account_id"]: payload for payload in finished if not payload.get("failure")}

    @property
    def ended(self) -> dict[str, dict[str, Any]]:
        """The results stored for accounts with dead tokens."""
        finished = self.asked("finish_refresh")
        return {payload["account_id"]: payload["failure"] for payload in finished if payload.get("failure")}

    @property
    def released(self) -> dict[str, str | None]:
        """The released accounts, and until when each is left alone."""
        entries = [entry for payload in self.asked("release_refreshes") for entry in payload["accounts"]]
        return {entry["account_id"]: entry["not_before"] for entry in entries}


class FakeMeta:
    """A login product with a scripted result for each token."""

    provider = Provider.INSTAGRAM

    def __init__(self, happened: list[str]) -> None:
        self.happened = happened
        self.failures: dict[str, Exception] = {}
        self.webhook_failures: dict[str, Exception] = {}
        self.dead: dict[str, Exception] = {}
        self.usage: dict[str, Mapping[str, str]] = {}
        self.unsubscribed: set[str] = set()
        self.ends_at = NEW_END
        self.renewed: list[str] = []
        self._lock = threading.Lock()

    def renew(
        self, account: DiscoveredAccount, user_token: str | None, expires_at: datetime | None, deadline: Deadline
    ) -> Renewal:
        token = account.access_token
        with self._lock:
            self.renewed.append(token)
            self.happened.append(f"renewed {token}")
        usage.note(self.usage.get(token, {}))
        if token in self.failures:
            raise self.failures[token]
        return Renewal(NOW, f"{token}-renewed", None, self.ends_at, None)

    def check_access(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        if account.access_token in self.dead:
            raise self.dead[account.access_token]

    def is_subscribed(self, account: DiscoveredAccount, deadline: Deadline) -> bool:
        if account.access_token in self.webhook_failures:
            raise self.webhook_failures[account.access_token]
        return account.access_token not in self.unsubscribed

    def subscribe(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        self.happened.append(f"subscribed {account.access_token}")


class FakeVault:
    """Works without KMS: a ciphertext is the token with a prefix."""

    def __init__(self) -> None:
        self.failures: dict[str, Exception] = {}

    def encrypt(self, token: str, binding: object) -> str:
        return f"sealed:{token}"

    def decrypt(self, ciphertext: str, binding: object) -> str:
        token = ciphertext.removeprefix("sealed:")
        if token in self.failures:
            raise self.failures[token]
        return token


class FakeQueue:
    """Keeps what it was given; takes nothing while `is_down`."""

    def __init__(self) -> None:
        self.kept: list[Mapping[str, Any]] = []
        self.buried: list[tuple[str, str]] = []
        self.is_down = False

    def keep(self, payload: Mapping[str, Any]) -> None:
        if self.is_down:
            raise QueueError("EndpointConnectionError")
        self.kept.append(payload)

    def send_to_dead_letters(self, account_id: str, reason: str) -> None:
        if self.is_down:
            raise QueueError("EndpointConnectionError")
        self.buried.append((account_id, reason))


class FakeEvents:
    """Counts the calls to publish events."""

    def __init__(self) -> None:
        self.published = 0
        self.error: Exception | None = None

    def publish_pending(self, deadline: Deadline) -> int:
        self.published += 1
        if self.error:
            raise self.error
        return 0


class Refreshing:
    """A batch with fakes around it, and accounts leased to OWNER."""

    def __init__(self, *, concurrency: int = 4, rules: RefreshRules | None = None) -> None:
        self.storage = FakeStorage()
        self.meta = FakeMeta(self.storage.happened)
        self.vault = FakeVault()
        self.queue = FakeQueue()
        self.events = FakeEvents()
        self.slept: list[float] = []
        self.repository = RefreshRepository(self.storage, lambda: NOW, rules or RefreshRules())
        products: Any = {Provider.INSTAGRAM: self.meta, Provider.FACEBOOK: self.meta}
        vault: Any = self.vault
        flow = AccountRefresh(products, vault, lambda: NOW, self.repository.rules.lead_s)
        queue: Any = self.queue
        events: Any = self.events
        sleep: Callable[[float], None] = self.slept.append
        self.batch = RefreshBatch(
            flow,
            OutageDetector(flow, self.repository, lambda: NOW),
            self.repository,
            queue,
            events,
            lambda: NOW,
            concurrency=concurrency,
            sleep=sleep,
        )

    def lease(self, *tasks: RefreshTask, renew: bool = True, check_subscription: bool = False) -> list[Claim]:
        """Leases accounts to OWNER and returns the claims."""
        self.storage.tasks |= {entry.account_id: entry for entry in tasks}
        return [claim_of(entry, renew=renew, check_subscription=check_subscription) for entry in tasks]
