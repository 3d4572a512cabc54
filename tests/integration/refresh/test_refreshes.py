"""Refreshing in Postgres: who is due, who holds a lease, what came of it, what brakes, and what waits to be told."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from instagram_connect.errors import ReconnectRequiredError
from instagram_connect.meta.usage import Usage
from instagram_connect.models import Account, Provider
from instagram_connect.outbox.repository import OutboxRepository
from instagram_connect.refresh.models import Claim, EncryptedRenewal, ReconnectRequest, SubscriptionCheck
from instagram_connect.refresh.repository import DAY_S, RefreshRepository, RefreshRules
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs
from tests.support.database import Database, Postgres, add_user, call, session, stored_user

# Long before whatever other tests leave behind, so that nothing of theirs is due.
NOW = datetime(2020, 6, 1, 12, 0, 0, 123457, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
LIFETIME = 60 * DAY
RULES = RefreshRules()
LEAD, SPREAD, LEASE = (timedelta(seconds=seconds) for seconds in (RULES.lead_s, RULES.spread_s, RULES.lease_s))
# Webhooks are checked so seldom that only tokens are ever due.
TOKENS_ONLY = replace(RULES, subscription_s=3650 * DAY_S)
PASSWORD_CHANGED = ReconnectRequiredError(
    reason="PASSWORD_CHANGED", log_context={"meta_code": 190, "meta_subcode": 460}
)

Row = dict[str, Any]


@pytest.fixture
def database(database: Database) -> Database:
    """With nothing in it that other tests left behind."""
    database.execute("delete from auth.users")
    database.execute("delete from refresh_brakes")
    return database


def storage(database: Database, at: datetime = NOW, rules: RefreshRules = TOKENS_ONLY) -> RefreshRepository:
    """Storage as it is used at a time."""
    return RefreshRepository(Postgres(database), lambda: at, rules)


def outbox(database: Database, at: datetime = NOW) -> OutboxRepository:
    """The events that wait, as they are seen at a time."""
    return OutboxRepository(Postgres(database), lambda: at)


def connect(
    database: Database,
    user_id: str,
    provider: str = "instagram",
    *,
    age: timedelta = 55 * DAY,
    person: str | None = None,
    instagram_business_id: str | None = None,
    **changes: Any,
) -> str:
    """Stores an account as a login of this age does; its id. One of 55 days is due in any place of the spread."""
    account = {
        "instagram_business_id": instagram_business_id or f"1784{uuid.uuid4().int % 10**13:013}",
        "username": "cafe.azul",
        "page_id": "104857600000001" if provider == "facebook" else None,
        "access_token_ciphertext": "access-ciphertext",
        "user_token_ciphertext": "user-ciphertext" if provider == "facebook" else None,
        "issued_at": (NOW - age).isoformat(),
        "expires_at": (NOW - age + LIFETIME).isoformat(),
        **{name: iso(value) for name, value in changes.items()},
    }
    payload = {
        "user_id": user_id,
        "provider": provider,
        "meta_user_id": person,
        "request_id": "r-connect",
        "accounts": [account],
    }
    (stored,) = call(database, "store_connection", Jsonb(payload))
    return str(stored["id"])


def iso(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def change(database: Database, table: LiteralString, account_id: str, **columns: Any) -> None:
    """Sets columns of an account's row, in whichever table."""
    key = "id" if table == "instagram_business_accounts" else "business_account_id"
    query = sql.SQL("update {} set {} where {} = %s").format(
        sql.Identifier(table),
        sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in columns),
        sql.Identifier(key),
    )
    database.execute(query, [*columns.values(), account_id])


def account_of(database: Database, account_id: str) -> Row:
    row = database.execute("select * from instagram_business_accounts where id = %s", [account_id]).fetchone()
    assert row is not None
    return row


def credentials_of(database: Database, account_id: str) -> Row:
    row = database.execute(
        "select *, spread_place(business_account_id) from instagram_credentials where business_account_id = %s",
        [account_id],
    ).fetchone()
    assert row is not None
    return row


def all_of(database: Database, account_id: str) -> tuple[Row, Row, int]:
    """Everything that is stored of an account, and how many events tell of it."""
    return account_of(database, account_id), credentials_of(database, account_id), len(events_of(database, account_id))


def events_of(database: Database, account_id: str) -> list[Row]:
    return database.execute(
        "select type, detail from outgoing_events where business_account_id = %s order by created_at", [account_id]
    ).fetchall()


def usage_of(database: Database, account_id: str) -> dict[str, tuple[int, datetime | None, datetime]]:
    rows = database.execute("select * from api_usage where business_account_id = %s", [account_id]).fetchall()
    assert len({row["usage_type"] for row in rows}) == len(rows)
    return {row["usage_type"]: (row["used_percent"], row["regain_access_at"], row["observed_at"]) for row in rows}


def brake_of(database: Database, provider: Provider) -> Row:
    row = database.execute("select * from refresh_brakes where provider = %s", [provider]).fetchone()
    assert row is not None
    return row


def claim(
    database: Database,
    at: datetime = NOW,
    *,
    owner: str = "sweep",
    limit: int = 1000,
    rules: RefreshRules = TOKENS_ONLY,
) -> dict[str, Claim]:
    claims = storage(database, at, rules).claim(owner, limit, Deadline(20))
    assert len({claim.account_id for claim in claims}) == len(claims)
    return {claim.account_id: claim for claim in claims}


def is_due(database: Database, account_id: str, at: datetime, rules: RefreshRules = TOKENS_ONLY) -> bool:
    """Whether a sweep would claim an account, which stays as it was."""
    savepoint = database.transaction(force_rollback=True)
    with savepoint:
        return account_id in claim(database, at, rules=rules)


