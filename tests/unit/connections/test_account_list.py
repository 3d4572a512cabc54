"""A user's list while something is parked: every working account is shown, and nothing twice."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from instagram_connect.connections.account_list import AccountList, AccountsOfUser
from instagram_connect.connections.parking import ParkedRecord
from instagram_connect.errors import StorageError
from instagram_connect.models import Account, Provider
from instagram_connect.runtime.deadline import Deadline
from tests.support.fakes import NOW, USER_ID

EARLIER, LATER = NOW - timedelta(days=3), NOW + timedelta(minutes=5)


class FakeRepository:
    """The stored accounts; fails with `error` if there is one."""

    def __init__(self) -> None:
        self.accounts: tuple[Account, ...] = ()
        self.error: StorageError | None = None

    def list_accounts(self, user_id: str, deadline: Deadline) -> tuple[Account, ...]:
        assert (user_id, deadline.remaining_s() > 0) == (USER_ID, True)
        if self.error:
            raise self.error
        return self.accounts


class FakeParking:
    """The records of what is parked."""

    def __init__(self) -> None:
        self.records: tuple[ParkedRecord, ...] = ()

    def records_of(self, user_id: str) -> tuple[ParkedRecord, ...]:
        assert user_id == USER_ID
        return self.records


class Seen:
    """A user's list, with what is behind it."""

    def __init__(self) -> None:
        self.repository = FakeRepository()
        self.parking = FakeParking()

    def now(self) -> AccountsOfUser:
        accounts = AccountList(self.repository, self.parking)  # type: ignore[arg-type]
        return accounts.of(USER_ID, Deadline(20))

    def accounts(self) -> list[tuple[str, str | None, str]]:
        """Username, id and status of each account that is shown."""
        return [(str(account.username), account.id, account.status) for account in self.now().accounts]


@pytest.fixture
def seen() -> Seen:
    return Seen()


def stored(name: str = "cafe.azul", connected_at: datetime = NOW, **changes: Any) -> Account:
    values = {
        "id": f"row-of-{name}",
        "provider": Provider.FACEBOOK,
        "instagram_business_id": f"id-of-{name}",
        "username": name,
        "name": None,
        "page_id": None,
        "page_name": None,
        "profile_picture_url": None,
        "followers_count": None,
        "token_expires_at": None,
        "connected_at": connected_at,
        "status": "active",
        **changes,
    }
    return Account(**values)


def pending(name: str = "cafe.azul", connected_at: datetime = NOW) -> Account:
    return stored(name, connected_at, id=None, status="pending")


def parked(*accounts: Account, issued_at: datetime = NOW, **changes: Any) -> ParkedRecord:
    values = {"user_id": USER_ID, "id": "p-1", "provider": Provider.FACEBOOK, "issued_at": issued_at, **changes}
    return ParkedRecord(accounts=accounts, **values)


def test_stored_accounts_keep_their_order_when_nothing_is_parked(seen: Seen) -> None:
    seen.repository.accounts = (stored("b"), stored("a", status="disconnected"))

    found = seen.now()

    assert found == AccountsOfUser(seen.repository.accounts, (), is_complete=True)


def test_parked_accounts_follow_stored_ones_and_have_no_id(seen: Seen) -> None:
    seen.repository.accounts = (stored("stored"),)
    seen.parking.records = (parked(pending("waiting"), pending("waiting_too")),)

    assert seen.accounts() == [
        ("stored", "row-of-stored", "active"),
        ("waiting", None, "pending"),
        ("waiting_too", None, "pending"),
    ]


@pytest.mark.parametrize("status", ["active", "needs_reauth", "disconnected"])
def test_leftover_record_of_a_stored_connection_is_hidden(seen: Seen, status: str) -> None:
    seen.repository.accounts = (stored(connected_at=NOW, status=status),)
    seen.parking.records = (parked(pending(connected_at=NOW)),)

    assert seen.accounts() == [("cafe.azul", "row-of-cafe.azul", status)]


