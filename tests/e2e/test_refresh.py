"""Refreshing on the deployed stack: the scheduled sweep, the workers, and accounts that cannot be refreshed."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from local.database import connect
from tests.support.app import App, Fault, User
from tests.support.deployed import EVERYTHING, consumer, function_logs, schedule_of
from tests.support.polling import eventually
from tests.support.sabotage import forget_messages, impatient_queue, kill_function

DONE_WITHIN_S = 40


@dataclass
class Keeper:
    """Ages connections, sweeps as the schedule does, and looks at what is stored."""

    app: App
    database: psycopg.Connection[dict[str, Any]]
    functions: Any
    schedule: dict[str, Any]

    def connect(self, user: User, *usernames: str) -> list[str]:
        """Ids of accounts connected by Instagram Login."""
        made = []
        for username in usernames:
            answer = self.app.exchange(user, self.app.log_in_to_instagram(username), provider="instagram")
            made.append(str(answer.raise_for_status().json()["data"]["businessAccountId"]))
        return made

    def newcomers(self, user: User, count: int) -> dict[str, str]:
        """Accounts of people who are on Instagram only: id of the row by username."""
        made = {}
        for number in range(count):
            username = f"newcomer.{number}"
            self.app.meta("POST", "/people", {"instagram": {"username": username}})
            made[username] = self.connect(user, username)[0]
        return made

    def age(self, days: float) -> None:
        """Ages every connection, here and at Meta."""
        self.app.meta("POST", "/clock", {"advance_seconds": days * 86400})
        self.database.execute(
            "update instagram_credentials set issued_at = issued_at - %(by)s, expires_at = expires_at - %(by)s, "
            "last_refreshed_at = last_refreshed_at - %(by)s, data_access_expires_at = data_access_expires_at - %(by)s",
            {"by": timedelta(days=days)},
        )
        self.database.execute(
            "update instagram_business_accounts set connected_at = connected_at - %(by)s, "
            "token_expires_at = token_expires_at - %(by)s, webhook_checked_at = now()",
            {"by": timedelta(days=days)},
        )

    def sweep(self) -> int:
        """Runs the scheduled sweep and returns the number of due accounts."""
        target = self.schedule["Target"]
        answer = self.functions.invoke(FunctionName=target["Arn"], Payload=target["Input"].encode())
        result = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, result
        return int(result["accounts"])

    def sweep_until_done(self) -> int:
        handed = self.sweep()
        assert eventually(lambda: not self.leases(), DONE_WITHIN_S)
        return handed

    def leases(self) -> int:
        row = self.database.execute("select count(*) as n from instagram_credentials where lease_owner is not null")
        return int(row.fetchone()["n"])  # type: ignore[index]

    def row(self, account_id: str) -> dict[str, Any]:
        """Everything stored of an account, as one row."""
        row = self.database.execute(
            "select credentials.*, account.status as account_status, account.token_expires_at, "
            "account.reconnect_reason, account.reconnect_hint, account.reconnect_before, account.webhook_subscribed_at "
            "from instagram_credentials as credentials "
            "join instagram_business_accounts as account on account.id = credentials.business_account_id "
            "where account.id = %s",
            [account_id],
        ).fetchone()
        assert row is not None
        return row

    def days_left(self, account_id: str) -> float:
        remaining = self.row(account_id)["expires_at"] - datetime.now(UTC)
        return float(remaining.total_seconds() / 86400)

    def refresh(self, user: User, account_id: str) -> Any:
        return self.app.call(user, "POST", "/instagram/refresh-token", {"businessAccountId": account_id})


@pytest.fixture
def keeper(app: App, aws: dict[str, Any], stack: dict[str, str]) -> Iterator[Keeper]:
    """A system without any connection: the sweep asks for all of them, and those of other tests know other tokens."""
    # Connections that are made older here were made before somebody removed the app a minute ago.
    forget_messages(aws, "PrivacyQueue")
    schedule = schedule_of(aws["client"]("scheduler"), "RefreshSweepFunction")
    with connect(stack["database_url"], autocommit=True, row_factory=dict_row) as database:
        database.execute("delete from instagram_business_accounts")
        database.execute("delete from refresh_brakes")
        yield Keeper(app, database, aws["client"]("lambda"), schedule)


@pytest.fixture
def published(aws: dict[str, Any]) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Reads what the event bus delivered to a queue of this test."""
    with consumer(aws["client"]("events"), aws["client"]("sqs"), EVERYTHING) as found:
        yield found.read


