"""The routes that list and disconnect a user's accounts."""

import json
import uuid
from typing import Any

import pytest

from functions.accounts.app import Dependencies, build_api
from instagram_connect.connections.account_list import AccountsOfUser
from instagram_connect.connections.disconnect import Disconnected
from instagram_connect.connections.parking import ParkedRecord
from instagram_connect.errors import AccountNotFoundError, ConfigurationError, StorageError
from instagram_connect.models import Provider
from instagram_connect.runtime.deadline import Deadline
from tests.support.fakes import NOW, USER_ID, identity_verifier
from tests.support.lambda_context import FakeLambdaContext
from tests.support.routes import ACCOUNT, ORIGIN, ORIGINS, LoadEvent, Send, header, sender
from tools import openapi

LIST, DISCONNECT = "accounts_list", "accounts_disconnect"
DISCONNECTED = ACCOUNT.model_copy(update={"status": "disconnected", "token_expires_at": None})
SHOWN = {
    "id": ACCOUNT.id,
    "provider": "facebook",
    "instagramBusinessId": "17841400000000001",
    "username": "cafe.azul",
    "name": 'Café "Azul" ☕',
    "pageId": "27640875392278831",
    "pageName": "Ana's Estúdio",
    "profilePictureUrl": None,
    "followersCount": 942,
    "tokenExpiresAt": "2027-01-21T12:00:00+00:00",
    "connectedAt": "2026-11-22T12:00:00Z",
    "reconnectReason": None,
    "reconnectHint": None,
    "reconnectBefore": None,
    "status": "active",
}


class FakeAccounts:
    """Stands for the account list and disconnection: records its calls and raises `error` if set."""

    def __init__(self) -> None:
        self.found = AccountsOfUser((ACCOUNT,), (), is_complete=True)
        self.told = (True, False, False)
        self.listed: list[str] = []
        self.disconnected: list[dict[str, Any]] = []
        self.error: Exception | None = None

    def of(self, user_id: str, deadline: Deadline) -> AccountsOfUser:
        assert 27 < deadline.remaining_s() <= 27.5
        self.listed.append(user_id)
        if self.error:
            raise self.error
        return self.found

    def disconnect(self, account_id: str, **more: Any) -> Disconnected:
        self.disconnected.append({"account_id": account_id, **more})
        if self.error:
            raise self.error
        return Disconnected(DISCONNECTED, *self.told)


def path_of(account_id: str) -> dict[str, Any]:
    return {"path": f"/api/instagram/accounts/{account_id}", "pathParameters": {"id": account_id}}


@pytest.fixture
def storage() -> FakeAccounts:
    return FakeAccounts()


@pytest.fixture
def send(storage: FakeAccounts, load_event: LoadEvent, lambda_context: FakeLambdaContext) -> Send:
    deps = Dependencies(identity_verifier(), account_list=storage, disconnection=storage)  # type: ignore[arg-type]
    return sender(build_api(ORIGINS, lambda: deps), load_event, lambda_context)


def test_lists_the_callers_accounts_in_order(send: Send, storage: FakeAccounts) -> None:
    second = DISCONNECTED.model_copy(
        update={"id": "9a000000-0000-4000-8000-000000000002", "provider": Provider.INSTAGRAM}
    )
    storage.found = AccountsOfUser((ACCOUNT, second), (), is_complete=True)

    answer = send(LIST)

    shown_second = {
        **SHOWN,
        "id": "9a000000-0000-4000-8000-000000000002",
        "provider": "instagram",
        "tokenExpiresAt": None,
        "status": "disconnected",
    }
    assert answer["statusCode"] == 200
    assert answer["json"] == {
        "success": True,
        "data": {"accounts": [SHOWN, shown_second], "unfinishedLogins": [], "complete": True},
        "requestId": "6f1c2e0a-0000-4000-8000-000000000007",
    }
    assert header(answer, "Cache-Control") == "no-store"
    assert header(answer, "Access-Control-Allow-Origin") == ORIGIN
    assert storage.listed == [USER_ID]


def test_lists_nothing_for_a_user_without_accounts(send: Send, storage: FakeAccounts) -> None:
    storage.found = AccountsOfUser((), (), is_complete=True)

    answer = send(LIST)

    nothing: dict[str, Any] = {"accounts": [], "unfinishedLogins": [], "complete": True}
    assert (answer["statusCode"], answer["json"]["data"]) == (200, nothing)


