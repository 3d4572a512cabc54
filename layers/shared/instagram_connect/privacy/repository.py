"""Storage of what people ask of Meta: tokens that end, data that is deleted. One call each."""

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

# How Meta says of a token that its person removed the app.
APP_REMOVED = {"code": 190, "subcode": 458, "reason": "APP_REMOVED", "hint": RECONNECT_HINTS["APP_REMOVED"]}
# Deleted in some seconds, within what a statement may take.
ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class DeletionStatus:
    """How far a deletion is. `retained_reason` says what was kept, None that nothing was."""

    requested_at: datetime
    completed_at: datetime | None
    retained_reason: str | None


@dataclass(frozen=True)
class PrivacyRepository:
    """All raise StorageError; all are safe to repeat."""

    rpcs: RpcCaller
    now: Callable[[], datetime]

    def revoke(self, meta_user_id: str, asked_at: datetime, deadline: Deadline) -> int:
        """Erases the tokens of a person who removed the app, and marks their accounts; how many those are."""
        asked = {**self._asked(), "meta_user_id": meta_user_id, "moment": iso(asked_at), "failure": APP_REMOVED}
        revoked = self.rpcs.call_patiently("revoke_person", asked, deadline)
        # Whoever answers something else has revoked nothing.
        if not isinstance(revoked, int):
            raise storage_error(DataApiError(status=200), "revoke_person")
        return revoked

    def delete(self, meta_user_id: str, asked_at: datetime, confirmation_code: str, deadline: Deadline) -> int | None:
        """Deletes a part of what there is of a person; how many accounts it was once all is gone, None until then."""
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
        """How far the deletion with this code is; None when it has not begun, or there is none."""
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