def test_sweep_is_scheduled_hourly(keeper: Keeper) -> None:
    assert keeper.schedule["ScheduleExpression"] == "rate(1 hour)"
    assert keeper.schedule["State"] == "ENABLED"


@pytest.mark.parametrize("changes_token", [True, False], ids=["a new token", "the same token, extended"])
def test_token_expiring_in_five_days_is_refreshed_by_the_sweep(keeper: Keeper, user: User, changes_token: bool) -> None:
    keeper.app.meta("POST", "/settings", {"instagram_refresh_changes_token": changes_token})
    (due,) = keeper.connect(user, "cafe.azul")
    (fresh,) = keeper.connect(user, "luz.cria")
    keeper.age(55)
    keeper.database.execute(
        "update instagram_credentials set expires_at = now() + interval '40 days' where business_account_id = %s",
        [fresh],
    )

    handed = keeper.sweep_until_done()

    assert handed == 1
    assert 59 < keeper.days_left(due) < 60.1
    assert keeper.row(due)["token_expires_at"] == keeper.row(due)["expires_at"]
    assert keeper.sweep_until_done() == 0
    assert len(keeper.app.calls("refresh_instagram_token")) == 1
    # The stored token works: it is extended again when next due.
    keeper.age(55)
    assert keeper.sweep_until_done() >= 1
    assert 59 < keeper.days_left(due) < 60.1


def test_three_meta_failures_change_nothing_and_a_later_sweep_refreshes(
    keeper: Keeper, user: User, fault: Fault
) -> None:
    (account,) = keeper.connect(user, "cafe.azul")
    keeper.age(55)
    fault(operation="refresh_instagram_token", error="server_error", times=3)
    before = keeper.row(account)

    keeper.sweep_until_done()

    after = keeper.row(account)
    assert {name: before[name] for name in before if name not in ("last_attempted_at", "updated_at")} == {
        name: after[name] for name in after if name not in ("last_attempted_at", "updated_at")
    }
    keeper.sweep_until_done()
    assert keeper.days_left(account) > 59


def test_removed_app_ends_in_needs_reauth_once_with_a_hint(
    keeper: Keeper, user: User, published: Callable[[], list[dict[str, Any]]]
) -> None:
    removed, kept = keeper.connect(user, "cafe.azul", "luz.cria")
    keeper.age(55)
    keeper.app.meta("POST", "/tokens/revoke", {"person": "cafe.azul", "reason": "app_removed"})

    keeper.sweep_until_done()
    keeper.sweep_until_done()

    row = keeper.row(removed)
    assert (row["status"], row["account_status"], row["failure_code"], row["failure_subcode"]) == (
        "needs_reauth",
        "needs_reauth",
        190,
        458,
    )
    assert row["reconnect_reason"] == "APP_REMOVED"
    assert "Connect again" in row["reconnect_hint"]
    assert keeper.days_left(kept) > 59
    assert eventually(lambda: len(published()) == 1)
    (event,) = published()
    assert event["detail-type"] == "instagram.connection.needs_reauth"
    assert event["detail"]["businessAccountId"] == removed
    assert event["detail"]["userId"] == user.id
    assert event["detail"]["reason"] == "APP_REMOVED"
    (listed,) = [a for a in _accounts(keeper.app, user) if a["id"] == removed]
    assert (listed["status"], listed["reconnectReason"]) == ("needs_reauth", "APP_REMOVED")
    assert listed["reconnectHint"] == row["reconnect_hint"]
    # Connecting again takes the request back.
    assert keeper.connect(user, "cafe.azul") == [removed]
    assert keeper.row(removed)["reconnect_reason"] is None


def test_lone_190_is_confirmed_before_the_user_is_asked(keeper: Keeper, user: User, fault: Fault) -> None:
    (account,) = keeper.connect(user, "cafe.azul")
    keeper.age(55)
    fault(operation="refresh_instagram_token", error="invalid_token", times=1)

    keeper.sweep_until_done()

    assert keeper.row(account)["account_status"] == "active"
    assert len(keeper.app.calls("read_instagram_me")) == 2  # one was the connection's
    keeper.sweep_until_done()
    assert keeper.days_left(account) > 59


