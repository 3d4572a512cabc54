"""The overview of all tokens: active, due, overdue, and users to ask."""

from datetime import datetime, timedelta

from instagram_connect.models import Provider
from instagram_connect.runtime.deadline import Deadline
from tests.support.database import Database
from tests.support.refreshes import (
    DAY,
    HOUR,
    LEAD,
    MINUTE,
    NOW,
    SPREAD,
    announce,
    change,
    claim_one,
    connect,
    credentials_of,
    disconnect,
    end,
    mark,
    storage,
)


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
