"""Listing and disconnecting accounts over HTTP; disconnecting erases tokens even if Meta fails."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.database import connect
from tests.support.app import App, Fault, User


@pytest.fixture(autouse=True)
def no_other_connections(app: App) -> None:
    """What is undone at Meta depends on who else has the account connected."""
    with connect(app.stack["database_url"]) as database:
        database.execute("delete from instagram_business_accounts")


def listed(app: App, user: User) -> list[dict[str, Any]]:
    accounts: list[dict[str, Any]] = app.call(user, "GET", "/instagram/accounts").json()["data"]["accounts"]
    return accounts


def disconnect(app: App, user: User, account_id: str) -> Any:
    return app.call(user, "DELETE", f"/instagram/accounts/{account_id}")


def credentials(app: App, account_id: str) -> tuple[str, str | None, str | None]:
    with connect(app.stack["database_url"]) as database:
        row = database.execute(
            """
            select status, access_token_ciphertext, user_token_ciphertext
            from instagram_credentials
            where business_account_id = %s
            """,
            [account_id],
        ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def test_list_contains_only_the_users_own_accounts(app: App, user: User) -> None:
    assert listed(app, user) == []
    connected = app.connect(user)

    assert sorted(listed(app, user), key=lambda account: account["instagramBusinessId"]) == connected
    assert listed(app, app.sign_up()) == []


def test_disconnecting_ends_webhooks_erases_tokens_and_keeps_the_row(app: App, user: User) -> None:
    cafe, studio = app.connect(user)

    first, last = disconnect(app, user, cafe["id"]), disconnect(app, user, studio["id"])

    assert (first.json()["data"]["unsubscribed"], first.json()["data"]["revoked"]) == (True, False)
    assert (last.json()["data"]["unsubscribed"], last.json()["data"]["revoked"]) == (True, True)
    assert {account["status"] for account in listed(app, user)} == {"disconnected"}
    assert credentials(app, cafe["id"]) == credentials(app, studio["id"]) == ("erased", None, None)
    assert [len(app.calls(operation)) for operation in ("unsubscribe_page", "revoke_app")] == [2, 1]
    assert {call["status"] for call in app.calls("unsubscribe_page")} == {200}


def test_disconnecting_is_idempotent(app: App, user: User) -> None:
    cafe, _ = app.connect(user)
    first = disconnect(app, user, cafe["id"]).json()["data"]["account"]

    second = disconnect(app, user, cafe["id"])

    assert (second.status_code, second.json()["data"]["account"]) == (200, first)
    assert len(app.calls("unsubscribe_page")) == 1


def test_concurrent_disconnections_call_meta_once(app: App, user: User) -> None:
    cafe, _ = app.connect(user)

    with ThreadPoolExecutor(2) as threads:
        responses = list(threads.map(lambda _: disconnect(app, user, cafe["id"]), range(2)))

    assert [response.status_code for response in responses] == [200, 200]
    assert sorted(response.json()["data"]["unsubscribed"] for response in responses) == [False, True]


def test_disconnecting_two_accounts_concurrently_revokes_the_grant(app: App, user: User) -> None:
    accounts = app.connect(user)

    with ThreadPoolExecutor(2) as threads:
        responses = list(threads.map(lambda account: disconnect(app, user, account["id"]), accounts))

    assert sorted(response.json()["data"]["revoked"] for response in responses) == [False, True]
    assert [call["status"] for call in app.calls("revoke_app")] == [200]


def test_slow_unsubscription_does_not_prevent_revocation(app: App, user: User, fault: Fault) -> None:
    cafe, studio = app.connect(user)
    disconnect(app, user, cafe["id"])
    fault(operation="unsubscribe_page", times=None, hang_seconds=30)

    response = disconnect(app, user, studio["id"]).json()["data"]

    assert (response["unsubscribed"], response["revoked"]) == (False, True)


def test_failure_reported_by_meta_is_returned(app: App, user: User, fault: Fault) -> None:
    _, studio = app.connect(user)
    fault(path="*", method="DELETE", times=None, status=200, body={"success": False})

    assert disconnect(app, user, studio["id"]).json()["data"]["unsubscribed"] is False


@pytest.mark.parametrize(
    "outage", [{"error": "server_error"}, {"error": "expired_token"}, {"disconnect": True}, {"hang_seconds": 30}]
)
def test_tokens_are_erased_while_meta_is_down(app: App, user: User, fault: Fault, outage: dict[str, object]) -> None:
    _, studio = app.connect(user)
    fault(path="*", method="DELETE", times=None, **outage)

    response = disconnect(app, user, studio["id"])

    assert (response.status_code, response.json()["data"]["unsubscribed"]) == (200, False)
    assert response.elapsed.total_seconds() < 15
    assert credentials(app, studio["id"]) == ("erased", None, None)


def test_instagram_login_is_unsubscribed_with_its_own_token_and_not_revoked(app: App, user: User) -> None:
    code = app.log_in_to_instagram()
    (account,) = app.exchange(user, code, provider="instagram").json()["data"]["accounts"]

    response = disconnect(app, user, account["id"]).json()["data"]

    assert (response["unsubscribed"], response["revoked"]) == (True, False)
    assert [call["status"] for call in app.calls("unsubscribe_instagram")] == [200]


def test_webhooks_and_grants_needed_by_another_user_are_kept(app: App, user: User) -> None:
    colleague = app.sign_up()
    cafe, _ = app.connect(user)
    app.connect(colleague)

    response = disconnect(app, user, cafe["id"]).json()["data"]

    assert (response["unsubscribed"], response["keptForOthers"], response["revoked"]) == (False, True, False)
    assert {account["status"] for account in listed(app, colleague)} == {"active"}
    assert app.calls("unsubscribe_page") == app.calls("revoke_app") == []


def test_reconnected_account_keeps_its_id(app: App, user: User) -> None:
    cafe, _ = app.connect(user)
    disconnect(app, user, cafe["id"])

    again = app.connect(user)[0]

    assert (again["id"], again["status"]) == (cafe["id"], "active")
    assert credentials(app, cafe["id"])[0] == "active"


@pytest.mark.parametrize("kind", ["another user's", "unknown", "rubbish", "long"])
def test_accounts_of_other_users_are_not_found(app: App, user: User, kind: str) -> None:
    ids = {"unknown": "00000000-0000-4000-8000-000000000000", "rubbish": "me", "long": secrets.token_hex(500)}

    account_id = ids.get(kind) or app.connect(app.sign_up())[0]["id"]
    response = disconnect(app, user, account_id)

    assert (response.status_code, response.json()["code"]) == (404, "ACCOUNT_NOT_FOUND")
    if kind == "another user's":
        assert credentials(app, account_id)[0] == "active"


def test_requests_without_a_valid_token_are_rejected(app: App) -> None:
    url = f"{app.stack['api_url']}/api/instagram/accounts"

    responses = [app.http.get(url), app.http.delete(f"{url}/00000000-0000-4000-8000-000000000000")]

    assert [response.json()["code"] for response in responses] == ["UNAUTHENTICATED"] * 2


def test_preflight_allows_delete(app: App) -> None:
    response = app.http.options(
        f"{app.stack['api_url']}/api/instagram/accounts/x",
        headers={"Origin": app.stack["web_url"], "Access-Control-Request-Method": "DELETE"},
    )

    assert response.headers["access-control-allow-origin"] == app.stack["web_url"]
    assert "DELETE" in response.headers["access-control-allow-methods"]