def test_lists_parked_accounts_while_storage_is_down(send: Send, storage: FakeAccounts) -> None:
    pending = ACCOUNT.model_copy(update={"id": None, "status": "pending"})
    login = ParkedRecord(user_id=USER_ID, id="p-1", provider=Provider.INSTAGRAM, issued_at=NOW)
    ended = login.model_copy(update={"provider": Provider.FACEBOOK, "code": "NO_FACEBOOK_PAGE"})
    storage.found = AccountsOfUser((pending,), (login, ended), is_complete=False)

    answer = send(LIST)

    started_at = "2026-11-22T12:00:00Z"
    assert answer["statusCode"] == 200
    assert answer["json"]["data"] == {
        "accounts": [{**SHOWN, "id": None, "status": "pending"}],
        "unfinishedLogins": [
            {"provider": "instagram", "startedAt": started_at, "status": "pending", "code": None},
            {"provider": "facebook", "startedAt": started_at, "status": "needs_reauth", "code": "NO_FACEBOOK_PAGE"},
        ],
        "complete": False,
    }


@pytest.mark.parametrize(
    "told", [(True, False, True), (False, True, False), (False, False, True), (False, False, False)]
)
def test_disconnect_response_matches_the_contract(
    send: Send, storage: FakeAccounts, told: tuple[bool, bool, bool]
) -> None:
    storage.told = told

    answer = send(DISCONNECT)

    assert answer["statusCode"] == 200
    assert answer["json"] == {
        "success": True,
        "data": {
            "account": {**SHOWN, "tokenExpiresAt": None, "status": "disconnected"},
            "unsubscribed": told[0],
            "keptForOthers": told[1],
            "revoked": told[2],
        },
        "requestId": "6f1c2e0a-0000-4000-8000-000000000008",
    }
    assert header(answer, "Cache-Control") == "no-store"


def test_disconnect_gets_user_account_and_remaining_time(send: Send, storage: FakeAccounts) -> None:
    send(DISCONNECT)

    (asked,) = storage.disconnected
    deadline: Deadline = asked.pop("deadline")
    assert asked == {
        "account_id": ACCOUNT.id,
        "user_id": USER_ID,
        "request_id": "6f1c2e0a-0000-4000-8000-000000000008",
    }
    assert 27 < deadline.remaining_s() <= 27.5


@pytest.mark.parametrize("account_id", [str(ACCOUNT.id).upper(), str(ACCOUNT.id).replace("-", "")])
def test_account_id_is_normalized(send: Send, storage: FakeAccounts, account_id: str) -> None:
    assert send(DISCONNECT, **path_of(account_id))["statusCode"] == 200
    assert storage.disconnected[0]["account_id"] == ACCOUNT.id


@pytest.mark.parametrize(
    "account_id",
    [
        "1",
        "null",
        "undefined",
        "17841400000000001",
        "9a000000-0000-4000-8000-00000000000",
        "9a000000-0000-4000-8000-0000000000011",
        "9a000000-0000-4000-8000-00000000000g",
        "' or 1=1 --",
        "%27",
        "*",
        "x" * 2_000,
    ],
)
def test_invalid_id_is_an_unknown_account(send: Send, storage: FakeAccounts, account_id: str) -> None:
    answer = send(DISCONNECT, **path_of(account_id))

    assert (answer["statusCode"], answer["json"]["code"]) == (404, "ACCOUNT_NOT_FOUND")
    assert storage.disconnected == []


@pytest.mark.parametrize("rest", ["", "a/b", f"{ACCOUNT.id}/more", f"more/{ACCOUNT.id}", "\n", '"'])
def test_path_without_exactly_one_id_disconnects_nothing(send: Send, storage: FakeAccounts, rest: str) -> None:
    assert send(DISCONNECT, **path_of(rest))["statusCode"] == 404
    assert storage.disconnected == []


@pytest.mark.parametrize("account_id", ['"', "\\", "\x18"])
def test_error_code_of_an_unroutable_path_is_documented(send: Send, account_id: str) -> None:
    documented = json.loads(openapi.PATH.read_text())["paths"]["/api/instagram/accounts/{id}"]["delete"]["responses"]

    answer = send(DISCONNECT, **path_of(account_id))

    assert f"`{answer['json']['code']}`" in documented[str(answer["statusCode"])]["description"]


