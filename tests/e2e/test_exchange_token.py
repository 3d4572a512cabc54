"""Connecting Instagram accounts over HTTP, against the deployed stack."""

import json
import time
from typing import Any

import httpx
import pytest

from instagram_connect.errors import TokenEncryptionError
from instagram_connect.models import Provider
from instagram_connect.security.token_vault import TokenBinding, TokenVault
from local.database import connect
from supabase import ClientOptions, create_client
from tests.support.app import App, Fault, User


def test_accounts_on_two_result_pages_are_stored_with_intact_ids_and_names(app: App, user: User) -> None:
    app.meta("POST", "/settings", {"max_page_size": 1})

    response = app.exchange(user, app.log_in())

    body = response.json()
    assert (response.status_code, body["success"]) == (200, True)
    accounts = body["data"]["accounts"]
    assert [account["instagramBusinessId"] for account in accounts] == ["17841400000000001", "17841400000000002"]
    assert accounts[1]["pageId"] == "27640875392278831"
    assert accounts[0]["name"] == 'Café "Azul" ☕'
    assert accounts[1]["pageName"] == "Ana's Estúdio 📸 & Söhne"
    assert body["data"]["businessAccountId"] == accounts[0]["id"]
    rows = app.read(user, "instagram_business_accounts?select=*&order=instagram_business_id").json()
    assert [row["id"] for row in rows] == [account["id"] for account in accounts]
    assert rows[1]["page_id"] == "27640875392278831"
    assert rows[0]["biography"] == 'Fresh coffee & "pão de queijo" 🧀\nOpen 8-18h'
    assert {row["last_request_id"] for row in rows} == {body["requestId"]}


def test_owners_read_only_their_own_rows_with_supabase_py(app: App, user: User) -> None:
    stranger = app.sign_up()
    app.exchange(user, app.log_in()).raise_for_status()

    def count(reader: User) -> int:
        with httpx.Client(trust_env=False) as http:
            options = ClientOptions(httpx_client=http, auto_refresh_token=False, persist_session=False)
            client = create_client(app.stack["supabase_url"], app.stack["supabase_publishable_key"], options)
            client.postgrest.auth(reader.token)
            return len(client.table("instagram_business_accounts").select("id").execute().data)

    assert (count(user), count(stranger)) == (2, 0)


def test_only_the_backend_reads_credentials_and_writes(app: App, user: User) -> None:
    app.exchange(user, app.log_in()).raise_for_status()
    headers = {"apikey": app.stack["supabase_publishable_key"], "Authorization": f"Bearer {user.token}"}
    rest = f"{app.stack['supabase_url']}/rest/v1"

    refused = [
        app.read(user, "instagram_credentials?select=*"),
        app.http.get(f"{rest}/instagram_credentials", headers={"apikey": headers["apikey"]}),
        app.http.get(f"{rest}/instagram_business_accounts", headers={"apikey": headers["apikey"]}),
        app.http.patch(f"{rest}/instagram_business_accounts?status=eq.active", headers=headers, json={"name": "x"}),
        app.http.delete(f"{rest}/instagram_business_accounts?status=eq.active", headers=headers),
        app.http.post(
            f"{rest}/rpc/instagram_connect_store_connection", headers=headers, json={"payload": {"accounts": []}}
        ),
        app.http.post(f"{rest}/rpc/instagram_connect_reload_schema_cache", headers=headers, json={}),
    ]

    assert [response.json()["code"] for response in refused] == ["42501"] * len(refused)


def test_connecting_again_updates_the_rows(app: App, user: User) -> None:
    first = app.exchange(user, app.log_in()).json()["data"]["accounts"]

    second = app.exchange(user, app.log_in()).json()["data"]["accounts"]

    assert [account["id"] for account in second] == [account["id"] for account in first]
    assert len(app.read(user, "instagram_business_accounts?select=id").json()) == 2


def test_two_users_with_the_same_instagram_account_have_separate_rows(app: App, user: User) -> None:
    colleague = app.sign_up()

    first = app.exchange(user, app.log_in("Ana Souza")).json()["data"]["accounts"]
    second = app.exchange(colleague, app.log_in("فاطمة Teammate")).json()["data"]["accounts"]

    assert first[0]["instagramBusinessId"] == second[0]["instagramBusinessId"]
    assert first[0]["id"] != second[0]["id"]


