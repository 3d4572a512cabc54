"""Which accounts a sweep claims, when they are due, and who holds their leases."""

import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from instagram_connect.models import Provider
from instagram_connect.refresh.models import Claim
from instagram_connect.refresh.repository import DAY_S
from tests.support.database import Database, session
from tests.support.refreshes import (
    DAY,
    HOUR,
    LEAD,
    LEASE,
    LIFETIME,
    MINUTE,
    NOW,
    RULES,
    SPREAD,
    TOKENS_ONLY,
    change,
    claim,
    connect,
    credentials_of,
    disconnect,
    is_due,
    mark,
)


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
