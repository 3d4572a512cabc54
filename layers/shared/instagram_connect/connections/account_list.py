"""A user's accounts as the app shows them: the stored ones, and the parked ones that are not stored yet."""

from collections.abc import Sequence
from dataclasses import dataclass

from instagram_connect.connections.parking import ParkedRecord, Parking
from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import StorageError
from instagram_connect.models import Account
from instagram_connect.runtime.deadline import Deadline


@dataclass(frozen=True)
class AccountsOfUser:
    """Stored and pending accounts, and logins whose accounts are not known yet.

    `is_complete` is False if storage could not be read; then only parked accounts are listed.
    """

    accounts: tuple[Account, ...]
    logins: tuple[ParkedRecord, ...]
    is_complete: bool


@dataclass(frozen=True)
class AccountList:
    """Reads accounts for their owner. Shared between requests."""

    repository: ConnectionRepository
    parking: Parking

    def of(self, user_id: str, deadline: Deadline) -> AccountsOfUser:
        """All accounts of a user. Raises StorageError if storage cannot be read and nothing is parked."""
        parked = self.parking.records_of(user_id)
        try:
            stored = self.repository.list_accounts(user_id, deadline)
        except StorageError:
            if not parked:
                raise
            return AccountsOfUser(_with_pending((), parked), _logins((), parked), is_complete=False)
        return AccountsOfUser(_with_pending(stored, parked), _logins(stored, parked), is_complete=True)


def _with_pending(stored: Sequence[Account], parked: Sequence[ParkedRecord]) -> tuple[Account, ...]:
    accounts = {account.instagram_business_id: account for account in stored}
    for record in parked:
        for pending in record.accounts:
            known = accounts.get(pending.instagram_business_id)
            # A working account hides its pending record, which may also outlive the moment its connection was stored.
            works = known and known.status == "active" and known.reconnect_before is None
            if known and (works or known.connected_at >= pending.connected_at):
                continue
            accounts[pending.instagram_business_id] = pending.model_copy(update={"id": known.id if known else None})
    return tuple(accounts.values())


def _logins(stored: Sequence[Account], parked: Sequence[ParkedRecord]) -> tuple[ParkedRecord, ...]:
    return tuple(
        record
        for record in parked
        if not record.accounts
        and not any(a.provider == record.provider and a.connected_at >= record.issued_at for a in stored)
    )
