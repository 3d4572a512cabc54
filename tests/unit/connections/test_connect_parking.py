"""When connect parks a connection or login instead of losing it, and when it returns the error at once."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest

from instagram_connect.connections.connect import (
    ConnectionFlow,
    PendingConnection,
)
from instagram_connect.connections.login_records import LoginKey, LoginRecords
from instagram_connect.connections.parking import ParkedConnection, ParkedLogin, Parking, read_message
from instagram_connect.errors import (
    AccountDisconnectedError,
    InstagramConnectError,
    StorageError,
    TokenEncryptionError,
)
from instagram_connect.meta.instagram_login import InstagramLogin
from instagram_connect.models import (
    Account,
    AccountToStore,
    ConnectionToStore,
    DiscoveredAccount,
    Login,
    Provider,
    UserToken,
)
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.security.token_vault import LoginBinding, TokenBinding, TokenVault
from instagram_connect.storage import diagnosis
from instagram_connect.storage.diagnosis import OWNER_MISSING, Diagnosis
from tests.support.connecting import Connecting, connect
from tests.support.fakes import NOW, USER_ID, FakeDataApi, refusal
from tests.support.instagram_client import InstagramClient
from tests.support.meta_client import ALL_SCOPES, REDIRECT_URI, MetaClient

Sent = Callable[[], list[str]]


def test_resumed_login_keeps_its_age_and_does_not_resend_the_code(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi, records: LoginRecords
) -> None:
    code = meta.authorize()
    long_ago = NOW - timedelta(minutes=40)
    kept = replace(flow.facebook.exchange_code(code, REDIRECT_URI, Deadline(20)), issued_at=long_ago)
    records.keep_token(LoginKey.of(USER_ID, Provider.FACEBOOK, code), kept)

    connect(flow, code)

    assert {account["issued_at"] for account in storage.payloads[0]["accounts"]} == {long_ago.isoformat()}
    assert len(meta.control("GET", "/calls?operation=exchange_code")) == 1


def connection(vault: TokenVault) -> ConnectionToStore:
    """A login that only needs storing."""
    token = UserToken("EAApersons-token", NOW, NOW + timedelta(days=60))
    login = Login(Provider.FACEBOOK, token, "10220000000000001", ("instagram_basic",), None)
    account = DiscoveredAccount("17841400000000001", "EAApage-token", username="cafe.azul")
    ciphertext = vault.encrypt("EAApage-token", TokenBinding(USER_ID, Provider.FACEBOOK, "17841400000000001"))
    return ConnectionToStore(USER_ID, login, (AccountToStore(account, ciphertext, None, NOW, None),), "r-1")


class FailingRepository:
    """Storage that fails with the given reason."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def store_connection(self, *_: object) -> tuple[Account, ...]:
        raise StorageError(reason=self._reason)


REASONS = {value.reason for value in vars(diagnosis).values() if isinstance(value, Diagnosis)}


def without_sqs(queue_url: str) -> None:
    boto3.client("sqs").delete_queue(QueueUrl=queue_url)


def vault_without_key() -> TokenVault:
    return TokenVault("arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000000")


def read_one(sent: Sent) -> ParkedConnection | ParkedLogin:
    (body,) = sent()
    return read_message(body)


@pytest.mark.parametrize("reason", sorted(REASONS - {OWNER_MISSING.reason}))
def test_connection_is_parked_as_pending_for_every_storage_failure(
    vault: TokenVault, parking: Parking, sent: Sent, counted: dict[str, Any], reason: str
) -> None:
    repository: Any = FailingRepository(reason)
    flow = ConnectionFlow(vault, repository, parking, now=lambda: NOW)

    outcome = flow.store_or_park(connection(vault), Deadline(20))

    assert isinstance(outcome, PendingConnection)
    assert outcome.since == NOW
    assert [(account.username, account.id, account.status) for account in outcome.accounts] == [
        ("cafe.azul", None, "pending")
    ]
    assert isinstance(read_one(sent), ParkedConnection)
    assert set(counted) == {"ConnectionsParked"}


