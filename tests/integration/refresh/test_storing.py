"""Storing a refresh: only with the lease, once, and never over something newer."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from instagram_connect.errors import ReconnectRequiredError
from instagram_connect.meta.usage import Usage
from instagram_connect.models import Account, Provider
from instagram_connect.refresh.models import SubscriptionCheck
from instagram_connect.runtime.deadline import Deadline
from tests.support.database import Database, call
from tests.support.refreshes import (
    DAY,
    HOUR,
    LEAD,
    LEASE,
    LIFETIME,
    MINUTE,
    NOW,
    PASSWORD_CHANGED,
    REQUEST,
    RULES,
    SPREAD,
    Row,
    account_of,
    change,
    claim,
    connect,
    connect_again,
    credentials_of,
    disconnect,
    end,
    events_of,
    finish,
    is_due,
    mark,
    release,
    renewal,
    storage,
    usage_of,
)


def all_of(database: Database, account_id: str) -> tuple[Row, Row, int]:
    """Everything that is stored of an account, and how many events tell of it."""
    return account_of(database, account_id), credentials_of(database, account_id), len(events_of(database, account_id))


def claim_again(database: Database, user_id: str, account_id: str) -> None:
    assert list(claim(database, NOW + LEASE, owner="another")) == [account_id]


TAKEN_BY = [claim_again, connect_again, disconnect, mark]


@pytest.mark.parametrize("take", TAKEN_BY, ids=lambda take: take.__name__)
def test_who_lost_the_lease_writes_nothing(database: Database, user_id: str, take: Any) -> None:
    account_id = connect(database, user_id)
    claim(database)
    take(database, user_id, account_id)
    before = all_of(database, account_id)

    written = finish(
        database, account_id, renewal=renewal(), subscription=SubscriptionCheck(NOW), usage=(Usage("app", 5),)
    )

    assert written is None
    assert end(database, account_id) is None
    release(database, account_id, not_before=NOW + DAY, usage=(Usage("app", 5),))
    assert all_of(database, account_id) == before
    assert usage_of(database, account_id) == {}


def test_a_refresh_that_is_late_is_written_as_long_as_nobody_took_its_lease(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim(database)

    written = finish(database, account_id, at=NOW + 2 * LEASE, renewal=renewal())

    assert written is not None
    assert credentials_of(database, account_id)["access_token_ciphertext"] == "new-access-ciphertext"


def test_finish_refresh_is_idempotent(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim(database)
    first = finish(database, account_id, renewal=renewal())
    before = all_of(database, account_id)

    again = finish(database, account_id, renewal=renewal())

    # Whoever did not get the first answer gets it now.
    assert again == first is not None
    assert all_of(database, account_id) == before


def test_an_account_that_was_deleted_meanwhile_is_let_go(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim(database)
    database.execute("delete from auth.users where id = %s", [user_id])

    assert finish(database, account_id, renewal=renewal(), usage=(Usage("app", 5),)) is None
    release(database, account_id, usage=(Usage("app", 5),))
    assert storage(database).leased("sweep", [account_id], Deadline(20)) == ()


def test_a_worker_gets_what_it_needs_of_the_accounts_whose_leases_it_holds(database: Database, user_id: str) -> None:
    account_id = connect(
        database, user_id, "facebook", person="1022", data_access_expires_at=NOW + 3 * DAY, expires_at=NOW + DAY
    )
    claim(database)

    (task,) = storage(database).leased("sweep", [account_id, str(uuid.uuid4())], Deadline(20))

    assert (task.account_id, task.user_id, task.provider) == (account_id, user_id, Provider.FACEBOOK)
    assert (task.meta_user_id, task.page_id) == ("1022", "104857600000001")
    assert task.instagram_business_id == account_of(database, account_id)["instagram_business_id"]
    assert (task.issued_at, task.expires_at, task.data_access_expires_at) == (
        NOW - 55 * DAY,
        NOW + DAY,
        NOW + 3 * DAY,
    )
    assert (task.access_token_ciphertext, task.user_token_ciphertext) == ("access-ciphertext", "user-ciphertext")
    assert not task.is_suspended


def test_leases_that_are_lost_ended_or_somebody_elses_are_left_out(database: Database, user_id: str) -> None:
    held, done, theirs, not_asked = (connect(database, user_id) for _ in range(4))
    claim(database)
    finish(database, done, renewal=renewal())
    change(database, "instagram_credentials", theirs, lease_owner="another")

    tasks = storage(database).leased("sweep", [held, done, theirs], Deadline(20))

    assert [task.account_id for task in tasks] == [held]
    assert storage(database, NOW + LEASE).leased("sweep", [held, not_asked], Deadline(20)) == ()


def test_a_refresh_replaces_the_token_moves_its_end_and_gives_the_lease_back(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    change(database, "instagram_credentials", account_id, refresh_not_before=NOW - HOUR)
    claim(database)

    written = finish(database, account_id, renewal=renewal())

    account, credentials = account_of(database, account_id), credentials_of(database, account_id)
    assert credentials["access_token_ciphertext"] == "new-access-ciphertext"
    assert credentials["expires_at"] == account["token_expires_at"] == NOW + LIFETIME
    assert credentials["last_refreshed_at"] == NOW
    assert [credentials[name] for name in ("lease_owner", "lease_expires_at", "refresh_not_before")] == [None] * 3
    assert written is not None
    assert (written.id, written.status) == (account_id, "active")
    assert datetime.fromisoformat(written.token_expires_at or "") == NOW + LIFETIME


def test_the_same_login_stored_once_more_leaves_a_refresh_that_is_under_way_or_done(
    database: Database, user_id: str
) -> None:
    """The message of a parked connection comes twice."""
    account_id = connect(database, user_id)
    again = {"instagram_business_id": account_of(database, account_id)["instagram_business_id"]}
    claim(database)

    connect(database, user_id, **again)
    written = finish(database, account_id, renewal=renewal())
    before = credentials_of(database, account_id)
    connect(database, user_id, **again)

    assert written is not None
    assert before["access_token_ciphertext"] == "new-access-ciphertext"
    assert credentials_of(database, account_id) == before
    assert account_of(database, account_id)["token_expires_at"] == NOW + LIFETIME


def test_a_token_that_meta_left_as_it_was_stays(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id, "facebook", data_access_expires_at=NOW + 50 * DAY)
    claim(database)

    finish(
        database,
        account_id,
        renewal=renewal(access_token_ciphertext=None, expires_at=NOW + 20 * DAY, data_access_expires_at=NOW + 50 * DAY),
    )

    credentials = credentials_of(database, account_id)
    assert credentials["access_token_ciphertext"] == "access-ciphertext"
    assert credentials["user_token_ciphertext"] == "user-ciphertext"
    assert credentials["data_access_expires_at"] == NOW + 50 * DAY
    assert credentials["expires_at"] == account_of(database, account_id)["token_expires_at"] == NOW + 20 * DAY


def test_both_tokens_and_both_ends_of_a_facebook_login_are_replaced(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id, "facebook")
    claim(database)

    finish(
        database,
        account_id,
        renewal=renewal(user_token_ciphertext="new-user", expires_at=None, data_access_expires_at=NOW + 90 * DAY),
    )

    credentials = credentials_of(database, account_id)
    assert credentials["access_token_ciphertext"] == "new-access-ciphertext"
    assert credentials["user_token_ciphertext"] == "new-user"
    assert credentials["data_access_expires_at"] == NOW + 90 * DAY
    assert credentials["expires_at"] is account_of(database, account_id)["token_expires_at"] is None


def test_a_refreshed_token_is_not_due_again(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim(database)
    finish(database, account_id, renewal=renewal())

    assert not is_due(database, account_id, NOW + LIFETIME - LEAD - SPREAD)
    assert is_due(database, account_id, NOW + LIFETIME - LEAD)


@pytest.mark.parametrize(
    ("check", "subscribed_at", "error"),
    [
        (SubscriptionCheck(), NOW - 9 * DAY, None),
        (SubscriptionCheck(subscribed_at=NOW), NOW, None),
        (SubscriptionCheck(error="META_UNAVAILABLE"), NOW - 9 * DAY, "META_UNAVAILABLE"),
    ],
)
def test_a_check_of_webhooks_changes_nothing_of_the_token(
    database: Database, user_id: str, check: SubscriptionCheck, subscribed_at: datetime, error: str | None
) -> None:
    account_id = connect(database, user_id, webhook_subscribed_at=NOW - 9 * DAY)
    change(database, "instagram_business_accounts", account_id, webhook_subscription_error="PERMISSION_MISSING")
    claim(database)
    before = credentials_of(database, account_id)

    finish(database, account_id, subscription=check)

    account, credentials = account_of(database, account_id), credentials_of(database, account_id)
    changed = {name for name in credentials if credentials[name] != before[name]}
    assert changed == {"lease_owner", "lease_expires_at"}
    assert account["token_expires_at"] == credentials["expires_at"]
    assert (account["webhook_checked_at"], account["webhook_subscribed_at"]) == (NOW, subscribed_at)
    assert account["webhook_subscription_error"] == error


def test_a_refresh_without_a_check_says_nothing_of_webhooks(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    change(database, "instagram_business_accounts", account_id, webhook_subscription_error="PERMISSION_MISSING")
    claim(database)

    finish(database, account_id, renewal=renewal())

    account = account_of(database, account_id)
    assert (account["webhook_checked_at"], account["webhook_subscription_error"]) == (None, "PERMISSION_MISSING")


def test_a_user_is_asked_to_connect_again_and_told_once(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id, "facebook")
    request = renewal(reconnect=REQUEST)
    claim(database, owner="first")
    finish(database, account_id, owner="first", renewal=request)
    claim(database, NOW + 8 * DAY, owner="second")

    written = finish(database, account_id, owner="second", renewal=request)

    account = account_of(database, account_id)
    (event,) = events_of(database, account_id)
    assert written is not None
    assert (written.reconnect_reason, written.reconnect_hint) == ("LOGIN_ENDS", "The login ends soon.")
    assert written.reconnect_before == account["reconnect_before"] == NOW + 9 * DAY
    assert (written.status, account["reconnect_reason"]) == ("active", "LOGIN_ENDS")
    assert event["type"] == "instagram.connection.reconnect_requested"
    assert (event["detail"]["reason"], event["detail"]["businessAccountId"]) == ("LOGIN_ENDS", account_id)
    assert datetime.fromisoformat(event["detail"]["reconnectBefore"]) == NOW + 9 * DAY


def test_what_a_user_was_asked_is_taken_back_once_nothing_ends(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id, "facebook")
    claim(database, owner="first")
    finish(database, account_id, owner="first", renewal=renewal(reconnect=REQUEST))
    claim(database, NOW + 8 * DAY, owner="second")

    written = finish(database, account_id, owner="second", renewal=renewal())

    assert written is not None
    assert (written.reconnect_reason, written.reconnect_hint, written.reconnect_before) == (None, None, None)


def test_a_check_of_webhooks_does_not_take_back_what_a_user_was_asked(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id, "facebook")
    claim(database, owner="first")
    finish(database, account_id, owner="first", renewal=renewal(reconnect=REQUEST))
    claim(database, NOW + 2 * DAY, owner="second", rules=RULES)

    written = finish(database, account_id, owner="second", subscription=SubscriptionCheck())

    assert written is not None
    assert (written.reconnect_reason, written.reconnect_before) == ("LOGIN_ENDS", NOW + 9 * DAY)


def test_a_dead_token_is_marked_once_and_announced_once(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id, reconnect_before=None)
    change(database, "instagram_business_accounts", account_id, reconnect_before=NOW + DAY)
    claim(database)

    first, second = end(database, account_id), end(database, account_id)

    credentials, account = credentials_of(database, account_id), account_of(database, account_id)
    (event,) = events_of(database, account_id)
    assert second is None
    assert first is not None
    assert (first.status, first.reconnect_reason) == ("needs_reauth", "PASSWORD_CHANGED")
    assert first.reconnect_hint == PASSWORD_CHANGED.hint
    assert (account["status"], account["reconnect_before"]) == ("needs_reauth", None)
    assert (credentials["status"], credentials["failed_at"]) == ("needs_reauth", NOW)
    assert (credentials["failure_code"], credentials["failure_subcode"]) == (190, 460)
    assert (credentials["lease_owner"], credentials["lease_expires_at"]) == (None, None)
    # Disconnecting tells Meta with it.
    assert credentials["access_token_ciphertext"] == "access-ciphertext"
    assert event["type"] == "instagram.connection.needs_reauth"
    assert datetime.fromisoformat(event["detail"].pop("occurredAt")) == NOW
    assert event["detail"] == {
        "businessAccountId": account_id,
        "userId": user_id,
        "provider": "instagram",
        "instagramBusinessId": account["instagram_business_id"],
        "username": "cafe.azul",
        "reason": "PASSWORD_CHANGED",
        "hint": PASSWORD_CHANGED.hint,
        "reconnectBefore": None,
        "metaCode": 190,
        "metaSubcode": 460,
    }


def test_a_failed_transaction_leaves_neither_mark_nor_event(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim(database)
    before = all_of(database, account_id)

    with pytest.raises(psycopg.errors.DataError), database.transaction():
        call(
            database,
            "finish_refresh",
            Jsonb(
                {
                    "now": NOW.isoformat(),
                    "owner": "sweep",
                    "account_id": account_id,
                    "failure": {"code": 190, "reason": "TOKEN_INVALID"},
                    "usage": [{"usage_type": "app", "used_percent": 100_000}],
                }
            ),
        )

    assert all_of(database, account_id) == before


def test_of_each_limit_the_latest_observation_is_kept(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim(database, owner="first")
    finish(database, account_id, owner="first", usage=(Usage("app", 80), Usage("instagram", 10, 600)))
    claim(database, NOW + HOUR, owner="second")

    finish(database, account_id, owner="second", at=NOW + HOUR, usage=(Usage("app", 20),))

    assert usage_of(database, account_id) == {
        "app": (20, None, NOW + HOUR),
        "instagram": (10, NOW + timedelta(seconds=600), NOW),
    }


def test_an_account_that_is_given_back_is_claimed_again_by_the_next_sweep(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim(database)
    before = all_of(database, account_id)

    release(database, account_id, usage=(Usage("page", 7),))

    after = all_of(database, account_id)
    changed = {name for name in after[1] if after[1][name] != before[1][name]}
    assert changed == {"lease_owner", "lease_expires_at"}
    assert (after[0], after[2]) == (before[0], before[2])
    assert usage_of(database, account_id) == {"page": (7, None, NOW)}
    assert list(claim(database, NOW + MINUTE, owner="next")) == [account_id]


def test_an_account_that_is_given_back_for_later_is_left_alone_until_then(database: Database, user_id: str) -> None:
    account_id, other_id = (connect(database, user_id) for _ in range(2))
    claim(database)
    repository = storage(database)

    repository.release(
        "sweep",
        [repository.released(account_id, not_before=NOW + 3 * HOUR), repository.released(other_id)],
        Deadline(20),
    )

    assert not is_due(database, account_id, NOW + 3 * HOUR - MINUTE)
    assert is_due(database, account_id, NOW + 3 * HOUR + MINUTE)
    assert is_due(database, other_id, NOW + MINUTE)


def test_giving_back_without_a_time_forgets_none_that_was_set(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim(database)
    change(database, "instagram_credentials", account_id, refresh_not_before=NOW + HOUR)

    release(database, account_id)

    assert credentials_of(database, account_id)["refresh_not_before"] == NOW + HOUR


def finish_kept(database: Database, account_id: str, **changes: Any) -> Account | None:
    """Writes, later, a refresh that storage did not take at first."""
    repository = storage(database)
    (task,) = repository.leased("sweep", [account_id], Deadline(20))
    payload = repository.finished("sweep", account_id, renewal=renewal(**changes), subscription=None, usage=())
    kept = repository.kept(payload, task)
    change(database, "instagram_credentials", account_id, lease_owner=None, lease_expires_at=None)
    return repository.finish(kept, Deadline(20))


def test_a_refresh_that_was_kept_is_written_also_without_its_lease(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim(database)

    assert finish_kept(database, account_id) is not None
    assert credentials_of(database, account_id)["access_token_ciphertext"] == "new-access-ciphertext"


def refresh_again(database: Database, user_id: str, account_id: str) -> None:
    claim(database, NOW + LEASE, owner="another")
    newer = renewal(obtained_at=NOW + LEASE, access_token_ciphertext="of-the-other")
    assert finish(database, account_id, owner="another", renewal=newer)


@pytest.mark.parametrize("take", [refresh_again, connect_again, disconnect, mark], ids=lambda take: take.__name__)
def test_a_refresh_that_was_kept_never_replaces_what_is_newer(database: Database, user_id: str, take: Any) -> None:
    account_id = connect(database, user_id)
    claim(database)
    repository = storage(database)
    (task,) = repository.leased("sweep", [account_id], Deadline(20))
    payload = repository.finished("sweep", account_id, renewal=renewal(), subscription=None, usage=())
    take(database, user_id, account_id)
    before = all_of(database, account_id)

    assert repository.finish(repository.kept(payload, task), Deadline(20)) is None
    assert all_of(database, account_id) == before


@pytest.mark.parametrize(("subcode", "is_recovered"), [(None, True), (467, True), (458, False), (460, False)])
def test_a_refresh_that_was_kept_revives_an_account_whose_former_token_died_without_a_cause_of_its_persons(
    database: Database, user_id: str, subcode: int | None, is_recovered: bool
) -> None:
    account_id = connect(database, user_id)
    claim(database)
    repository = storage(database)
    (task,) = repository.leased("sweep", [account_id], Deadline(20))
    payload = repository.finished("sweep", account_id, renewal=renewal(), subscription=None, usage=())
    failure = ReconnectRequiredError(reason="TOKEN_INVALID", log_context={"meta_code": 190, "meta_subcode": subcode})
    assert repository.end("sweep", account_id, failure, Deadline(20))

    account = repository.finish(repository.kept(payload, task), Deadline(20))

    types = sorted(event["type"] for event in events_of(database, account_id))
    shown = account_of(database, account_id)
    assert (account is not None) is is_recovered
    assert (shown["status"], shown["reconnect_reason"]) == (
        ("active", None) if is_recovered else ("needs_reauth", "TOKEN_INVALID")
    )
    assert types == ["instagram.connection.needs_reauth", *["instagram.connection.recovered"] * is_recovered]


def test_a_new_login_begins_the_record_of_refreshes_anew(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    change(
        database,
        "instagram_credentials",
        account_id,
        last_refreshed_at=NOW - DAY,
        last_attempted_at=NOW,
        refresh_not_before=NOW + DAY,
    )

    connect_again(database, user_id, account_id)

    credentials = credentials_of(database, account_id)
    assert [credentials[name] for name in ("last_refreshed_at", "last_attempted_at", "refresh_not_before")] == [
        None
    ] * 3