def stored_ciphertexts(app: App, user: User) -> dict[str, tuple[str, str]]:
    with connect(app.stack["database_url"]) as database:
        rows = database.execute(
            """
            select account.instagram_business_id, access_token_ciphertext, user_token_ciphertext
            from instagram_credentials
            join instagram_business_accounts as account on account.id = business_account_id
            where account.user_id = %s
            """,
            [user.id],
        ).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


@pytest.fixture
def vault(app: App, aws: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> TokenVault:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, aws["environment"][name])
    stacks = aws["client"]("cloudformation").describe_stacks(StackName=app.stack["stack_name"])["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}
    return TokenVault(outputs["TokenKeyArn"])


def test_stored_token_works_at_meta_and_decrypts_only_for_its_own_row(app: App, user: User, vault: TokenVault) -> None:
    app.exchange(user, app.log_in()).raise_for_status()
    colleague = app.sign_up()
    app.exchange(colleague, app.log_in()).raise_for_status()
    ciphertext, _ = stored_ciphertexts(app, user)["17841400000000001"]
    own = TokenBinding(user.id, Provider.FACEBOOK, "17841400000000001")

    token = vault.decrypt(ciphertext, own)
    page = app.http.get(
        f"{app.stack['meta_url']}/graph.facebook.com/v25.0/me", params={"access_token": token, "fields": "id"}
    )

    assert page.json()["id"] == "104857600000001"
    for moved_to in (
        TokenBinding(user.id, Provider.FACEBOOK, "17841400000000002"),
        TokenBinding(colleague.id, Provider.FACEBOOK, "17841400000000001"),
    ):
        with pytest.raises(TokenEncryptionError):
            vault.decrypt(ciphertext, moved_to)


def test_a_hundred_pages_take_four_sequential_calls_to_meta(app: App, user: User, fault: Fault) -> None:
    # Slow enough that concurrent calls overlap, even on a busy machine.
    fault(path="*", times=None, latency_ms=1000)
    pages = [str(104857610000000 + number) for number in range(1, 101)]

    response = app.exchange(user, app.log_in("Dmitri Agency", pages=pages))

    calls = app.meta("GET", "/calls")
    steps = [
        [call for call in calls if call["operation"] in operations]
        for operations in (
            {"exchange_code"},
            {"extend_token"},
            {"list_accounts", "permissions", "debug_token"},
            {"subscribe_page"},
        )
    ]
    assert len(response.json()["data"]["accounts"]) == 90
    assert [len(step) for step in steps] == [1, 1, 3, 90]
    assert len(calls) == 95
    assert at_once(steps[2]) == 3
    assert at_once(steps[3]) > 20


def at_once(calls: list[dict[str, Any]]) -> int:
    """Count the calls that started before the first one ended."""
    first_end = min(call["ended"] for call in calls)
    return sum(call["started"] < first_end for call in calls)


@pytest.mark.parametrize("operation", ["extend_token", "list_accounts", "permissions", "debug_token", "subscribe_page"])
def test_a_single_500_from_meta_is_retried(app: App, user: User, fault: Fault, operation: str) -> None:
    fault(operation=operation, times=1, error="server_error")

    response = app.exchange(user, app.log_in())

    assert response.status_code == 200
    assert len(response.json()["data"]["accounts"]) == 2


def test_code_is_never_resent_after_an_exchange_without_a_response(app: App, user: User, fault: Fault) -> None:
    fault(operation="exchange_code", times=1, apply_then_disconnect=True)

    response = app.exchange(user, app.log_in())

    assert (response.status_code, response.json()["code"]) == (502, "OAUTH_OUTCOME_UNKNOWN")
    assert len(app.meta("GET", "/calls?operation=exchange_code")) == 1


@pytest.mark.parametrize(
    ("person", "wanted", "status", "code", "actor"),
    [
        ("Chloé Dubois", {}, 422, "NO_FACEBOOK_PAGE", "user"),
        ("Ben Carter", {}, 422, "NO_INSTAGRAM_ACCOUNT", "page_admin"),
        ("Ana Souza", {"declined_scopes": ["instagram_basic"]}, 403, "SCOPES_DECLINED", "user"),
    ],
)
def test_reasons_for_no_account_are_distinguished_and_nothing_is_stored(
    app: App, user: User, person: str, wanted: dict[str, Any], status: int, code: str, actor: str
) -> None:
    response = app.exchange(user, app.log_in(person, **wanted))

    body = response.json()
    assert (response.status_code, body["code"], body["actor"]) == (status, code, actor)
    assert body["hint"]
    assert app.read(user, "instagram_business_accounts?select=id").json() == []


def test_a_failed_subscription_is_recorded_in_the_row(app: App, user: User) -> None:
    response = app.exchange(user, app.log_in(declined_scopes=["pages_manage_metadata"]))

    columns = "webhook_subscribed_at,webhook_subscription_error"
    rows = app.read(user, f"instagram_business_accounts?select={columns}").json()
    assert response.status_code == 200
    assert rows == [{"webhook_subscribed_at": None, "webhook_subscription_error": "PERMISSION_MISSING"}] * 2


def test_a_code_expires(app: App, user: User) -> None:
    code = app.log_in()
    app.meta("POST", "/clock", {"advance_seconds": 601})

    assert app.exchange(user, code).json()["code"] == "OAUTH_CODE_EXPIRED"


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer rubbish",
        # {"alg":"none","typ":"JWT"}.{"sub":"7b0f…","role":"authenticated","aud":"authenticated","exp":4102444800}.
        "Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiI3YjBmMWM1ZS0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDEiLCJyb2x"
        "lIjoiYXV0aGVudGljYXRlZCIsImF1ZCI6ImF1dGhlbnRpY2F0ZWQiLCJleHAiOjQxMDI0NDQ4MDB9.",
        "Bearer the publishable key",
        "Bearer the secret key",
    ],
)
def test_requests_without_a_valid_token_are_rejected(app: App, authorization: str | None) -> None:
    keys = {"publishable": app.stack["supabase_publishable_key"], "secret": app.stack["supabase_secret_key"]}
    for name, key in keys.items():
        authorization = authorization and authorization.replace(f"the {name} key", key)

    response = app.http.post(
        app.exchange_url,
        headers={"Authorization": authorization} if authorization else {},
        json={"code": "c", "redirectUri": app.redirect_uri},
    )

    assert (response.status_code, response.json()["code"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"code": 5, "redirectUri": "x"}',
        json.dumps({"code": "c" * 300_000, "redirectUri": "http://127.0.0.1/callback"}),
        json.dumps({"code": "c", "redirectUri": "https://evil.example.com/callback"}),
    ],
)
def test_invalid_body_gets_an_error_and_no_call_to_meta(app: App, user: User, content: str) -> None:
    response = app.http.post(
        app.exchange_url,
        headers={"Authorization": f"Bearer {user.token}", "Content-Type": "application/json"},
        content=content,
    )

    assert response.status_code == 400
    expected = {"success", "error", "details", "code", "actor", "recoverable", "hint", "requestId"}
    assert expected <= set(response.json())
    assert app.meta("GET", "/calls") == []