@pytest.mark.parametrize("status", ["needs_reauth", "disconnected"])
def test_reconnecting_account_is_pending_under_its_existing_id(seen: Seen, status: str) -> None:
    seen.repository.accounts = (stored(connected_at=EARLIER, status=status), stored("other"))
    seen.parking.records = (parked(pending(connected_at=NOW)),)

    assert seen.accounts() == [("cafe.azul", "row-of-cafe.azul", "pending"), ("other", "row-of-other", "active")]


@pytest.mark.parametrize("status", ["needs_reauth", "disconnected"])
def test_parked_login_older_than_the_stored_account_is_hidden(seen: Seen, status: str) -> None:
    seen.repository.accounts = (stored(connected_at=LATER, status=status),)
    seen.parking.records = (parked(pending(connected_at=NOW)),)

    assert seen.accounts() == [("cafe.azul", "row-of-cafe.azul", status)]


def test_active_account_stays_active_while_a_newer_login_is_parked(seen: Seen) -> None:
    seen.repository.accounts = (stored(connected_at=EARLIER),)
    seen.parking.records = (parked(pending(connected_at=NOW)),)

    assert seen.now().accounts == seen.repository.accounts


@pytest.mark.parametrize("order", [1, -1])
def test_newer_of_two_parked_logins_is_shown(seen: Seen, order: int) -> None:
    waiting = (parked(pending(connected_at=NOW)), parked(pending(connected_at=LATER), id="p-2", issued_at=LATER))
    seen.repository.accounts = (stored(connected_at=EARLIER, status="needs_reauth"),)
    seen.parking.records = waiting[::order]

    (account,) = seen.now().accounts

    assert (account.id, account.connected_at, account.status) == ("row-of-cafe.azul", LATER, "pending")


def test_parked_accounts_are_listed_while_storage_is_down(seen: Seen) -> None:
    seen.repository.error = StorageError(reason="DATABASE_UNAVAILABLE")
    unfinished = parked(id="p-2")
    seen.parking.records = (parked(pending()), unfinished)

    found = seen.now()

    assert found == AccountsOfUser((pending(),), (unfinished,), is_complete=False)


def test_storage_failure_is_raised_when_nothing_is_parked(seen: Seen) -> None:
    seen.repository.error = StorageError(reason="DATABASE_UNAVAILABLE")

    with pytest.raises(StorageError) as failed:
        seen.now()

    assert failed.value.reason == "DATABASE_UNAVAILABLE"


def test_unfinished_login_is_listed_beside_older_accounts(seen: Seen) -> None:
    login = parked(issued_at=NOW)
    seen.repository.accounts = (stored(connected_at=EARLIER),)
    seen.parking.records = (login, parked(pending("waiting"), id="p-2"))

    found = seen.now()

    assert found.logins == (login,)
    assert seen.accounts() == [("cafe.azul", "row-of-cafe.azul", "active"), ("waiting", None, "pending")]


@pytest.mark.parametrize("connected_at", [NOW, LATER])
@pytest.mark.parametrize("code", [None, "RECONNECT_REQUIRED"])
def test_unfinished_login_is_hidden_once_its_product_has_an_equally_new_account(
    seen: Seen, connected_at: datetime, code: str | None
) -> None:
    seen.repository.accounts = (stored(connected_at=connected_at),)
    seen.parking.records = (parked(issued_at=NOW, code=code),)

    assert seen.now().logins == ()


def test_account_of_the_other_product_does_not_hide_an_unfinished_login(seen: Seen) -> None:
    login = parked(issued_at=NOW)
    seen.repository.accounts = (stored(connected_at=LATER, provider=Provider.INSTAGRAM),)
    seen.parking.records = (login,)

    assert seen.now().logins == (login,)


def test_failed_login_is_listed_with_its_error_code(seen: Seen) -> None:
    seen.parking.records = (parked(code="NO_FACEBOOK_PAGE"),)

    (login,) = seen.now().logins

    assert login.code == "NO_FACEBOOK_PAGE"
    assert seen.accounts() == []
