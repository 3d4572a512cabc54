"""Storage of pending events. Each was written in the same transaction as the change it reports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.rpc import RpcCaller


@dataclass(frozen=True)
class OutboxRepository:
    """Leases and deletes events. Both raise StorageError."""

    rpcs: RpcCaller
    now: Callable[[], datetime]

    def take(self, limit: int, lease_s: float, deadline: Deadline) -> list[dict[str, Any]]:
        """Lease pending events, oldest first: `{"id", "type", "detail"}`. After `lease_s` they can be leased again."""
        asked = {"now": self.now().isoformat(), "limit": limit, "lease_s": lease_s}
        taken: list[dict[str, Any]] = self.rpcs.call("take_events", asked, deadline)
        return taken

    def forget(self, ids: Sequence[str], deadline: Deadline) -> None:
        """Delete published events."""
        self.rpcs.call_patiently("delete_events", {"ids": ids}, deadline)