def renewal(**changes: Any) -> EncryptedRenewal:
    values: dict[str, Any] = {
        "obtained_at": NOW,
        "access_token_ciphertext": "new-access-ciphertext",
        "user_token_ciphertext": None,
        "expires_at": NOW + LIFETIME,
        "data_access_expires_at": None,
        "reconnect": None,
        **changes,
    }
    return EncryptedRenewal(**values)


def finish(
    database: Database,
    account_id: str,
    *,
    owner: str = "sweep",
    at: datetime = NOW,
    renewal: EncryptedRenewal | None = None,
    subscription: SubscriptionCheck | None = None,
    usage: tuple[Usage, ...] = (),
    not_before: datetime | None = None,
) -> Account | None:
    repository = storage(database, at)
    payload = repository.finished(
        owner, account_id, renewal=renewal, subscription=subscription, usage=usage, not_before=not_before
    )
    return repository.finish(payload, Deadline(20))


def end(database: Database, account_id: str, owner: str = "sweep") -> Account | None:
    return storage(database).end(owner, account_id, PASSWORD_CHANGED, Deadline(20))


def release(database: Database, account_id: str, *, owner: str = "sweep", **told: Any) -> None:
    repository = storage(database)
    repository.release(owner, [repository.released(account_id, **told)], Deadline(20))


def disconnect(database: Database, user_id: str, account_id: str) -> None:
    payload = {"user_id": user_id, "account_id": account_id, "request_id": "r-disconnect"}
    call(database, "disconnect_account", Jsonb(payload))


def mark(database: Database, user_id: str, account_id: str, **changes: Any) -> Any:
    payload = {
        "user_id": user_id,
        "instagram_business_ids": [account_of(database, account_id)["instagram_business_id"]],
        "issued_at": NOW.isoformat(),
        "failure_code": 190,
        "failure_subcode": 460,
        "reason": "PASSWORD_CHANGED",
        "hint": "The password was changed.",
        **changes,
    }
    return call(database, "mark_needs_reauth", Jsonb(payload))


# Who is due


def test_an_instagram_token_is_due_a_lead_and_its_place_in_the_spread_before_its_end(
    database: Database, user_id: str
) -> None:
    account_id = connect(database, user_id, age=DAY * 40)
    credentials = credentials_of(database, account_id)

    due_at = credentials["expires_at"] - LEAD - SPREAD * credentials["spread_place"]

    assert 0 <= credentials["spread_place"] < 1
    assert not is_due(database, account_id, due_at - MINUTE)
    assert is_due(database, account_id, due_at + MINUTE)


def test_accounts_of_one_login_are_spread_over_the_whole_spread(database: Database, user_id: str) -> None:
    for _ in range(200):
        connect(database, user_id)

    places = database.execute("select spread_place(business_account_id) from instagram_credentials").fetchall()

    assert min(row["spread_place"] for row in places) < 0.2
    assert max(row["spread_place"] for row in places) > 0.8


def test_a_token_that_has_just_ended_is_still_tried(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id, age=LIFETIME + HOUR)

    assert is_due(database, account_id, NOW)


@pytest.mark.parametrize("provider", ["instagram", "facebook"])
@pytest.mark.parametrize("column", ["issued_at", "last_refreshed_at"])
def test_no_token_is_refreshed_in_its_first_24_hours_however_near_its_end(
    database: Database, user_id: str, provider: str, column: str
) -> None:
    account_id = connect(database, user_id, provider, expires_at=NOW + 2 * DAY)
    change(database, "instagram_credentials", account_id, **{column: NOW})

    assert not is_due(database, account_id, NOW + DAY - MINUTE)
    assert is_due(database, account_id, NOW + DAY + MINUTE)


def test_a_token_that_ends_in_sixty_days_is_new_whatever_the_age_of_its_login(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id, expires_at=NOW + LIFETIME)
    long_lead = replace(TOKENS_ONLY, lead_s=70 * DAY_S)

    assert not is_due(database, account_id, NOW + DAY - MINUTE, long_lead)
    assert is_due(database, account_id, NOW + DAY + MINUTE, long_lead)


@pytest.mark.parametrize(
    ("provider", "expires_at"), [("facebook", NOW + LIFETIME), ("facebook", None), ("instagram", None)]
)
@pytest.mark.parametrize("is_refreshed", [False, True])
def test_a_login_that_meta_may_end_at_any_time_is_checked_every_week(
    database: Database, user_id: str, provider: str, expires_at: datetime | None, is_refreshed: bool
) -> None:
    account_id = connect(database, user_id, provider, age=30 * DAY if is_refreshed else timedelta(0))
    change(database, "instagram_credentials", account_id, expires_at=expires_at)
    if is_refreshed:
        change(database, "instagram_credentials", account_id, last_refreshed_at=NOW)

    due_at = NOW + 7 * DAY - DAY * credentials_of(database, account_id)["spread_place"]

    assert not is_due(database, account_id, due_at - MINUTE)
    assert is_due(database, account_id, due_at + MINUTE)


@pytest.mark.parametrize("ending", ["expires_at", "data_access_expires_at"])
def test_a_facebook_user_is_asked_ten_days_before_either_end_and_only_once(
    database: Database, user_id: str, ending: str
) -> None:
    account_id = connect(database, user_id, "facebook", expires_at=NOW + 50 * DAY)
    ends = {"expires_at": NOW + 40 * DAY, "data_access_expires_at": NOW + 45 * DAY, ending: NOW + 12 * DAY}
    change(database, "instagram_credentials", account_id, last_refreshed_at=NOW - DAY, **ends)

    assert not is_due(database, account_id, NOW + 2 * DAY - MINUTE)
    assert is_due(database, account_id, NOW + 2 * DAY + MINUTE)
    change(database, "instagram_business_accounts", account_id, reconnect_before=NOW + 12 * DAY)
    assert not is_due(database, account_id, NOW + 2 * DAY + MINUTE)


