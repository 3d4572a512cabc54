"""The state of every webhook: delivered, waiting for its next attempt, or dropped.

Sources: Meta, "Get started with webhooks" (retries over 36 hours) and "Meta Webhooks for Messenger Platform" (an app
that fails for an hour is unsubscribed). Meta documents only that retries start immediately and become less frequent.
"""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from meta_simulator.meta_apps import Product
from meta_simulator.outgoing import AppResponse, Headers

RETRY_AFTER = tuple(timedelta(minutes=minutes) for minutes in (0, 1, 5, 15, 30, 60, 120, 240, 480, 960, 1440, 2160))
UNSUBSCRIBED_AFTER = timedelta(hours=1)
MAX_PENDING_UPDATES = 100_000  # bounds the memory for their bodies
MAX_SHOWN = 1000

State = Literal["new", "delivered", "pending", "dropped"]
DropReason = Literal["gave_up", "not_retried", "unsubscribed", "too_many_pending"]
Account = tuple[Product, str]


@dataclass
class Delivery:
    """One webhook being sent. `message_accounts` are the accounts with direct messages in it."""

    id: int
    product: Product
    url: str
    body: bytes = field(repr=False)
    headers: Headers = field(repr=False)
    updates: int
    accounts: frozenset[str]
    message_accounts: frozenset[str]
    is_retried: bool
    needs_subscription: bool
    first_attempt_at: datetime
    attempts: int = 0
    response: AppResponse | None = None
    state: State = "new"
    drop_reason: DropReason | None = None

    @property
    def due_at(self) -> datetime | None:
        """When the next attempt is due, or None after the last one."""
        if self.attempts == 0:
            return self.first_attempt_at
        retry = self.attempts - 1
        return self.first_attempt_at + RETRY_AFTER[retry] if retry < len(RETRY_AFTER) else None

    def view(self) -> dict[str, object]:
        """Return the delivery as the control API shows it, without its body."""
        due_at = self.due_at if self.state == "pending" else None
        return {
            "id": self.id,
            "product": self.product,
            "accounts": sorted(self.accounts),
            "updates": self.updates,
            "attempts": self.attempts,
            "last_answer": self.response.outcome if self.response else None,
            "first_attempt_at": self.first_attempt_at.isoformat(),
            "next_attempt_at": due_at.isoformat() if due_at else None,
            "drop_reason": self.drop_reason,
        }


class Outbox:
    """Counters of all webhooks, the pending ones, and the latest dropped ones."""

    def __init__(self) -> None:
        self.retrying: asyncio.Task[None] | None = None
        self._last_id = 0
        self.clear()

    def clear(self) -> None:
        """Forget all deliveries, so that none is retried. Ids are not reused."""
        self.pending: dict[int, Delivery] = {}
        self._pending_updates = 0
        self._dropped: deque[Delivery] = deque(maxlen=MAX_SHOWN)
        self._counts: Counter[str] = Counter()
        self._failing_since: dict[Account, datetime] = {}

    def next_id(self) -> int:
        """Return the id for a new delivery."""
        self._last_id += 1
        return self._last_id

    def take_due(self, now: datetime) -> list[Delivery]:
        """Remove and return what is due by now, oldest first. The caller attempts it."""
        due = sorted((at, id_) for id_, each in self.pending.items() if (at := each.due_at) is not None and at <= now)
        taken = [self.pending.pop(id_) for _, id_ in due]
        self._pending_updates -= sum(each.updates for each in taken)
        return taken

    def count_attempt(self) -> None:
        """Count a request that was sent."""
        self._counts["attempts"] += 1

    def record_success(self, delivery: Delivery) -> None:
        """Record a 200. The accounts in the delivery are no longer failing."""
        delivery.state = "delivered"
        self._counts["delivered"] += 1
        for account in delivery.message_accounts:
            self._failing_since.pop((delivery.product, account), None)

    def record_failure(self, delivery: Delivery, at: datetime) -> list[str]:
        """Record a failed attempt; return the accounts whose direct messages have failed for an hour."""
        return [
            account
            for account in sorted(delivery.message_accounts)
            if at - self._failing_since.setdefault((delivery.product, account), at) >= UNSUBSCRIBED_AFTER
        ]

    def record_unsubscribed(self, product: Product, account: str) -> None:
        """Count a lost subscription. A new subscription gets a new hour."""
        self._failing_since.pop((product, account), None)
        self._counts["unsubscribed"] += 1

    def keep(self, delivery: Delivery) -> None:
        """Keep a delivery for its next attempt, or drop it if too many are pending."""
        if self._pending_updates + delivery.updates > MAX_PENDING_UPDATES:
            self.drop(delivery, "too_many_pending")
            return
        delivery.state = "pending"
        self.pending[delivery.id] = delivery
        self._pending_updates += delivery.updates

    def drop(self, delivery: Delivery, reason: DropReason) -> None:
        """Give up on a delivery."""
        delivery.state = "dropped"
        delivery.drop_reason = reason
        delivery.body = b""  # free the memory
        self._counts["dropped"] += 1
        self._dropped.append(delivery)

    def view(self) -> dict[str, object]:
        """Return the counters, the pending deliveries that are due next, and the latest dropped ones."""
        counted = ("attempts", "delivered", "dropped", "unsubscribed")
        due = sorted(self.pending.values(), key=lambda each: (each.due_at or each.first_attempt_at, each.id))
        return {
            "counts": {**{name: self._counts[name] for name in counted}, "pending": len(self.pending)},
            "pending": [each.view() for each in due[:MAX_SHOWN]],
            "dropped": [each.view() for each in self._dropped],
        }
