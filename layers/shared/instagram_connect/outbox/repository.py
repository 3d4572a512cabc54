"""Storage of the events that wait to be published: each was written in the transaction that it tells of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.rpc import RpcCaller


@dataclass(frozen=True)
class OutboxRepository:
    """Takes events and forgets them. Both raise StorageError."""

    rpcs: RpcCaller
    now: Callable[[], datetime]

    def take(self, limit: int, lease_s: float, deadline: Deadline) -> list[dict[str, Any]]:
        """Events to publish, `{"id", "type", "detail"}`, the oldest first; others get those that are not forgotten."""
        asked = {"now": self.now().isoformat(), "limit": limit, "lease_s": lease_s}
        taken: list[dict[str, Any]] = self.rpcs.call("take_events", asked, deadline)
        return taken

    def forget(self, ids: Sequence[str], deadline: Deadline) -> None:
        """Deletes events that are published."""
        self.rpcs.call_patiently("delete_events", {"ids": ids}, deadline)