@pytest.mark.parametrize("is_checked", [False, True])
def test_webhooks_are_checked_daily_without_touching_the_token(
    database: Database, user_id: str, is_checked: bool
) -> None:
    account_id = connect(database, user_id, age=5 * DAY if is_checked else timedelta(0))
    if is_checked:
        change(database, "instagram_business_accounts", account_id, webhook_checked_at=NOW)

    due_at = NOW + DAY - DAY / 5 * credentials_of(database, account_id)["spread_place"]

    assert not is_due(database, account_id, due_at - MINUTE, RULES)
    claimed = claim(database, due_at + MINUTE, rules=RULES)[account_id]
    assert (claimed.renew, claimed.check_subscription) == (False, True)


def test_what_is_due_of_an_account_comes_in_one_claim(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)

    (claimed,) = claim(database, rules=RULES).values()

    assert claimed == Claim(account_id=account_id, provider=Provider.INSTAGRAM, renew=True, check_subscription=True)


def test_an_account_that_is_not_due_is_not_claimed(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id, age=30 * DAY)
    change(database, "instagram_business_accounts", account_id, webhook_checked_at=NOW - HOUR)

    assert claim(database, rules=RULES) == {}


def test_only_living_connections_are_claimed(database: Database, user_id: str) -> None:
    dead, disconnected, living = (connect(database, user_id) for _ in range(3))
    mark(database, user_id, dead)
    disconnect(database, user_id, disconnected)

    assert list(claim(database, rules=RULES)) == [living]