@pytest.mark.parametrize(
    "outage",
    [{"host": "graph.instagram.com"}, {"operation": "refresh_instagram_token"}],
    ids=["the app is blocked", "only the refresh fails, and others work"],
)
def test_mass_failure_marks_nobody_and_refreshing_resumes_by_itself(
    keeper: Keeper, user: User, fault: Fault, outage: dict[str, str]
) -> None:
    accounts = keeper.newcomers(user, 6)
    keeper.age(55)
    keeper.connect(user, "cafe.azul", "luz.cria")
    fault(**outage, error="app_removed", times=None)

    keeper.sweep_until_done()

    states = [keeper.row(account)["account_status"] for account in accounts.values()]
    assert states == ["active"] * 6
    (brake,) = keeper.database.execute("select * from refresh_brakes").fetchall()
    assert brake["suspended_at"] is not None
    keeper.app.meta("DELETE", "/calls")
    assert keeper.sweep_until_done() == 1  # a single probe
    assert len(keeper.app.calls("refresh_instagram_token")) == 1
    keeper.app.meta("DELETE", "/faults")
    assert keeper.sweep_until_done() == 1
    assert keeper.sweep_until_done() == 5
    assert min(keeper.days_left(account) for account in accounts.values()) > 59


def test_concurrent_sweeps_refresh_each_account_exactly_once(keeper: Keeper, user: User) -> None:
    accounts = keeper.newcomers(user, 8)
    keeper.age(55)

    with ThreadPoolExecutor(2) as threads:
        handed = list(threads.map(lambda _: keeper.sweep(), range(2)))
    assert eventually(lambda: not keeper.leases(), DONE_WITHIN_S)

    assert sum(handed) == 8
    assert len(keeper.app.calls("refresh_instagram_token")) == 8
    assert min(keeper.days_left(account) for account in accounts.values()) > 59


def test_killed_worker_leaves_each_account_refreshed_exactly_once(
    keeper: Keeper, user: User, fault: Fault, aws: dict[str, Any]
) -> None:
    accounts = keeper.newcomers(user, 6)
    keeper.age(55)
    # The last one is held up while the others are done.
    fault(operation="refresh_instagram_token", account="newcomer.5", hang_seconds=60, times=1)
    with impatient_queue(aws["client"]("sqs"), "RefreshQueue", 10):
        keeper.sweep()
        assert eventually(lambda: keeper.leases() == 1, DONE_WITHIN_S)
        assert kill_function(keeper.app.stack, "refresh_worker")

        assert eventually(lambda: not keeper.leases(), DONE_WITHIN_S)

    assert min(keeper.days_left(account) for account in accounts.values()) > 59
    answered = [call for call in keeper.app.calls("refresh_instagram_token") if call["status"] == 200]
    assert len(answered) == 6


def test_facebook_tokens_are_verified_and_exchanged_weekly(keeper: Keeper, user: User) -> None:
    accounts = [account["id"] for account in keeper.app.connect(user)]
    before = {account: keeper.row(account) for account in accounts}
    keeper.age(8)

    keeper.sweep_until_done()

    for account in accounts:
        row = keeper.row(account)
        assert row["user_token_ciphertext"] != before[account]["user_token_ciphertext"]
        assert row["access_token_ciphertext"] == before[account]["access_token_ciphertext"]
        assert 51 < keeper.days_left(account) < 53  # the simulated Meta keeps the end
        assert row["reconnect_before"] is None
    assert keeper.sweep_until_done() == 0


def test_facebook_user_is_asked_to_reconnect_ten_days_before_the_login_ends(
    keeper: Keeper, user: User, published: Callable[[], list[dict[str, Any]]]
) -> None:
    account = keeper.app.connect(user)[0]["id"]
    keeper.age(51)

    keeper.sweep_until_done()

    row = keeper.row(account)
    assert (row["account_status"], row["reconnect_reason"]) == ("active", "LOGIN_ENDS")
    assert row["reconnect_before"] == row["expires_at"]
    assert eventually(lambda: len(published()) == 2)  # Ana has two accounts
    assert {event["detail-type"] for event in published()} == {"instagram.connection.reconnect_requested"}
    keeper.age(0.01)
    keeper.sweep_until_done()
    assert len(published()) == 2


def test_weekly_check_finds_a_facebook_password_change(keeper: Keeper, user: User) -> None:
    account = keeper.app.connect(user)[0]["id"]
    keeper.age(8)
    keeper.app.meta("POST", "/tokens/revoke", {"person": "Ana Souza", "reason": "password_changed"})

    keeper.sweep_until_done()

    assert (keeper.row(account)["account_status"], keeper.row(account)["reconnect_reason"]) == (
        "needs_reauth",
        "PASSWORD_CHANGED",
    )


