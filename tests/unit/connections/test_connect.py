"""A whole connection, from code to stored payload, with the Meta simulator and moto for AWS."""

import io
import json

import httpx
import pytest

from instagram_connect.connections.connect import (
    LEAST_TIME_FOR_META_S,
    RESERVED_FOR_STORING_S,
    PendingConnection,
)
from instagram_connect.connections.login_records import LoginKey, LoginRecords
from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import (
    AccessTokenInvalidError,
    InstagramConnectError,
    LateStartError,
    LoginCodeUsedError,
    NoInstagramAccountError,
    RedirectUriMismatchError,
)
from instagram_connect.meta.instagram_login import InstagramLogin
from instagram_connect.models import Provider
from instagram_connect.security.token_vault import TokenBinding, TokenVault
from tests.support.connecting import Connecting, connect
from tests.support.fakes import NOW, USER_ID, FakeDataApi, refusal
from tests.support.instagram_client import InstagramClient
from tests.support.meta_client import ALL_SCOPES, MetaClient


def test_code_is_stored_as_one_payload_with_all_accounts(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi
) -> None:
    stored = connect(flow, meta.authorize())

    (payload,) = storage.payloads
    assert [account.username for account in stored] == ["cafe.azul", "estudio_ana"]
    assert payload["user_id"] == USER_ID
    assert payload["meta_user_id"] == "10220000000000001"
    assert payload["accounts"][0]["webhook_subscribed_at"] == NOW.isoformat()
    assert storage.request_ids == ["r-1"]


def test_tokens_are_stored_encrypted_and_bound_to_their_row(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi, vault: TokenVault
) -> None:
    connect(flow, meta.authorize())

    sent = json.dumps(storage.payloads)
    for account in storage.payloads[0]["accounts"]:
        binding = TokenBinding(USER_ID, Provider.FACEBOOK, account["instagram_business_id"])
        for column in ("access_token_ciphertext", "user_token_ciphertext"):
            token = vault.decrypt(account[column], binding)
            assert token.startswith("EAA")
            assert token not in sent


def test_failed_subscription_is_recorded_without_failing_the_connection(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi
) -> None:
    meta.control(
        "POST", "/faults", {"path": "*/104857600000001/subscribed_apps", "times": None, "error": "server_error"}
    )

    stored = connect(flow, meta.authorize())

    failed, subscribed = storage.payloads[0]["accounts"]
    assert len(stored) == 2
    assert (failed["webhook_subscribed_at"], failed["webhook_subscription_error"]) == (None, "META_UNAVAILABLE")
    assert subscribed["webhook_subscription_error"] is None


def test_subscriptions_run_in_parallel(flow: Connecting, meta: MetaClient) -> None:
    meta.control("POST", "/faults", {"operation": "subscribe_page", "times": None, "latency_ms": 1500})

    connect(flow, meta.authorize("Dmitri Agency"))

    calls = meta.control("GET", "/calls?operation=subscribe_page")
    first_end = min(call["ended"] for call in calls)
    assert len(calls) == 108
    assert sum(call["started"] < first_end for call in calls) > 5  # a hundred threads on a possibly busy machine


@pytest.mark.parametrize(
    "failure",
    [
        httpx.RemoteProtocolError("Server disconnected"),
        httpx.ConnectTimeout("x"),
        httpx.Response(503, json={"code": "PGRST002", "message": "m"}),
        httpx.Response(503, json={"message": "no healthy upstream"}),
        httpx.Response(500, json={"code": "57P03", "message": "m"}),
    ],
)
def test_storage_is_retried_for_transient_failures(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi, failure: httpx.Response | Exception
) -> None:
    storage.failures = [failure, failure]

    assert len(connect(flow, meta.authorize())) == 2


def test_storage_is_not_retried_when_only_an_operator_can_help(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi
) -> None:
    storage.failures = [refusal(403, "42501")]

    outcome = flow.outcome(meta.authorize())

    assert isinstance(outcome, PendingConnection)
    assert storage.payloads == []


def test_code_is_not_exchanged_without_enough_time(flow: Connecting, meta: MetaClient) -> None:
    with pytest.raises(LateStartError):
        flow.outcome(meta.authorize(), seconds=RESERVED_FOR_STORING_S + LEAST_TIME_FOR_META_S - 1)

    assert meta.control("GET", "/calls") == []


