"""Storage for privacy requests: revokes tokens and deletes data, one call each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from instagram_connect.errors import RECONNECT_HINTS
from instagram_connect.runtime.clock import iso
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.data_api import DataApiError
from instagram_connect.storage.diagnosis import storage_error
from instagram_connect.storage.rpc import RpcCaller

# How Meta reports a token whose owner removed the app.
APP_REMOVED = {"code": 190, "subcode": 458, "reason": "APP_REMOVED", "hint": RECONNECT_HINTS["APP_REMOVED"]}
# Deletes within a few seconds, less than the statement time-out.
ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class DeletionStatus:
    """The progress of a deletion. `retained_reason` is why data was kept, or None if none was."""

    requested_at: datetime
    completed_at: datetime | None
    retained_reason: str | None


@dataclass(frozen=True)
class PrivacyRepository:
    """All methods raise StorageError and are safe to repeat."""

    rpcs: RpcCaller
    now: Callable[[], datetime]

    def revoke(self, meta_user_id: str, asked_at: datetime, deadline: Deadline) -> int:
        """Erase the tokens of a person who removed the app and mark their accounts; return the number of accounts."""
        asked = {**self._asked(), "meta_user_id": meta_user_id, "moment": iso(asked_at), "failure": APP_REMOVED}
        revoked = self.rpcs.call_patiently("revoke_person", asked, deadline)
        # Any other response means that nothing was revoked.
        if not isinstance(revoked, int):
            raise storage_error(DataApiError(status=200), "revoke_person")
        return revoked

    def delete(self, meta_user_id: str, asked_at: datetime, confirmation_code: str, deadline: Deadline) -> int | None:
        """Delete some of a person's data. Returns the number of accounts once everything is deleted, None before."""
        asked = {
            **self._asked(),
            "meta_user_id": meta_user_id,
            "requested_at": iso(asked_at),
            "confirmation_code": confirmation_code,
            "limit": ROWS_AT_ONCE,
        }
        answer = self.rpcs.call_patiently("delete_person", asked, deadline)
        if not isinstance(answer, dict) or "is_complete" not in answer:
            raise storage_error(DataApiError(status=200), "delete_person")
        return int(answer["accounts"]) if answer["is_complete"] else None

    def status(self, confirmation_code: str, deadline: Deadline) -> DeletionStatus | None:
        """Return the progress of the deletion with this code, or None if it is unknown or has not begun."""
        row: dict[str, Any] | None = self.rpcs.call(
            "deletion_status", {"confirmation_code": confirmation_code}, deadline
        )
        if row is None:
            return None
        completed_at = row["completed_at"]
        return DeletionStatus(
            requested_at=datetime.fromisoformat(row["requested_at"]),
            completed_at=datetime.fromisoformat(completed_at) if completed_at else None,
            retained_reason=row["retained_reason"],
        )

    def _asked(self) -> dict[str, Any]:
        return {"now": self.now().isoformat()}