def test_lost_subscription_is_found_within_a_day(keeper: Keeper, user: User) -> None:
    (account,) = keeper.connect(user, "cafe.azul")
    keeper.app.meta("POST", "/subscriptions/drop", {"account": "cafe.azul"})
    keeper.database.execute("update instagram_business_accounts set webhook_checked_at = now() - interval '1 day'")

    keeper.sweep_until_done()

    subscribed = [entry["account"] for entry in keeper.app.meta("GET", "/subscriptions")]
    assert subscribed == ["17841400000000001"]
    assert keeper.row(account)["webhook_subscribed_at"] > datetime.now(UTC) - timedelta(minutes=2)
    assert not keeper.app.calls("refresh_instagram_token")
    assert keeper.sweep_until_done() == 0


def test_usage_is_stored_and_stops_background_work_before_the_limit(keeper: Keeper, user: User) -> None:
    accounts = keeper.newcomers(user, 8)
    keeper.age(55)
    keeper.app.meta("POST", "/settings", {"app_calls_per_hour": 5})

    keeper.sweep_until_done()

    refreshed = [account for account in accounts.values() if keeper.days_left(account) > 59]
    assert 0 < len(refreshed) < 8
    (brake,) = keeper.database.execute("select * from refresh_brakes").fetchall()
    assert brake["app_used_percent"] >= 90
    assert brake["paused_until"] > datetime.now(UTC) + timedelta(minutes=50)
    usage = keeper.database.execute("select distinct usage_type from api_usage").fetchall()
    assert [row["usage_type"] for row in usage] == ["app"]
    assert keeper.sweep_until_done() == 0  # until the time is over
    answer = keeper.refresh(user, next(a for a in accounts.values() if a not in refreshed))
    assert answer.json()["code"] == "META_RATE_LIMITED"
    assert answer.json()["retryAfterSeconds"] > 3000


def test_two_tabs_share_one_meta_call_and_its_result(keeper: Keeper, user: User, fault: Fault) -> None:
    (account,) = keeper.connect(user, "cafe.azul")
    keeper.age(30)
    fault(operation="refresh_instagram_token", latency_ms=1500)

    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda _: keeper.refresh(user, account), range(3)))

    assert [answer.status_code for answer in answers] == [200] * 3, [answer.text for answer in answers]
    expiries = {answer.json()["data"]["account"]["tokenExpiresAt"] for answer in answers}
    assert len(expiries) == 1
    assert len(keeper.app.calls("refresh_instagram_token")) == 1
    assert keeper.days_left(account) > 59


def test_refresh_errors_have_their_reasons(keeper: Keeper, user: User) -> None:
    (account,) = keeper.connect(user, "cafe.azul")
    young = keeper.refresh(user, account)
    someone_else = keeper.refresh(keeper.app.sign_up(), account)
    keeper.age(30)
    keeper.app.meta("POST", "/tokens/revoke", {"person": "cafe.azul", "reason": "password_changed"})
    dead = keeper.refresh(user, account)
    dead_again = keeper.refresh(user, account)

    assert (young.status_code, young.json()["code"]) == (409, "TOKEN_TOO_YOUNG")
    assert 86000 < young.json()["retryAfterSeconds"] <= 86400
    assert (someone_else.status_code, someone_else.json()["code"]) == (404, "ACCOUNT_NOT_FOUND")
    for answer in (dead, dead_again):
        assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (
            409,
            "RECONNECT_REQUIRED",
            "PASSWORD_CHANGED",
        )
        assert "password" in answer.json()["hint"]
    assert keeper.row(account)["account_status"] == "needs_reauth"


def test_refresh_logs_contain_no_token(keeper: Keeper, user: User, fault: Fault, aws: dict[str, Any]) -> None:
    keeper.connect(user, "cafe.azul", "luz.cria")
    keeper.app.connect(keeper.app.sign_up())
    keeper.age(55)
    fault(operation="refresh_instagram_token", account="luz.cria", error="invalid_token", times=1)
    keeper.sweep_until_done()
    ciphertexts = keeper.database.execute("select access_token_ciphertext from instagram_credentials").fetchall()

    everything = "\n".join(function_logs(aws))

    assert "refresh_token" in everything
    assert "debug_token" in everything
    assert re.findall(r"(?:EAA|IGAA)\w{8}|access_token=\w+", everything) == []
    assert not [row for row in ciphertexts if row["access_token_ciphertext"] in everything]


def _accounts(app: App, user: User) -> list[dict[str, Any]]:
    return list(app.call(user, "GET", "/instagram/accounts").raise_for_status().json()["data"]["accounts"])