@pytest.mark.parametrize("allowed", [True, False])
def test_preflight_accepts_only_allowed_origins(app: App, allowed: bool) -> None:
    origin = app.stack["web_url"] if allowed else "https://evil.example.com"

    response = app.http.options(
        app.exchange_url,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )

    assert response.status_code in (200, 204)
    assert response.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)


def test_missing_grant_loses_no_login_and_health_reports_it_to_the_operator(app: App, user: User) -> None:
    with connect(app.stack["database_url"], autocommit=True) as database:
        database.execute("revoke execute on function store_connection(jsonb) from service_role")
        try:
            response = app.exchange(user, app.log_in())
            health = until_health(app, 500)
        finally:
            database.execute("grant execute on function store_connection(jsonb) to service_role")

    assert (response.status_code, response.json()["code"]) == (202, "STORAGE_DEFERRED")
    assert (health["reason"], health["actor"]) == ("PERMISSION_DENIED", "operator")
    until_health(app, 200)


def until_health(app: App, status: int) -> dict[str, Any]:
    """Poll health until it has this status; it caches its result for a few seconds."""
    for _ in range(40):
        response = app.http.get(f"{app.stack['api_url']}/api/health")
        if response.status_code == status:
            body: dict[str, Any] = response.json()
            return body
        time.sleep(0.25)
    raise AssertionError(f"health did not become {status}: {response.text}")


def test_health_is_public_and_reports_working_storage(app: App) -> None:
    response = app.http.get(f"{app.stack['api_url']}/api/health")

    assert (response.status_code, response.json()["data"]["storage"]) == (200, "ok")