def test_an_account_that_is_left_alone_until_a_time_is_due_then(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    change(database, "instagram_credentials", account_id, refresh_not_before=NOW + HOUR)

    assert not is_due(database, account_id, NOW + HOUR - MINUTE, RULES)
    assert is_due(database, account_id, NOW + HOUR + MINUTE, RULES)


def test_a_claim_takes_no_more_than_its_limit_tokens_first_and_last_what_was_tried_before(
    database: Database, user_id: str
) -> None:
    webhooks = connect(database, user_id, age=5 * DAY)
    late, later, latest = (connect(database, user_id, age=55 * DAY + days * 5 * DAY) for days in (0, 1, 2))

    change(database, "instagram_credentials", latest, last_attempted_at=NOW - DAY)

    claimed = [list(claim(database, limit=1, owner=f"sweep-{n}", rules=RULES)) for n in range(5)]

    assert claimed == [[later], [late], [latest], [webhooks], []]


# Leases


def test_a_claimed_account_is_leased_to_its_claimer(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)

    claim(database)

    credentials = credentials_of(database, account_id)
    assert (credentials["lease_owner"], credentials["lease_expires_at"]) == ("sweep", NOW + LEASE)
    assert credentials["last_attempted_at"] == NOW


def test_a_lease_that_ended_is_claimed_again_and_no_other(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim(database, owner="first")

    assert claim(database, NOW + LEASE - MINUTE, owner="second") == {}
    assert list(claim(database, NOW + LEASE, owner="third")) == [account_id]
    assert credentials_of(database, account_id)["lease_owner"] == "third"


@pytest.fixture
def shared(stack: dict[str, str]) -> Iterator[tuple[Database, str]]:
    """A user whom other sessions see, without brakes."""
    with stored_user(stack) as (database, user_id):
        database.execute("delete from refresh_brakes")
        yield database, user_id


def test_two_claims_at_once_share_without_waiting_or_doubling(
    stack: dict[str, str], shared: tuple[Database, str]
) -> None:
    database, user_id = shared
    accounts = {connect(database, user_id) for _ in range(6)}

    with session(stack) as other:
        other.execute("set statement_timeout = '5s'")
        with database.transaction():
            mine = set(claim(database, owner="mine", limit=4))
            theirs = set(claim(other, owner="theirs"))
        left = claim(other, owner="theirs")

    assert (len(mine), mine | theirs, mine & theirs) == (4, accounts, set())
    assert left == {}


def test_many_claims_at_once_double_nothing_and_leave_nothing(
    stack: dict[str, str], shared: tuple[Database, str]
) -> None:
    database, user_id = shared
    accounts = {connect(database, user_id) for _ in range(60)}
    together = threading.Barrier(4)
    claimed: list[str] = []

    def sweep(owner: str) -> None:
        with session(stack) as other:
            together.wait(10)
            for _ in range(30):
                claimed.extend(claim(other, owner=owner, limit=2))

    threads = [threading.Thread(target=sweep, args=[f"sweep-{number}"]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(claimed) == len(set(claimed))
    assert set(claimed) == accounts


def claim_again(database: Database, user_id: str, account_id: str) -> None:
    assert list(claim(database, NOW + LEASE, owner="another")) == [account_id]


def connect_again(database: Database, user_id: str, account_id: str) -> None:
    known = account_of(database, account_id)["instagram_business_id"]
    connect(database, user_id, age=timedelta(0), instagram_business_id=known, access_token_ciphertext="of-the-login")


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


def test_what_is_written_twice_is_written_once(database: Database, user_id: str) -> None:
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


# What came of it


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


REQUEST = ReconnectRequest(NOW + 9 * DAY, "LOGIN_ENDS", "The login ends soon.")


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


# Brakes


def test_while_calls_are_scarce_tokens_come_before_webhooks(database: Database, user_id: str) -> None:
    for _ in range(3):
        connect(database, user_id, age=5 * DAY)
    ending = connect(database, user_id)
    change(database, "instagram_credentials", ending, last_attempted_at=NOW - HOUR)
    storage(database).brake(Provider.INSTAGRAM, 80, None, Deadline(20))

    assert ending in claim(database, rules=replace(RULES, slow_limit=2))


def test_what_was_claimed_before_a_pause_is_not_worked_on_in_it(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim(database)
    storage(database).brake(Provider.INSTAGRAM, 95, NOW + MINUTE, Deadline(20))

    assert storage(database).leased("sweep", [account_id], Deadline(20)) == ()
    assert len(storage(database, NOW + MINUTE).leased("sweep", [account_id], Deadline(20))) == 1


def test_a_suspension_can_be_ended_without_a_refresh(database: Database) -> None:
    storage(database).suspend(Provider.INSTAGRAM, "reason", Deadline(20))

    storage(database).resume(Provider.INSTAGRAM, Deadline(20))

    brake = brake_of(database, Provider.INSTAGRAM)
    assert (brake["suspended_at"], brake["suspended_reason"]) == (None, None)


def test_a_paused_product_gives_none_until_its_pause_ends_and_the_other_all(database: Database, user_id: str) -> None:
    paused, free = connect(database, user_id, "instagram"), connect(database, user_id, "facebook")
    storage(database).brake(Provider.INSTAGRAM, 95, NOW + HOUR, Deadline(20))

    assert not is_due(database, paused, NOW + HOUR - MINUTE, RULES)
    assert is_due(database, free, NOW, RULES)
    assert is_due(database, paused, NOW + HOUR, RULES)


def test_a_pause_is_never_shortened(database: Database) -> None:
    storage(database).brake(Provider.INSTAGRAM, 95, NOW + 2 * HOUR, Deadline(20))

    storage(database).brake(Provider.INSTAGRAM, 91, NOW + HOUR, Deadline(20))
    storage(database).brake(Provider.INSTAGRAM, None, None, Deadline(20))

    brake = brake_of(database, Provider.INSTAGRAM)
    assert (brake["paused_until"], brake["app_used_percent"], brake["app_used_at"]) == (NOW + 2 * HOUR, 91, NOW)


def test_a_suspended_product_gives_one_probe_after_the_other_and_checks_no_webhooks(
    database: Database, user_id: str
) -> None:
    accounts = {connect(database, user_id) for _ in range(3)}
    connect(database, user_id, age=5 * DAY)  # only its webhooks are due
    free = connect(database, user_id, "facebook")
    storage(database).suspend(Provider.INSTAGRAM, "190/- TOKEN_INVALID", Deadline(20))

    probes: list[str] = []
    for sweep in range(4):
        at = NOW + sweep * HOUR
        claimed = claim(database, at, owner="sweep", rules=RULES)
        (probe,) = [entry for entry in claimed.values() if entry.provider is Provider.INSTAGRAM]
        assert (probe.renew, probe.check_subscription) == (True, False)
        assert free in claimed
        (task,) = storage(database, at).leased("sweep", [probe.account_id], Deadline(20))
        assert task.is_suspended
        release(database, probe.account_id)
        probes.append(probe.account_id)

    assert set(probes[:3]) == accounts
    assert probes[3] == probes[0]


def test_each_claim_of_a_suspended_product_gets_one_probe_that_nobody_has(database: Database, user_id: str) -> None:
    for _ in range(3):
        connect(database, user_id)
    storage(database).suspend(Provider.INSTAGRAM, "190/- TOKEN_INVALID", Deadline(20))

    first, second = claim(database), claim(database, owner="another")

    assert (len(first), len(second), len({*first, *second})) == (1, 1, 2)


def test_the_first_suspension_is_told_from_those_that_repeat_it(database: Database) -> None:
    first = storage(database).suspend(Provider.INSTAGRAM, "the first", Deadline(20))
    second = storage(database, NOW + HOUR).suspend(Provider.INSTAGRAM, "the second", Deadline(20))

    brake = brake_of(database, Provider.INSTAGRAM)
    assert (first, second) == (True, False)
    assert (brake["suspended_at"], brake["suspended_reason"]) == (NOW, "the second")


def test_a_brake_does_not_suspend_and_a_suspension_keeps_what_is_known_of_limits(database: Database) -> None:
    storage(database).brake(Provider.INSTAGRAM, 80, None, Deadline(20))
    assert brake_of(database, Provider.INSTAGRAM)["suspended_at"] is None

    storage(database, NOW + HOUR).suspend(Provider.INSTAGRAM, "reason", Deadline(20))

    brake = brake_of(database, Provider.INSTAGRAM)
    assert (brake["app_used_percent"], brake["app_used_at"]) == (80, NOW)


def test_only_a_token_that_was_renewed_ends_a_suspension_and_only_its_products(
    database: Database, user_id: str
) -> None:
    checked, ended, released, renewed = (connect(database, user_id) for _ in range(4))
    claim(database)
    for provider in Provider:
        storage(database).suspend(provider, "reason", Deadline(20))

    finish(database, checked, subscription=SubscriptionCheck())
    end(database, ended)
    release(database, released)
    still = brake_of(database, Provider.INSTAGRAM)["suspended_at"]
    finish(database, renewed, renewal=renewal())

    brake = brake_of(database, Provider.INSTAGRAM)
    assert still == NOW
    assert (brake["suspended_at"], brake["suspended_reason"]) == (None, None)
    assert brake_of(database, Provider.FACEBOOK)["suspended_at"] == NOW
    assert storage(database).suspend(Provider.INSTAGRAM, "reason", Deadline(20))


@pytest.mark.parametrize(
    ("percent", "later", "claimed"),
    [(75, timedelta(0), 2), (100, 59 * MINUTE, 2), (74, timedelta(0), 5), (100, 61 * MINUTE, 5)],
)
def test_few_accounts_are_claimed_while_calls_are_scarce(
    database: Database, user_id: str, percent: int, later: timedelta, claimed: int
) -> None:
    for _ in range(5):
        connect(database, user_id, "instagram")
    free = {connect(database, user_id, "facebook") for _ in range(5)}
    storage(database).brake(Provider.INSTAGRAM, percent, None, Deadline(20))

    found = claim(database, NOW + later, rules=replace(TOKENS_ONLY, slow_limit=2))

    assert len(set(found) - free) == claimed
    assert free <= set(found)


# One account of a user


def claim_one(database: Database, account_id: str, user_id: str, at: datetime = NOW, owner: str = "tab") -> Any:
    return storage(database, at).claim_one(account_id, user_id=user_id, owner=owner, lease_s=60, deadline=Deadline(20))


def test_a_user_may_have_an_account_refreshed_before_it_is_due(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id, age=2 * DAY)

    found = claim_one(database, account_id, user_id)

    credentials = credentials_of(database, account_id)
    assert (found.state, found.possible_from, found.last_refreshed_at) == ("claimed", None, None)
    assert (found.account.id, found.task.account_id) == (account_id, account_id)
    assert found.task.access_token_ciphertext == "access-ciphertext"
    assert (credentials["lease_owner"], credentials["lease_expires_at"]) == ("tab", NOW + MINUTE)
    assert credentials["last_attempted_at"] == NOW


def test_a_claim_of_a_user_is_written_and_given_back_as_one_of_the_sweep(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim_one(database, account_id, user_id)

    written = finish(database, account_id, owner="tab", renewal=renewal())

    assert written is not None
    assert claim_one(database, account_id, user_id).last_refreshed_at == NOW


@pytest.mark.parametrize("is_sweep", [True, False])
def test_an_account_that_somebody_works_on_is_not_claimed_until_the_lease_ends(
    database: Database, user_id: str, is_sweep: bool
) -> None:
    account_id = connect(database, user_id)
    if is_sweep:
        claim(database, owner="other", rules=replace(TOKENS_ONLY, lease_s=60))
    else:
        claim_one(database, account_id, user_id, owner="other")

    found = claim_one(database, account_id, user_id)
    assert (found.state, found.task) == ("leased", None)
    assert credentials_of(database, account_id)["lease_owner"] == "other"
    assert claim_one(database, account_id, user_id, NOW + MINUTE).state == "claimed"


def test_a_sweep_leaves_an_account_to_the_user_who_has_it(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim_one(database, account_id, user_id)

    assert claim(database) == {}


@pytest.mark.parametrize("column", ["issued_at", "last_refreshed_at"])
def test_a_token_of_today_is_too_young_and_it_is_told_from_when_it_is_not(
    database: Database, user_id: str, column: str
) -> None:
    account_id = connect(database, user_id, age=2 * DAY)
    change(database, "instagram_credentials", account_id, **{column: NOW - HOUR})

    found = claim_one(database, account_id, user_id)

    assert (found.state, found.task, found.possible_from) == ("too_young", None, NOW + 23 * HOUR)
    assert credentials_of(database, account_id)["lease_owner"] is None
    assert claim_one(database, account_id, user_id, NOW + 23 * HOUR).state == "claimed"


def test_while_a_product_is_paused_no_user_may_call_either(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    storage(database).brake(Provider.INSTAGRAM, 95, NOW + HOUR, Deadline(20))

    found = claim_one(database, account_id, user_id)

    assert (found.state, found.task, found.possible_from) == ("paused", None, NOW + HOUR)
    assert claim_one(database, account_id, user_id, NOW + HOUR).state == "claimed"


def test_an_account_that_is_left_alone_until_a_time_is_so_for_its_user_too(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    change(database, "instagram_credentials", account_id, refresh_not_before=NOW + HOUR)

    found = claim_one(database, account_id, user_id)

    assert (found.state, found.task, found.possible_from) == ("paused", None, NOW + HOUR)
    assert claim_one(database, account_id, user_id, NOW + HOUR).state == "claimed"


def test_a_user_of_a_suspended_product_may_try(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    storage(database).suspend(Provider.INSTAGRAM, "reason", Deadline(20))

    found = claim_one(database, account_id, user_id)

    assert found.state == "claimed"
    assert found.task.is_suspended


def test_an_account_whose_token_is_dead_says_why(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim(database)
    end(database, account_id)

    found = claim_one(database, account_id, user_id)

    assert (found.state, found.task) == ("needs_reauth", None)
    assert (found.reconnect_reason, found.account.reconnect_reason) == ("PASSWORD_CHANGED", "PASSWORD_CHANGED")


def test_a_disconnected_account_is_not_claimed(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    disconnect(database, user_id, account_id)

    found = claim_one(database, account_id, user_id)

    assert (found.state, found.task, found.account.status) == ("disconnected", None, "disconnected")


def test_somebody_elses_account_is_none(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)

    assert claim_one(database, account_id, add_user(database)) is None
    assert claim_one(database, str(uuid.uuid4()), user_id) is None
    assert credentials_of(database, account_id)["lease_owner"] is None


def test_of_two_tabs_at_once_one_gets_the_account(stack: dict[str, str], shared: tuple[Database, str]) -> None:
    database, user_id = shared
    account_id = connect(database, user_id)
    together = threading.Barrier(4)
    states: list[str] = []

    def click(owner: str) -> None:
        with session(stack) as other:
            together.wait(10)
            states.append(claim_one(other, account_id, user_id, owner=owner).state)

    tabs = [threading.Thread(target=click, args=[f"tab-{number}"]) for number in range(4)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()

    assert sorted(states) == ["claimed", "leased", "leased", "leased"]


# Witnesses


def test_witnesses_are_living_accounts_of_other_people_most_recently_alive_first(
    database: Database, user_id: str
) -> None:
    connect(database, user_id, person="accused")
    connect(database, user_id, "facebook", person="of another product")
    dead = connect(database, user_id, person="dead")
    mark(database, user_id, dead)
    old = connect(database, user_id, person="old")
    new = connect(database, user_id, person="new", age=5 * DAY)
    refreshed = connect(database, user_id, person="refreshed")
    change(database, "instagram_credentials", refreshed, last_refreshed_at=NOW - DAY)

    def witnesses(limit: int) -> list[str]:
        found = storage(database).witnesses(Provider.INSTAGRAM, {"accused"}, limit, Deadline(20))
        return [witness.account_id for witness in found]

    assert witnesses(9) == [refreshed, new, old]
    assert witnesses(2) == [refreshed, new]
    assert credentials_of(database, refreshed)["lease_owner"] is None


def test_each_person_is_a_witness_once(database: Database, user_id: str) -> None:
    agency = [connect(database, user_id, person="agency", age=days * DAY) for days in range(2, 6)]
    other = connect(database, user_id, person="other")

    found = storage(database).witnesses(Provider.INSTAGRAM, set(), 2, Deadline(20))

    assert [witness.account_id for witness in found] == [agency[0], other]


def test_who_is_unknown_to_meta_is_told_apart_by_their_user(database: Database, user_id: str) -> None:
    other_id = add_user(database)
    connect(database, user_id, person=None)
    theirs = connect(database, other_id, person=None)

    found = storage(database).witnesses(Provider.INSTAGRAM, {user_id}, 9, Deadline(20))

    assert [witness.account_id for witness in found] == [theirs]


# Events


def announce(database: Database, account_id: str, *minutes: int) -> None:
    for minute in minutes:
        database.execute(
            "insert into outgoing_events (type, business_account_id, detail, created_at) values ('t', %s, %s, %s)",
            [account_id, Jsonb({"minute": minute}), NOW + minute * MINUTE],
        )


def take(database: Database, at: datetime = NOW, limit: int = 100) -> list[int]:
    events = outbox(database, at).take(limit, 60, Deadline(20))
    assert all(set(event) == {"id", "type", "detail"} for event in events)
    return [event["detail"]["minute"] for event in events]


def test_events_are_taken_the_oldest_first_and_are_anothers_after_the_lease(database: Database, user_id: str) -> None:
    announce(database, connect(database, user_id), 3, 1, 2)

    assert take(database, limit=2) == [1, 2]
    assert take(database) == [3]
    assert take(database, NOW + MINUTE - timedelta(seconds=1)) == []
    assert take(database, NOW + MINUTE) == [1, 2, 3]


def test_events_that_are_published_are_gone_and_the_others_stay(database: Database, user_id: str) -> None:
    announce(database, connect(database, user_id), 1, 2, 3)
    first, _, third = outbox(database).take(100, 60, Deadline(20))

    outbox(database).forget([first["id"], third["id"], str(uuid.uuid4())], Deadline(20))

    assert take(database, NOW + HOUR) == [2]


def test_two_publishers_at_once_share_without_waiting_or_doubling(
    stack: dict[str, str], shared: tuple[Database, str]
) -> None:
    database, user_id = shared
    announce(database, connect(database, user_id), *range(6))

    with session(stack) as other:
        other.execute("set statement_timeout = '5s'")
        with database.transaction():
            mine = take(database, limit=4)
            theirs = take(other)

    assert (mine, theirs) == ([0, 1, 2, 3], [4, 5])


def test_events_of_an_account_go_with_it(database: Database, user_id: str) -> None:
    announce(database, connect(database, user_id), 1)

    database.execute("delete from auth.users where id = %s", [user_id])

    assert take(database) == []


# The overview


def test_the_overview_counts_what_is_active_due_ended_and_asked(database: Database, user_id: str) -> None:
    fresh = connect(database, user_id, age=DAY)
    overdue = connect(database, user_id, age=53 * DAY)
    expired = connect(database, user_id, age=61 * DAY)
    asked = connect(database, user_id, "facebook", age=61 * DAY)
    dead, gone = (connect(database, user_id) for _ in range(2))
    change(database, "instagram_credentials", asked, last_refreshed_at=NOW - 2 * DAY)
    change(database, "instagram_business_accounts", asked, reconnect_before=NOW - DAY, reconnect_reason="LOGIN_ENDS")
    claim_one(database, dead, user_id)
    end(database, dead, "tab")
    disconnect(database, user_id, gone)
    storage(database).suspend(Provider.INSTAGRAM, "190/- TOKEN_INVALID", Deadline(20))
    storage(database).brake(Provider.FACEBOOK, 80, NOW - HOUR, Deadline(20))

    overview = storage(database).overview(5, Deadline(20))

    due = {
        account_id: credentials_of(database, account_id)["expires_at"]
        - LEAD
        - SPREAD * credentials_of(database, account_id)["spread_place"]
        for account_id in (fresh, overdue, expired)
    }
    due[asked] = NOW + 5 * DAY - DAY * credentials_of(database, asked)["spread_place"]
    days: dict[tuple[str, str], int] = {}
    for account_id, at in due.items():
        key = (at.date().isoformat(), "facebook" if account_id == asked else "instagram")
        days[key] = days.get(key, 0) + 1
    assert (overview["active"], overview["overdue"], overview["expired"]) == (4, 2, 1)
    assert (overview["reconnect_requested"], overview["needs_reauth"]) == (1, 1)
    assert overview["oldest_account_id"] == expired
    assert abs(datetime.fromisoformat(overview["oldest_due_at"]) - due[expired]) < timedelta(seconds=1)
    assert datetime.fromisoformat(overview["first_expiry_at"]) == NOW - DAY
    assert {(day["day"], day["provider"]): day["due"] for day in overview["due_by_day"]} == days
    (needing,) = overview["needing_their_user"]
    assert (needing["id"], needing["reconnect_reason"]) == (dead, "PASSWORD_CHANGED")
    assert overview["brakes"] == [
        {
            "provider": "facebook",
            "paused_until": None,
            "app_used_percent": 80,
            "suspended_at": None,
            "suspended_reason": None,
        },
        {
            "provider": "instagram",
            "paused_until": None,
            "app_used_percent": None,
            "suspended_at": overview["brakes"][1]["suspended_at"],
            "suspended_reason": "190/- TOKEN_INVALID",
        },
    ]
    assert datetime.fromisoformat(overview["brakes"][1]["suspended_at"]) == NOW
    assert "ciphertext" not in str(overview)


def test_the_overview_of_nothing_has_zeros_and_no_times(database: Database) -> None:
    overview = storage(database).overview(5, Deadline(20))

    assert overview == {
        "active": 0,
        "overdue": 0,
        "oldest_due_at": None,
        "oldest_account_id": None,
        "first_expiry_at": None,
        "expired": 0,
        "reconnect_requested": 0,
        "needs_reauth": 0,
        "events_waiting": 0,
        "needing_their_user": [],
        "due_by_day": [],
        "brakes": [],
    }


def test_events_that_nobody_published_for_an_hour_are_counted(database: Database, user_id: str) -> None:
    announce(database, connect(database, user_id), -61, -60, -59)

    assert storage(database).overview(0, Deadline(20))["events_waiting"] == 2


def test_the_overview_names_no_more_accounts_than_asked_for_the_latest_first(database: Database, user_id: str) -> None:
    accounts = [connect(database, user_id) for _ in range(3)]
    for number, account_id in enumerate(accounts):
        mark(database, user_id, account_id)
        change(database, "instagram_credentials", account_id, failed_at=NOW + number * MINUTE)

    shown = storage(database).overview(2, Deadline(20))

    assert [entry["id"] for entry in shown["needing_their_user"]] == [accounts[2], accounts[1]]
    assert shown["needs_reauth"] == 3
    assert storage(database).overview(0, Deadline(20))["needing_their_user"] == []


def test_an_account_is_overdue_from_the_moment_that_a_sweep_would_claim_it(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id, age=40 * DAY)
    credentials = credentials_of(database, account_id)
    due_at = credentials["expires_at"] - LEAD - SPREAD * credentials["spread_place"]

    overdue = [storage(database, due_at + wait).overview(0, Deadline(20))["overdue"] for wait in (-MINUTE, MINUTE)]

    assert overdue == [0, 1]


# What a user is asked


def asked_of(database: Database, account_id: str) -> tuple[Any, ...]:
    account = account_of(database, account_id)
    return account["reconnect_reason"], account["reconnect_hint"], account["reconnect_before"]


ASKED = ("LOGIN_ENDS", "The login ends soon.", NOW + 9 * DAY)
NOTHING = (None, None, None)


@pytest.fixture
def asked_id(database: Database, user_id: str) -> str:
    """An account whose user is asked to connect again."""
    account_id = connect(database, user_id)
    change(
        database,
        "instagram_business_accounts",
        account_id,
        **dict(zip(("reconnect_reason", "reconnect_hint", "reconnect_before"), ASKED, strict=True)),
    )
    return account_id


@pytest.mark.parametrize("answer", [connect_again, disconnect])
def test_who_connects_again_or_disconnects_is_asked_nothing(
    database: Database, user_id: str, asked_id: str, answer: Any
) -> None:
    answer(database, user_id, asked_id)

    assert asked_of(database, asked_id) == NOTHING


def test_a_new_login_of_a_dead_account_takes_its_reason_back(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    mark(database, user_id, account_id)
    assert asked_of(database, account_id) == ("PASSWORD_CHANGED", "The password was changed.", None)

    connect_again(database, user_id, account_id)

    assert asked_of(database, account_id) == NOTHING
    assert account_of(database, account_id)["status"] == "active"


def test_the_same_login_stored_once_more_and_other_changes_leave_what_is_asked(
    database: Database, user_id: str, asked_id: str
) -> None:
    known = account_of(database, asked_id)["instagram_business_id"]

    connect(database, user_id, instagram_business_id=known)
    change(database, "instagram_business_accounts", asked_id, followers_count=7, webhook_checked_at=NOW)

    assert asked_of(database, asked_id) == ASKED


def test_a_dead_token_replaces_what_was_asked(database: Database, user_id: str, asked_id: str) -> None:
    claim(database)

    end(database, asked_id)

    assert asked_of(database, asked_id) == ("PASSWORD_CHANGED", PASSWORD_CHANGED.hint, None)


def test_a_late_login_that_died_is_marked_told_and_announced_once(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)

    first, second = mark(database, user_id, account_id), mark(database, user_id, account_id, reason="TOKEN_INVALID")

    (event,) = events_of(database, account_id)
    assert (first, second) == (1, 0)
    assert asked_of(database, account_id) == ("PASSWORD_CHANGED", "The password was changed.", None)
    assert (event["type"], event["detail"]["reason"]) == ("instagram.connection.needs_reauth", "PASSWORD_CHANGED")
    assert (event["detail"]["metaCode"], event["detail"]["metaSubcode"]) == (190, 460)


def test_marking_ends_what_a_worker_is_doing_and_not_what_a_newer_login_brought(
    database: Database, user_id: str
) -> None:
    older, newer = connect(database, user_id), connect(database, user_id, age=DAY)
    claim(database)

    marked = [mark(database, user_id, entry, issued_at=(NOW - 2 * DAY).isoformat()) for entry in (older, newer)]

    assert marked == [1, 0]
    assert finish(database, older, renewal=renewal()) is None
    assert account_of(database, newer)["status"] == "active"
    assert events_of(database, newer) == []


# Who may call, and the Data API

FUNCTIONS = [
    "claim_refreshes",
    "claim_refresh",
    "leased_refreshes",
    "finish_refresh",
    "release_refreshes",
    "refresh_witnesses",
    "brake_refreshes",
    "take_events",
    "delete_events",
    "refresh_overview",
    "mark_needs_reauth",
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_called_with_null_a_function_does_nothing_and_only_for_the_backend(database: Database, function: str) -> None:
    for role in ("anon", "authenticated"):
        database.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        with pytest.raises(psycopg.errors.InsufficientPrivilege), database.transaction():
            call(database, function, None)
        database.execute("reset role")

    database.execute("set local role service_role")
    assert call(database, function, None) is None


@pytest.mark.parametrize("table", ["refresh_brakes", "outgoing_events"])
@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_nobody_else_reads_brakes_or_events(database: Database, table: str, role: str) -> None:
    database.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))

    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.transaction():
        database.execute(sql.SQL("select from {}").format(sql.Identifier("instagram_connect", table)))


def test_the_backends_role_needs_no_more_than_its_grants(database: Database, user_id: str) -> None:
    kept, dead, given_back = (connect(database, user_id, "facebook", person=str(n)) for n in range(3))
    database.execute("set local role service_role")
    repository = storage(database)

    claimed = claim(database, rules=RULES)
    repository.suspend(Provider.FACEBOOK, "reason", Deadline(20))
    repository.brake(Provider.FACEBOOK, 80, None, Deadline(20))
    witnesses = repository.witnesses(Provider.FACEBOOK, {"0"}, 9, Deadline(20))
    finish(database, kept, renewal=renewal(reconnect=REQUEST), usage=(Usage("app", 3),))
    end(database, dead)
    release(database, given_back, usage=(Usage("app", 3),))
    events = outbox(database).take(100, 60, Deadline(20))
    outbox(database).forget([event["id"] for event in events], Deadline(20))

    assert len(claimed) == 3
    assert len(witnesses) == 2
    assert len(events) == 2
    assert repository.overview(5, Deadline(20))["active"] == 2
    assert claim_one(database, dead, user_id).state == "needs_reauth"


@pytest.fixture
def through_the_data_api(stack: dict[str, str]) -> Iterator[RefreshRepository]:
    with closing(DataApi(stack["supabase_url"], stack["supabase_secret_key"])) as data_api:
        yield RefreshRepository(Rpcs(data_api), lambda: NOW, TOKENS_ONLY)


def test_through_the_data_api_an_account_is_claimed_worked_on_and_stored(
    shared: tuple[Database, str], through_the_data_api: RefreshRepository
) -> None:
    repository, deadline = through_the_data_api, Deadline(20)
    database, user_id = shared
    account_id = connect(database, user_id)

    claims = repository.claim("sweep", 10, deadline)
    tasks = repository.leased("sweep", [claim.account_id for claim in claims], deadline)
    payload = repository.finished(
        "sweep",
        account_id,
        renewal=renewal(reconnect=REQUEST),
        subscription=SubscriptionCheck(NOW),
        usage=(Usage("app", 5, 60),),
    )
    written, again = repository.finish(payload, deadline), repository.finish(payload, deadline)

    assert [task.account_id for task in tasks] == [account_id]
    assert written is not None
    assert (written.id, written.reconnect_before) == (account_id, NOW + 9 * DAY)
    assert again == written
    assert credentials_of(database, account_id)["expires_at"] == NOW + LIFETIME
    assert usage_of(database, account_id) == {"app": (5, NOW + MINUTE, NOW)}


def test_through_the_data_api_a_user_learns_why_an_account_is_not_refreshed(
    shared: tuple[Database, str], through_the_data_api: RefreshRepository
) -> None:
    repository, deadline = through_the_data_api, Deadline(20)
    database, user_id = shared
    account_id = connect(database, user_id, age=HOUR)

    def claimed(by: str) -> Any:
        return repository.claim_one(account_id, user_id=by, owner="tab", lease_s=60, deadline=deadline)

    young, stranger = claimed(user_id), claimed(str(uuid.uuid4()))

    assert (young.state, young.possible_from) == ("too_young", NOW + 23 * HOUR)
    assert stranger is None


def test_through_the_data_api_a_dead_token_is_told_and_the_leases_are_given_back(
    shared: tuple[Database, str], through_the_data_api: RefreshRepository
) -> None:
    repository, deadline = through_the_data_api, Deadline(20)
    database, user_id = shared
    dead, alive = connect(database, user_id, person="dead"), connect(database, user_id, person="alive")
    repository.claim("sweep", 10, deadline)

    ended = repository.end("sweep", dead, PASSWORD_CHANGED, deadline)
    repository.release("sweep", [repository.released(alive, not_before=NOW + DAY)], deadline)
    waiting = OutboxRepository(repository.rpcs, repository.now)
    events = [event for event in waiting.take(100, 60, deadline) if event["detail"]["userId"] == user_id]
    waiting.forget([event["id"] for event in events], deadline)

    assert ended is not None
    assert ended.reconnect_hint == PASSWORD_CHANGED.hint
    assert [event["detail"]["businessAccountId"] for event in events] == [dead]
    assert credentials_of(database, alive)["refresh_not_before"] == NOW + DAY
    assert events_of(database, dead) == []


def test_through_the_data_api_brakes_and_the_overview_are_answered(
    shared: tuple[Database, str], through_the_data_api: RefreshRepository
) -> None:
    repository, deadline = through_the_data_api, Deadline(20)
    database, _ = shared
    try:
        is_new = [repository.suspend(Provider.INSTAGRAM, "reason", deadline) for _ in range(2)]
        repository.brake(Provider.INSTAGRAM, 91, utc_now(), deadline)

        (brake,) = repository.overview(0, deadline)["brakes"]
    finally:
        database.execute("delete from refresh_brakes")

    assert is_new == [True, False]
    assert (brake["provider"], brake["app_used_percent"]) == ("instagram", 91)
