"""A person removes the app: their tokens are erased, and their users told why."""

from collections.abc import Callable
from datetime import datetime

import pytest

from instagram_connect.privacy.repository import APP_REMOVED
from instagram_connect.runtime.deadline import Deadline
from tests.support.database import Database, add_user, disconnect
from tests.support.personal_data import account_row, privacy
from tests.support.webhook_world import (
    DAY,
    MINUTE,
    NOW,
    OTHER_PERSON,
    PERSON,
    SECOND,
    Connected,
    Row,
    another,
    connect,
    delete,
    everything,
)


def revoke(database: Database, person: str = PERSON, asked_at: datetime = NOW) -> int:
    return privacy(database, NOW + MINUTE).revoke(person, asked_at, Deadline(20))


def events_of(database: Database, account: Connected) -> list[Row]:
    return database.execute(
        "select type, detail from outgoing_events where business_account_id = %s", [account.id]
    ).fetchall()


@pytest.mark.parametrize("provider", ["instagram", "facebook"])
def test_the_tokens_of_who_removed_the_app_are_erased_and_the_user_is_told_why(
    database: Database, user_id: str, provider: str
) -> None:
    account = connect(database, user_id, person=PERSON, provider=provider)
    database.execute("update instagram_credentials set lease_owner = 'worker', lease_expires_at = now()")

    assert revoke(database) == 1

    row = account_row(database, account)
    tokens = ("access_token_ciphertext", "user_token_ciphertext", "lease_owner")
    assert [row[name] for name in tokens] == [None, None, None]
    assert (row["credentials_status"], row["status"]) == ("revoked", "needs_reauth")
    assert (row["reconnect_reason"], row["reconnect_hint"]) == ("APP_REMOVED", APP_REMOVED["hint"])
    assert (row["reconnect_before"], row["webhook_subscribed_at"]) == (None, None)
    (event,) = events_of(database, account)
    assert (event["type"], event["detail"]["reason"]) == ("instagram.connection.needs_reauth", "APP_REMOVED")
    assert datetime.fromisoformat(event["detail"]["occurredAt"]) == NOW + MINUTE


def test_all_accounts_of_the_person_are_revoked_whoever_connected_them(database: Database, account: Connected) -> None:
    others = [connect(database, add_user(database), person=PERSON, provider="facebook") for _ in range(2)]

    assert revoke(database) == 3

    assert {account_row(database, one)["credentials_status"] for one in (account, *others)} == {"revoked"}


def test_revoking_again_changes_nothing_and_tells_nobody(database: Database, account: Connected) -> None:
    revoke(database)
    before = everything(database)

    revoke(database)

    after = everything(database)
    assert after == before
    assert len(events_of(database, account)) == 1


def test_a_login_that_had_ended_before_loses_its_tokens_and_is_told_of_once(
    database: Database, account: Connected
) -> None:
    database.execute("update instagram_credentials set status = 'needs_reauth'")
    database.execute(
        "update instagram_business_accounts set status = 'needs_reauth', reconnect_reason = 'TOKEN_EXPIRED'"
    )

    revoke(database)

    row = account_row(database, account)
    assert (row["access_token_ciphertext"], row["credentials_status"]) == (None, "revoked")
    assert row["reconnect_reason"] == "APP_REMOVED"
    assert events_of(database, account) == []


def test_what_is_not_of_the_person_or_came_later_stays(database: Database, account: Connected) -> None:
    same_account = another(database, account, person=OTHER_PERSON)
    later = connect(database, account.user_id, person=PERSON, at=NOW + SECOND)
    gone = connect(database, account.user_id, person=PERSON)
    disconnect(database, account.user_id, gone.id)
    before = [account_row(database, one) for one in (same_account, later, gone)]

    assert [revoke(database, "unknown"), revoke(database, asked_at=NOW - DAY - SECOND), revoke(database)] == [0, 0, 1]

    assert [account_row(database, one) for one in (same_account, later, gone)] == before
    assert account_row(database, account)["credentials_status"] == "revoked"


@pytest.mark.parametrize("act", [revoke, delete])
@pytest.mark.parametrize(("provider", "is_found"), [("instagram", 1), ("facebook", 0)])
def test_a_person_may_be_named_by_the_professional_account_with_instagram_login_only(
    database: Database, user_id: str, act: Callable[..., int], provider: str, is_found: int
) -> None:
    account = connect(database, user_id, provider=provider)

    assert act(database, account.entry_id) == is_found


def test_the_same_login_stored_once_more_does_not_bring_a_revoked_token_back(
    database: Database, account: Connected
) -> None:
    """The message of a parked connection comes twice, before and after its person removed the app."""
    revoke(database)

    connect(database, account.user_id, entry_id=account.entry_id, person=PERSON)

    assert account_row(database, account)["credentials_status"] == "revoked"
