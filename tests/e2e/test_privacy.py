"""Privacy requests on the deployed stack: app removal and data deletion."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from psycopg.rows import dict_row

from local.database import connect
from local.stack import up
from tests.support.app import App, User
from tests.support.database import TABLES
from tests.support.home import TEST_HOME
from tests.support.polling import eventually
from tests.support.sabotage import forget_messages, impatient_queue, kill_service

DONE_WITHIN_S = 60
# A parked connection is tried again after a quarter of a minute at first.
UNPARKED_WITHIN_S = 120

Ask = Callable[..., dict[str, Any]]
Rows = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def ask(app: App) -> Ask:
    """What Meta sends when a person asks, and what it is answered."""

    def ask(callback: str, **wanted: Any) -> dict[str, Any]:
        path = {"deauthorize": "deauthorize", "data_deletion": "data-deletion"}[callback]
        url = f"{app.stack['api_url']}/api/instagram/{path}"
        answer = app.meta("POST", f"/privacy/{callback}", {"url": url, **wanted})
        assert isinstance(answer, dict)
        return answer

    return ask


@pytest.fixture
def rows(stack: dict[str, str], aws: dict[str, Any]) -> Iterator[Rows]:
    forget_messages(aws, "ParkingQueue")
    with connect(stack["database_url"], autocommit=True, row_factory=dict_row) as database:
        database.execute("delete from instagram_business_accounts")
        database.execute("truncate webhook_events, webhook_counts, data_deletion_requests")

        def read(query: str, *values: Any) -> list[dict[str, Any]]:
            cursor = database.execute(query.encode(), values or None)
            return list(cursor.fetchall()) if cursor.description else []

        yield read


def connect_instagram(app: App, user: User, username: str = "cafe.azul") -> str:
    answer = app.exchange(user, app.log_in_to_instagram(username), provider="instagram").raise_for_status()
    return str(answer.json()["data"]["businessAccountId"])


def is_complete(app: App, answer: dict[str, Any]) -> bool:
    return "Your data has been deleted" in app.http.get(answer["json"]["url"]).text


def test_removing_the_app_erases_the_users_tokens(app: App, user: User, ask: Ask, rows: Rows) -> None:
    account = connect_instagram(app, user)
    kept = app.connect(app.sign_up(), "Dmitri Agency")

    answers = [ask("deauthorize", product="instagram", person="cafe.azul") for _ in range(2)]

    assert [answer["status"] for answer in answers] == [200, 200]
    (credentials,) = rows(
        "select status, access_token_ciphertext, user_token_ciphertext from instagram_credentials "
        "where business_account_id = %s",
        account,
    )
    assert credentials == {"status": "revoked", "access_token_ciphertext": None, "user_token_ciphertext": None}
    (shown,) = app.call(user, "GET", "/instagram/accounts").json()["data"]["accounts"]
    assert (shown["status"], shown["reconnectReason"]) == ("needs_reauth", "APP_REMOVED")
    assert len(rows("select 1 from instagram_credentials where status = 'active'")) == len(kept)
    # A new login is a new start.
    assert connect_instagram(app, user) == account
    assert app.call(user, "GET", "/instagram/accounts").json()["data"]["accounts"][0]["status"] == "active"


@pytest.mark.parametrize("callback", ["deauthorize", "data_deletion"])
@pytest.mark.parametrize("forgery", ["wrong_secret", "tampered", "unsigned", "other_algorithm", "malformed"])
def test_forged_request_is_rejected_and_changes_nothing(
    app: App, user: User, ask: Ask, rows: Rows, callback: str, forgery: str
) -> None:
    connect_instagram(app, user)

    answer = ask(callback, product="instagram", person="cafe.azul", forgery=forgery)

    assert answer["status"] in (400, 403)
    assert [row["status"] for row in rows("select status from instagram_credentials")] == ["active"]
    assert rows("select * from data_deletion_requests") == []


@pytest.mark.parametrize("signed_by", ["instagram", "facebook"])
@pytest.mark.parametrize("professional_id", [False, True])
def test_deletion_erases_one_person_and_keeps_others(
    app: App, user: User, ask: Ask, rows: Rows, signed_by: str, professional_id: bool
) -> None:
    connect_instagram(app, user)
    others = app.connect(app.sign_up())  # a Facebook login of somebody else, with the same Instagram account

    answer = ask(
        "data_deletion",
        product="instagram",
        person="cafe.azul",
        signed_by=signed_by,
        professional_id=professional_id,
    )

    assert (answer["status"], answer["is_valid"], answer["problems"]) == (200, True, [])
    assert eventually(lambda: is_complete(app, answer), DONE_WITHIN_S)
    assert app.call(user, "GET", "/instagram/accounts").json()["data"]["accounts"] == []
    assert len(rows("select 1 from instagram_business_accounts where status = 'active'")) == len(others)
    everything = json.dumps([rows(f"select to_jsonb(t) from {relation} as t") for relation in TABLES], default=str)
    assert user.id not in everything
    assert answer["user_id"] not in everything or professional_id  # which others have in common
    page = app.http.get(answer["json"]["url"])
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer["user_id"] not in page.text
    assert "cafe.azul" not in page.text
    # A new login is a new start.
    connect_instagram(app, user)


def test_facebook_deletion_covers_all_accounts_and_is_idempotent(app: App, user: User, ask: Ask, rows: Rows) -> None:
    assert len(app.connect(user)) == 2

    answers = [ask("data_deletion", product="facebook", person="Ana Souza") for _ in range(2)]

    assert eventually(lambda: all(is_complete(app, answer) for answer in answers), DONE_WITHIN_S)
    assert rows("select * from instagram_business_accounts") == []
    assert sorted(row["erased_accounts"] for row in rows("select * from data_deletion_requests")) == [0, 2]


def test_deleting_an_unknown_person_succeeds(app: App, ask: Ask, rows: Rows) -> None:
    answer = ask("data_deletion", product="instagram", user_id="999000111222333", user_id_as_number=True)

    assert (answer["status"], answer["is_valid"]) == (200, True)
    assert eventually(lambda: is_complete(app, answer), DONE_WITHIN_S)
    assert ask("deauthorize", product="facebook", user_id="999000111222333")["status"] == 200


def test_unknown_confirmation_code_is_not_found(app: App) -> None:
    answer = app.http.get(f"{app.stack['api_url']}/api/instagram/data-deletion", params={"code": "0" * 40})

    assert answer.status_code == 404
    assert "unknown" in answer.text


def test_connection_parked_before_a_deletion_is_never_stored(app: App, user: User, ask: Ask, rows: Rows) -> None:
    rows("revoke execute on function store_connection(jsonb) from service_role")
    try:
        parked = app.exchange(user, app.log_in_to_instagram(), provider="instagram")
        answer = ask("data_deletion", product="instagram", person="cafe.azul")
        assert eventually(lambda: is_complete(app, answer), DONE_WITHIN_S)
    finally:
        rows("grant execute on function store_connection(jsonb) to service_role")

    def shown() -> list[dict[str, Any]]:
        return list(app.call(user, "GET", "/instagram/accounts").json()["data"]["accounts"])

    assert parked.status_code == 202
    assert [account["status"] for account in shown()] == ["pending"]
    assert eventually(lambda: not shown(), UNPARKED_WITHIN_S)
    assert rows("select * from instagram_business_accounts") == []


def test_requests_during_an_outage_are_carried_out_afterwards(
    app: App, user: User, ask: Ask, rows: Rows, stack_environment: dict[str, str], aws: dict[str, Any]
) -> None:
    connect_instagram(app, user)
    with impatient_queue(aws["client"]("sqs"), "PrivacyQueue", 5):
        kill_service("supabase")
        try:
            deauthorized = ask("deauthorize", product="instagram", person="cafe.azul")
            deletion = ask("data_deletion", product="instagram", person="cafe.azul")
            page = app.http.get(deletion["json"]["url"])
        finally:
            up(TEST_HOME, stack_environment, only=("supabase",))
        assert eventually(lambda: is_complete(app, deletion), DONE_WITHIN_S)

    assert (deauthorized["status"], deletion["status"]) == (200, 200)
    assert page.status_code == 503
    assert "carried out" in page.text
    assert rows("select * from instagram_business_accounts") == []