def test_encryption_does_not_wait_for_hanging_subscriptions(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instagram_connect.connections.connect.SUBSCRIBING_S", 0.3)
    meta.control("POST", "/faults", {"operation": "subscribe_page", "times": None, "latency_ms": 1500})

    assert len(connect(flow, meta.authorize("Dmitri Agency"))) == 108
    errors = {account["webhook_subscription_error"] for account in storage.payloads[0]["accounts"]}
    assert errors == {"META_UNAVAILABLE"}


def test_characters_that_postgres_rejects_do_not_fail_the_connection(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi
) -> None:
    profile = {"id": "17841400000000077", "name": "half an emoji \ud83d"}
    pages = {"data": [{"id": "1", "name": "N\x00ame", "access_token": "EAA1", "instagram_business_account": profile}]}
    meta.control("POST", "/faults", {"operation": "list_accounts", "status": 200, "body": json.dumps(pages)})

    connect(flow, meta.authorize())

    (account,) = storage.payloads[0]["accounts"]
    assert (account["page_name"], account["name"]) == ("Name", "half an emoji ?")


def test_storage_error_has_its_reason_and_quotes_nothing(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi, log: io.StringIO
) -> None:
    details = "Failing row contains (EAAtoken)"
    storage.failures = [refusal(400, "23502", message=details, details=details, hint=details)]

    outcome = flow.outcome(meta.authorize())

    assert isinstance(outcome, PendingConnection)
    assert '"reason":"DATA_REJECTED"' in log.getvalue()
    assert "EAAtoken" not in f"{outcome!r} {log.getvalue()}"


def test_nothing_is_stored_when_meta_gives_no_account(flow: Connecting, meta: MetaClient, storage: FakeDataApi) -> None:
    with pytest.raises(InstagramConnectError):
        connect(flow, meta.authorize("Ben Carter"))

    assert storage.payloads == []


def test_instagram_login_is_connected(
    flow: Connecting,
    instagram_login: InstagramLogin,
    instagram: InstagramClient,
    storage: FakeDataApi,
    vault: TokenVault,
) -> None:
    outcome = flow.outcome(instagram.authorize(), product=instagram_login)

    (payload,) = storage.payloads
    (account,) = payload["accounts"]
    assert isinstance(outcome, tuple)
    assert (payload["provider"], account["instagram_business_id"]) == ("instagram", "17841400000000001")
    assert account["user_token_ciphertext"] is None  # it is the access token itself
    binding = TokenBinding(USER_ID, Provider.INSTAGRAM, "17841400000000001")
    assert vault.decrypt(account["access_token_ciphertext"], binding).startswith("IGAA")


def test_errors_before_the_exchange_are_raised_and_later_ones_are_outcomes(flow: Connecting, meta: MetaClient) -> None:
    code = meta.authorize("Ben Carter", scopes=[*ALL_SCOPES, "pages_read_engagement"])

    with pytest.raises(RedirectUriMismatchError):
        flow.outcome(code, redirect_uri="https://app.example/elsewhere")
    assert isinstance(flow.outcome(code), NoInstagramAccountError)
    assert isinstance(flow.outcome(code, user_id="somebody-else"), LoginCodeUsedError)


def test_interrupted_login_resumes_with_its_kept_token(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    code = meta.authorize()
    with monkeypatch.context() as interrupted:
        interrupted.setattr(ConnectionRepository, "store_connection", killed)
        with pytest.raises(KeyboardInterrupt):
            flow.outcome(code)

    assert len(connect(flow, code)) == 2
    assert len(meta.control("GET", "/calls?operation=list_accounts")) == 2


def test_kept_token_is_unusable_for_another_user(flow: Connecting, meta: MetaClient, records: LoginRecords) -> None:
    code = meta.authorize()
    connect(flow, code)

    assert records.kept_token(LoginKey.of(USER_ID, Provider.FACEBOOK, code)) is not None
    assert isinstance(flow.outcome(code, user_id="somebody-else"), LoginCodeUsedError)


def test_access_token_of_our_app_connects_like_a_code(flow: Connecting, meta: MetaClient, storage: FakeDataApi) -> None:
    token = meta.short_token(scopes=[*ALL_SCOPES, "pages_read_engagement"])

    accounts = flow.use_token(token)

    assert isinstance(accounts, tuple)
    assert [account.username for account in accounts] == ["cafe.azul", "estudio_ana"]
    assert storage.payloads[0]["accounts"][0]["expires_at"] > NOW.isoformat()


def test_rejected_access_token_stores_nothing(flow: Connecting, meta: MetaClient, storage: FakeDataApi) -> None:
    page_token = meta.page_token(meta.long_token(), "104857600000001")

    with pytest.raises(AccessTokenInvalidError):
        flow.use_token(page_token)

    assert storage.payloads == []