def test_connection_of_a_deleted_user_is_not_parked(
    vault: TokenVault, parking: Parking, sent: Sent, counted: dict[str, Any]
) -> None:
    repository: Any = FailingRepository(OWNER_MISSING.reason)
    flow = ConnectionFlow(vault, repository, parking, now=lambda: NOW)

    with pytest.raises(StorageError) as told:
        flow.store_or_park(connection(vault), Deadline(20))

    assert told.value.reason == "OWNER_MISSING"
    assert (sent(), set(counted)) == ([], set())


def test_connection_is_neither_stored_nor_parked_after_a_data_deletion(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi, sent: Sent, counted: dict[str, Any]
) -> None:
    storage.failures = [refusal(410, "PT410")] * 2

    outcome = flow.outcome(meta.authorize())
    token = meta.short_token(scopes=[*ALL_SCOPES, "pages_read_engagement"])
    with pytest.raises(AccountDisconnectedError) as raised:
        flow.use_token(token)

    assert isinstance(outcome, AccountDisconnectedError)
    assert (outcome.reason, raised.value.reason) == ("DATA_DELETED", "DATA_DELETED")
    assert (storage.payloads, storage.failures, sent(), dict(counted)) == ([], [], [], {})


def test_login_parked_during_an_outage_is_unreadable_at_rest(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi, vault: TokenVault, sent: Sent, log: io.StringIO
) -> None:
    storage.failures = [refusal(503, "PGRST001")] * 10

    outcome = flow.outcome(meta.authorize())

    assert isinstance(outcome, PendingConnection)
    assert [account.username for account in outcome.accounts] == ["cafe.azul", "estudio_ana"]
    parked = read_one(sent)
    assert isinstance(parked, ParkedConnection)
    assert [account["webhook_subscription_error"] for account in parked.payload["accounts"]] == [None, None]
    shown = f"{[account.model_dump() for account in outcome.accounts]} {log.getvalue()}"
    for account in parked.payload["accounts"]:
        binding = TokenBinding(USER_ID, Provider.FACEBOOK, account["instagram_business_id"])
        for column in ("access_token_ciphertext", "user_token_ciphertext"):
            token = vault.decrypt(account[column], binding)
            assert token.startswith("EAA")
            assert token not in f"{sent()} {shown}"
            assert account[column] not in shown


def test_access_token_connection_is_parked_like_a_code(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi, sent: Sent
) -> None:
    token = meta.short_token(scopes=[*ALL_SCOPES, "pages_read_engagement"])
    storage.failures = [refusal(404, "42P01")]

    outcome = flow.use_token(token)

    assert isinstance(outcome, PendingConnection)
    assert isinstance(read_one(sent), ParkedConnection)


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("extend_token", "server_error"),
        ("extend_token", "wrong_secret"),
        ("list_accounts", "html_502"),
        ("list_accounts", "app_rate_limit"),
        ("list_accounts", "buc_rate_limit"),
        ("list_accounts", "capability_missing"),
        ("list_accounts", "invalid_proof"),
    ],
)
def test_login_interrupted_by_meta_after_the_exchange_is_parked(
    flow: Connecting,
    meta: MetaClient,
    storage: FakeDataApi,
    vault: TokenVault,
    sent: Sent,
    log: io.StringIO,
    operation: str,
    error: str,
) -> None:
    meta.control("POST", "/faults", {"operation": operation, "times": None, "error": error})

    outcome = flow.outcome(meta.authorize())

    assert outcome == PendingConnection(NOW, ())
    parked = read_one(sent)
    assert isinstance(parked, ParkedLogin)
    assert (parked.user_id, parked.provider, parked.issued_at) == (USER_ID, Provider.FACEBOOK, NOW)
    token = vault.decrypt(parked.token_ciphertext, LoginBinding(USER_ID, Provider.FACEBOOK, parked.login))
    assert meta.debug(token)["is_valid"] is True
    assert token not in f"{sent()} {log.getvalue()}"
    assert parked.token_ciphertext not in log.getvalue()
    assert storage.payloads == []


