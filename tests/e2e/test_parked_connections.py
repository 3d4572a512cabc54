"""Storage rejects connections for a while: the users' responses, and their accounts afterwards.

One outage serves all tests of this file, because each costs the wait that a parked connection has.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from local.database import connect
from tests.support.app import App, User
from tests.support.polling import eventually

GRANT = "execute on function store_connection(jsonb)"
# Three minutes are promised; a short outage needs half a minute.
STORED_WITHIN_S = 120


@dataclass
class Outage:
    """Each user's responses during the outage, and the accounts after it."""

    users: dict[str, User] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    answers: dict[str, httpx.Response] = field(default_factory=dict)
    pending: dict[str, dict[str, Any]] = field(default_factory=dict)
    unreadable: dict[str, httpx.Response] = field(default_factory=dict)
    afterwards: dict[str, dict[str, Any]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def everyone(stack: dict[str, str]) -> Iterator[App]:
    with httpx.Client(timeout=60, trust_env=False) as http:
        app = App(stack, http)
        app.meta("POST", "/reset")
        yield app


@pytest.fixture(scope="module")
def outage(everyone: App) -> Outage:
    app, outage = everyone, Outage()
    names = ("new", "twice", "dead", "agency", "without Meta", "disconnecting")
    outage.users = {name: app.sign_up() for name in names}
    # By Instagram: at Facebook it would take Ana's whole permission back, which others here log in with.
    before = app.exchange(outage.users["disconnecting"], app.log_in_to_instagram(), provider="instagram")
    connected_before = before.raise_for_status().json()["data"]["accounts"]
    with connect(app.stack["database_url"], autocommit=True) as database:
        database.execute(f"revoke {GRANT} from service_role")
        try:
            _connect_all(app, outage)
            with ThreadPoolExecutor(3) as threads:
                lists = threads.map(lambda user: _accounts(app, user), outage.users.values())
                outage.pending = dict(zip(names, lists, strict=True))
            _change_the_world(app, outage, connected_before)
            database.execute("revoke execute on function list_accounts(jsonb) from service_role")
            for name, user in (("new", outage.users["new"]), ("nobody", app.sign_up())):
                outage.unreadable[name] = app.call(user, "GET", "/instagram/accounts")
        finally:
            database.execute(f"grant {GRANT} to service_role")
            database.execute("grant execute on function list_accounts(jsonb) to service_role")
    newest = app.exchange(outage.users["twice"], app.log_in_to_instagram("luz.cria"), provider="instagram")
    assert newest.status_code == 200

    def all_done() -> bool:
        outage.afterwards = {name: _accounts(app, user) for name, user in outage.users.items()}
        return not any(_is_waiting(accounts) for accounts in outage.afterwards.values())

    assert eventually(all_done, STORED_WITHIN_S), [n for n, listed in outage.afterwards.items() if _is_waiting(listed)]
    return outage


def _connect_all(app: App, outage: Outage) -> None:
    def connect(name: str, code: str, **body: Any) -> None:
        outage.codes[name] = code
        outage.answers[name] = app.exchange(outage.users[name], code, **body)

    connect("new", app.log_in())
    connect("twice", app.log_in_to_instagram("luz.cria"), provider="instagram")
    connect("dead", app.log_in("فاطمة Teammate"))
    connect("agency", app.log_in("Dmitri Agency"))
    connect("disconnecting", app.log_in_to_instagram(), provider="instagram")
    app.meta("POST", "/faults", {"operation": "list_accounts", "error": "html_502", "times": None})
    connect("without Meta", app.log_in())
    app.meta("DELETE", "/faults")


def _change_the_world(app: App, outage: Outage, connected_before: list[dict[str, Any]]) -> None:
    # One of them takes the permission back at Meta, one of them changes their mind here.
    app.meta("POST", "/tokens/revoke", {"person": "فاطمة Teammate", "reason": "app_removed"})
    for account in connected_before:
        app.call(outage.users["disconnecting"], "DELETE", f"/instagram/accounts/{account['id']}").raise_for_status()


def _accounts(app: App, user: User) -> dict[str, Any]:
    data: dict[str, Any] = app.call(user, "GET", "/instagram/accounts").raise_for_status().json()["data"]
    return data


def _is_waiting(listed: dict[str, Any]) -> bool:
    return bool(listed["unfinishedLogins"]) or any(account["status"] == "pending" for account in listed["accounts"])


def test_connection_is_pending_while_storage_rejects_it(outage: Outage) -> None:
    answer = outage.answers["new"]
    body = answer.json()

    assert answer.status_code == 202
    assert {**body, "data": None, "requestId": None} == {
        "success": True,
        "pending": True,
        "code": "STORAGE_DEFERRED",
        "data": None,
        "requestId": None,
    }
    assert body["data"]["businessAccountId"] is None
    assert [(a["username"], a["status"], a["id"]) for a in body["data"]["accounts"]] == [
        ("cafe.azul", "pending", None),
        ("estudio_ana", "pending", None),
    ]
    assert "EAA" not in answer.text
    assert "ciphertext" not in answer.text.lower()


def test_list_shows_pending_accounts_until_they_are_stored(outage: Outage) -> None:
    before, after = outage.pending["new"], outage.afterwards["new"]

    assert [(a["username"], a["status"]) for a in before["accounts"]] == [
        ("cafe.azul", "pending"),
        ("estudio_ana", "pending"),
    ]
    assert before["complete"]
    assert [(a["username"], a["status"]) for a in after["accounts"]] == [
        ("cafe.azul", "active"),
        ("estudio_ana", "active"),
    ]


def test_list_is_incomplete_but_shows_parked_accounts_while_storage_is_down(outage: Outage) -> None:
    listed = outage.unreadable["new"].json()["data"]

    assert not listed["complete"]
    assert [a["username"] for a in listed["accounts"]] == ["cafe.azul", "estudio_ana"]
    assert outage.unreadable["nobody"].json()["reason"] == "PERMISSION_DENIED"


def test_repeated_code_reports_the_current_state(everyone: App, outage: Outage) -> None:
    answer = everyone.exchange(outage.users["new"], outage.codes["new"])

    assert answer.status_code == 200
    assert [a["id"] for a in answer.json()["data"]["accounts"]] == [
        a["id"] for a in outage.afterwards["new"]["accounts"]
    ]


def test_newer_connection_wins_over_a_parked_one(everyone: App, outage: Outage) -> None:
    (account,) = outage.afterwards["twice"]["accounts"]
    with connect(everyone.stack["database_url"]) as database:
        rows = database.execute(
            "select issued_at > %s, status from instagram_credentials where business_account_id = %s",
            [outage.pending["twice"]["accounts"][0]["connectedAt"], account["id"]],
        ).fetchall()

    assert outage.answers["twice"].status_code == 202
    assert rows == [(True, "active")]


def test_token_that_died_while_parked_ends_in_needs_reauth(outage: Outage) -> None:
    assert outage.answers["dead"].status_code == 202
    assert {account["status"] for account in outage.afterwards["dead"]["accounts"]} == {"needs_reauth"}


def test_hundreds_of_accounts_can_be_parked(outage: Outage) -> None:
    assert outage.answers["agency"].status_code == 202
    assert len(outage.pending["agency"]["accounts"]) == 108
    assert [account["status"] for account in outage.afterwards["agency"]["accounts"]] == ["active"] * 108


def test_interrupted_login_is_completed_without_its_user(outage: Outage) -> None:
    before, after = outage.pending["without Meta"], outage.afterwards["without Meta"]

    assert (outage.answers["without Meta"].status_code, outage.answers["without Meta"].json()["data"]["accounts"]) == (
        202,
        [],
    )
    assert before["accounts"] == []
    assert [login["status"] for login in before["unfinishedLogins"]] == ["pending"]
    assert {account["status"] for account in after["accounts"]} == {"active"}
    assert after["unfinishedLogins"] == []


def test_account_disconnected_while_parked_stays_disconnected(outage: Outage) -> None:
    assert outage.answers["disconnecting"].status_code == 202
    assert {account["status"] for account in outage.afterwards["disconnecting"]["accounts"]} == {"disconnected"}