def test_account_of_another_user_is_not_found(send: Send, storage: FakeAccounts) -> None:
    storage.error = AccountNotFoundError()

    answer = send(DISCONNECT, **path_of(str(uuid.uuid4())))

    assert answer["statusCode"] == 404
    assert answer["json"] == {
        "success": False,
        "error": "No account with this id is connected to you.",
        "details": "No account with this id is connected to you.",
        "code": "ACCOUNT_NOT_FOUND",
        "actor": "user",
        "recoverable": False,
        "hint": AccountNotFoundError.hint,
        "requestId": "6f1c2e0a-0000-4000-8000-000000000008",
    }


@pytest.mark.parametrize("event_name", [LIST, DISCONNECT])
@pytest.mark.parametrize("authorization", [None, "", "Bearer rubbish", "Bearer sb_secret_x", "Basic abc"])
def test_unauthenticated_requests_get_401(
    send: Send, storage: FakeAccounts, event_name: str, authorization: str | None
) -> None:
    answer = send(event_name, headers={"Authorization": authorization})

    assert (answer["statusCode"], answer["json"]["code"]) == (401, "UNAUTHENTICATED")
    assert header(answer, "WWW-Authenticate") == "Bearer"
    assert (storage.listed, storage.disconnected) == ([], [])


def test_unauthenticated_requests_do_not_reveal_valid_ids(send: Send) -> None:
    answer = send(DISCONNECT, headers={"Authorization": None}, **path_of("1"))

    assert answer["statusCode"] == 401


@pytest.mark.parametrize("event_name", [LIST, DISCONNECT])
def test_storage_failure_is_readable_by_an_allowed_origin(send: Send, storage: FakeAccounts, event_name: str) -> None:
    storage.error = StorageError(reason="UNREACHABLE", recoverable=True)

    answer = send(event_name)

    assert (answer["statusCode"], answer["json"]["code"]) == (500, "STORAGE_FAILED")
    assert (answer["json"]["reason"], answer["json"]["recoverable"]) == ("UNREACHABLE", True)
    assert header(answer, "Access-Control-Allow-Origin") == ORIGIN


@pytest.mark.parametrize("event_name", [LIST, DISCONNECT])
def test_unexpected_exception_returns_500_without_details(send: Send, storage: FakeAccounts, event_name: str) -> None:
    storage.error = RuntimeError("https://graph.facebook.com/?access_token=EAAsecret")

    answer = send(event_name)

    assert (answer["statusCode"], answer["json"]["code"]) == (500, "INTERNAL_ERROR")
    assert "EAAsecret" not in answer["body"]


def test_missing_setting_is_not_named_in_the_response(load_event: LoadEvent, lambda_context: FakeLambdaContext) -> None:
    def not_configured() -> Dependencies:
        raise ConfigurationError(log_context={"setting": "TOKEN_KEY_ARN"})

    answer = build_api((ORIGIN,), not_configured).resolve(load_event(LIST), lambda_context)  # type: ignore[arg-type]

    assert json.loads(answer["body"])["code"] == "CONFIGURATION_INVALID"
    assert "TOKEN_KEY_ARN" not in answer["body"]


@pytest.mark.parametrize("event_name", [LIST, DISCONNECT])
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(ORIGIN, ORIGIN), ("https://admin.example.com", "https://admin.example.com"), ("https://evil.example.com", None)],
)
def test_preflight_allows_listed_origins_and_delete(
    send: Send, event_name: str, origin: str, allowed: str | None
) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "DELETE", "Authorization": None}

    answer = send(event_name, httpMethod="OPTIONS", headers=headers)

    assert answer["statusCode"] == 204
    assert header(answer, "Access-Control-Allow-Origin") == allowed
    if allowed:
        assert {"GET", "DELETE"} <= set((header(answer, "Access-Control-Allow-Methods") or "").split(","))
        assert "Authorization" in (header(answer, "Access-Control-Allow-Headers") or "")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/instagram/accounts"),
        ("POST", "/api/instagram/accounts"),
        ("GET", f"/api/instagram/accounts/{ACCOUNT.id}"),
        ("GET", "/api/instagram/elsewhere"),
    ],
)
def test_unknown_method_or_path_returns_an_error_body(
    send: Send, storage: FakeAccounts, method: str, path: str
) -> None:
    answer = send(DISCONNECT, httpMethod=method, path=path)

    assert (answer["statusCode"], answer["json"]["code"]) == (404, "NOT_FOUND")
    assert (storage.listed, storage.disconnected) == ([], [])