def test_interrupted_instagram_login_is_parked_with_its_granted_scopes(
    flow: Connecting, meta: MetaClient, instagram_login: InstagramLogin, instagram: InstagramClient, sent: Sent
) -> None:
    meta.control("POST", "/faults", {"operation": "read_instagram_me", "times": None, "error": "server_error"})

    outcome = flow.outcome(instagram.authorize(), product=instagram_login)

    assert outcome == PendingConnection(NOW, ())
    parked = read_one(sent)
    assert isinstance(parked, ParkedLogin)
    assert parked.granted_scopes is not None
    assert "instagram_business_basic" in parked.granted_scopes


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"error": "blocked"}, "META_ACTION_BLOCKED"),
        ({"error": "app_removed"}, "RECONNECT_REQUIRED"),
        ({"error": "permission_error"}, "PERMISSION_MISSING"),
        ({"status": 400, "body": {"error": {"code": 100, "message": "m"}}}, "META_REQUEST_REJECTED"),
        ({"status": 200, "body": {"data": []}}, "NO_FACEBOOK_PAGE"),
    ],
)
def test_permanent_errors_are_returned_and_not_parked(
    flow: Connecting, meta: MetaClient, sent: Sent, fault: dict[str, Any], code: str
) -> None:
    code_of_login = meta.authorize(scopes=[*ALL_SCOPES, "pages_read_engagement"])
    meta.control("POST", "/faults", {"operation": "list_accounts", "times": None, **fault})

    outcome = flow.outcome(code_of_login)

    assert isinstance(outcome, InstagramConnectError)
    assert outcome.code == code
    assert sent() == []


def test_rejected_code_is_returned_and_not_parked(flow: Connecting, meta: MetaClient, sent: Sent) -> None:
    meta.control("POST", "/faults", {"operation": "exchange_code", "times": None, "error": "server_error"})

    outcome = flow.outcome(meta.authorize())

    assert isinstance(outcome, InstagramConnectError)
    assert outcome.code == "OAUTH_OUTCOME_UNKNOWN"
    assert sent() == []


def test_storage_failure_is_returned_and_the_loss_counted_when_parking_fails(
    flow: Connecting,
    meta: MetaClient,
    storage: FakeDataApi,
    parking: Parking,
    parking_queue: str,
    counted: dict[str, Any],
) -> None:
    storage.failures = [refusal(403, "42501")]
    without_sqs(parking_queue)

    outcome = flow.outcome(meta.authorize())

    assert isinstance(outcome, StorageError)
    assert outcome.reason == "PERMISSION_DENIED"
    assert counted["ConnectionsLost"]["Value"] == [1.0]
    assert "ConnectionsParked" not in counted
    assert parking.records_of(USER_ID) == ()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("server_error", "META_UNAVAILABLE"),
        ("app_rate_limit", "META_RATE_LIMITED"),
        ("capability_missing", "META_APP_MISCONFIGURED"),
    ],
)
def test_meta_failure_is_returned_and_the_loss_counted_when_parking_fails(
    flow: Connecting, meta: MetaClient, parking_queue: str, counted: dict[str, Any], error: str, code: str
) -> None:
    meta.control("POST", "/faults", {"operation": "list_accounts", "times": None, "error": error})
    without_sqs(parking_queue)

    outcome = flow.outcome(meta.authorize())

    assert isinstance(outcome, InstagramConnectError)
    assert outcome.code == code
    assert counted["ConnectionsLost"]["Value"] == [1.0]


def test_login_that_could_not_be_parked_resumes_when_its_code_is_resent(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi, parking_queue: str
) -> None:
    code = meta.authorize()
    storage.failures = [refusal(403, "42501")]
    without_sqs(parking_queue)
    assert isinstance(flow.outcome(code), StorageError)

    assert len(connect(flow, code)) == 2


def test_tokens_that_cannot_be_encrypted_are_neither_stored_nor_parked(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi, sent: Sent
) -> None:
    without_kms = replace(flow, flow=replace(flow.flow, vault=vault_without_key()))

    outcome = without_kms.outcome(meta.authorize())

    assert isinstance(outcome, TokenEncryptionError)
    assert (storage.payloads, sent()) == ([], [])


def test_meta_failure_is_returned_when_the_login_token_cannot_be_encrypted(
    flow: Connecting, meta: MetaClient, sent: Sent, counted: dict[str, Any]
) -> None:
    without_kms = replace(flow, flow=replace(flow.flow, vault=vault_without_key()))
    meta.control("POST", "/faults", {"operation": "list_accounts", "times": None, "error": "server_error"})

    outcome = without_kms.outcome(meta.authorize())

    assert isinstance(outcome, InstagramConnectError)
    assert outcome.code == "META_UNAVAILABLE"
    assert counted["ConnectionsLost"]["Value"] == [1.0]
    assert sent() == []
