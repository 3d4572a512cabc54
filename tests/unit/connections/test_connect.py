"""A whole connection, from code to payload, with the simulator for Meta and moto for AWS; and what is parked of it."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import boto3
import httpx
import pytest

from instagram_connect.connections.connect import (
    LEAST_TIME_FOR_META_S,
    RESERVED_FOR_STORING_S,
    ConnectionFlow,
    PendingConnection,
    Request,
)
from instagram_connect.connections.connect_once import NOT_AN_OUTCOME
from instagram_connect.connections.login_records import LoginKey, LoginRecords
from instagram_connect.connections.parking import ParkedConnection, ParkedLogin, Parking, read_message
from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import (
    AccessTokenInvalidError,
    AccountDisconnectedError,
    InstagramConnectError,
    LateStartError,
    LoginCodeUsedError,
    NoInstagramAccountError,
    RedirectUriMismatchError,
    StorageError,
    TokenEncryptionError,
)
from instagram_connect.meta.facebook_login import FacebookLogin
from instagram_connect.meta.instagram_login import InstagramLogin
from instagram_connect.meta.products import LoginProduct
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
from tests.support.connecting import connect_once
from tests.support.fakes import NOW, USER_ID, FakeDataApi, refusal
from tests.support.instagram_client import InstagramClient
from tests.support.meta_client import ALL_SCOPES, REDIRECT_URI, MetaClient


@pytest.fixture
def storage() -> FakeDataApi:
    return FakeDataApi()


@dataclass(frozen=True)
class Connecting:
    """The flow, with what every test asks of it."""

    flow: ConnectionFlow
    facebook: FacebookLogin
    records: LoginRecords

    def outcome(
        self,
        code: str,
        *,
        product: LoginProduct | None = None,
        user_id: str = USER_ID,
        redirect_uri: str = REDIRECT_URI,
        seconds: float = 26,
    ) -> tuple[Account, ...] | PendingConnection | InstagramConnectError:
        request = Request(user_id, "r-1", Deadline(seconds))
        try:
            once = connect_once(self.flow, self.records)
            return once.spend_code(product or self.facebook, code, redirect_uri, request)
        except NOT_AN_OUTCOME:
            raise
        except InstagramConnectError as error:
            return error

    def use_token(self, access_token: str) -> tuple[Account, ...] | PendingConnection:
        request = Request(USER_ID, "r-1", Deadline(26))
        token = self.facebook.accept_token(access_token, request.time_for_meta())
        return self.flow.connect(self.facebook, token, request, request.time_for_meta())


@pytest.fixture
def flow(
    facebook: FacebookLogin, vault: TokenVault, records: LoginRecords, parking: Parking, storage: FakeDataApi
) -> Connecting:
    repository = ConnectionRepository(storage.client(), sleep=lambda _: None)
    return Connecting(ConnectionFlow(vault, repository, parking, now=lambda: NOW), facebook, records)


Sent = Callable[[], list[str]]


def connect(flow: Connecting, code: str) -> tuple[Account, ...]:
    """The stored accounts, or the error as an exception."""
    outcome = flow.outcome(code)
    if isinstance(outcome, InstagramConnectError):
        raise outcome
    assert isinstance(outcome, tuple)
    return outcome


def test_a_code_becomes_one_payload_with_all_accounts(flow: Connecting, meta: MetaClient, storage: FakeDataApi) -> None:
    stored = connect(flow, meta.authorize())

    (payload,) = storage.payloads
    assert [account.username for account in stored] == ["cafe.azul", "estudio_ana"]
    assert payload["user_id"] == USER_ID
    assert payload["meta_user_id"] == "10220000000000001"
    assert payload["accounts"][0]["webhook_subscribed_at"] == NOW.isoformat()
    assert storage.request_ids == ["r-1"]


def test_tokens_leave_only_encrypted_and_bound_to_their_row(
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


def test_a_failed_subscription_is_recorded_and_fails_nothing(
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


def test_subscriptions_run_side_by_side(flow: Connecting, meta: MetaClient) -> None:
    meta.control("POST", "/faults", {"operation": "subscribe_page", "times": None, "latency_ms": 1500})

    connect(flow, meta.authorize("Dmitri Agency"))

    calls = meta.control("GET", "/calls?operation=subscribe_page")
    first_end = min(call["ended"] for call in calls)
    assert len(calls) == 108
    assert sum(call["started"] < first_end for call in calls) > 5  # of a hundred threads, on a machine that may be busy


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
def test_storage_is_asked_again_while_waiting_can_help(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi, failure: httpx.Response | Exception
) -> None:
    storage.failures = [failure, failure]

    assert len(connect(flow, meta.authorize())) == 2


def test_storage_is_not_asked_again_when_only_an_operator_can_help(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi
) -> None:
    storage.failures = [refusal(403, "42501")]

    outcome = flow.outcome(meta.authorize())

    assert isinstance(outcome, PendingConnection)
    assert storage.payloads == []


def test_a_code_is_not_spent_without_the_time_to_finish(flow: Connecting, meta: MetaClient) -> None:
    with pytest.raises(LateStartError):
        flow.outcome(meta.authorize(), seconds=RESERVED_FOR_STORING_S + LEAST_TIME_FOR_META_S - 1)

    assert meta.control("GET", "/calls") == []


def test_encryption_does_not_wait_for_subscriptions_that_hang(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instagram_connect.connections.connect.SUBSCRIBING_S", 0.3)
    meta.control("POST", "/faults", {"operation": "subscribe_page", "times": None, "latency_ms": 1500})

    assert len(connect(flow, meta.authorize("Dmitri Agency"))) == 108
    errors = {account["webhook_subscription_error"] for account in storage.payloads[0]["accounts"]}
    assert errors == {"META_UNAVAILABLE"}


def test_characters_that_postgres_cannot_store_cost_no_connection(
    flow: Connecting, meta: MetaClient, storage: FakeDataApi
) -> None:
    profile = {"id": "17841400000000077", "name": "half an emoji \ud83d"}
    pages = {"data": [{"id": "1", "name": "N\x00ame", "access_token": "EAA1", "instagram_business_account": profile}]}
    meta.control("POST", "/faults", {"operation": "list_accounts", "status": 200, "body": json.dumps(pages)})

    connect(flow, meta.authorize())

    (account,) = storage.payloads[0]["accounts"]
    assert (account["page_name"], account["name"]) == ("Name", "half an emoji ?")


def test_storage_that_refuses_says_why_and_quotes_nothing(
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


def test_instagram_login_goes_the_same_way(
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


def test_what_leaves_the_code_usable_is_raised_and_what_spends_it_is_an_outcome(
    flow: Connecting, meta: MetaClient
) -> None:
    code = meta.authorize("Ben Carter", scopes=[*ALL_SCOPES, "pages_read_engagement"])

    with pytest.raises(RedirectUriMismatchError):
        flow.outcome(code, redirect_uri="https://app.example/elsewhere")
    assert isinstance(flow.outcome(code), NoInstagramAccountError)
    assert isinstance(flow.outcome(code, user_id="somebody-else"), LoginCodeUsedError)


def test_a_login_that_was_interrupted_after_the_exchange_goes_on_with_its_token(
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


def test_a_kept_token_is_of_no_use_to_another_user(flow: Connecting, meta: MetaClient, records: LoginRecords) -> None:
    code = meta.authorize()
    connect(flow, code)

    assert records.kept_token(LoginKey.of(USER_ID, Provider.FACEBOOK, code)) is not None
    assert isinstance(flow.outcome(code, user_id="somebody-else"), LoginCodeUsedError)


def test_an_access_token_of_ours_connects_like_a_code(flow: Connecting, meta: MetaClient, storage: FakeDataApi) -> None:
    token = meta.short_token(scopes=[*ALL_SCOPES, "pages_read_engagement"])

    accounts = flow.use_token(token)

    assert isinstance(accounts, tuple)
    assert [account.username for account in accounts] == ["cafe.azul", "estudio_ana"]
    assert storage.payloads[0]["accounts"][0]["expires_at"] > NOW.isoformat()


def test_a_refused_access_token_stores_nothing(flow: Connecting, meta: MetaClient, storage: FakeDataApi) -> None:
    page_token = meta.page_token(meta.long_token(), "104857600000001")

    with pytest.raises(AccessTokenInvalidError):
        flow.use_token(page_token)

    assert storage.payloads == []


def test_a_login_that_goes_on_later_is_as_old_as_it_was_and_sends_no_code_again(
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
    """A login that only has to be stored."""
    token = UserToken("EAApersons-token", NOW, NOW + timedelta(days=60))
    login = Login(Provider.FACEBOOK, token, "10220000000000001", ("instagram_basic",), None)
    account = DiscoveredAccount("17841400000000001", "EAApage-token", username="cafe.azul")
    ciphertext = vault.encrypt("EAApage-token", TokenBinding(USER_ID, Provider.FACEBOOK, "17841400000000001"))
    return ConnectionToStore(USER_ID, login, (AccountToStore(account, ciphertext, None, NOW, None),), "r-1")


class FailingRepository:
    """A storage that fails for a reason."""

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
def test_whatever_is_wrong_with_storage_the_connection_is_parked_and_answered_as_pending(
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


def test_what_would_belong_to_a_deleted_user_is_not_kept(
    vault: TokenVault, parking: Parking, sent: Sent, counted: dict[str, Any]
) -> None:
    repository: Any = FailingRepository(OWNER_MISSING.reason)
    flow = ConnectionFlow(vault, repository, parking, now=lambda: NOW)

    with pytest.raises(StorageError) as told:
        flow.store_or_park(connection(vault), Deadline(20))

    assert told.value.reason == "OWNER_MISSING"
    assert (sent(), set(counted)) == ([], set())


def test_what_a_person_had_deleted_is_neither_stored_nor_parked(
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


def test_a_whole_login_waits_for_storage_that_stays_down_and_nothing_of_it_is_readable(
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


def test_an_access_token_whose_connection_cannot_be_stored_is_parked_like_a_code(
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
def test_a_login_that_meta_interrupts_after_the_exchange_is_parked(
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


def test_a_login_with_instagram_that_meta_interrupts_is_parked_with_what_was_granted(
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
def test_what_waiting_does_not_change_is_told_and_not_parked(
    flow: Connecting, meta: MetaClient, sent: Sent, fault: dict[str, Any], code: str
) -> None:
    code_of_login = meta.authorize(scopes=[*ALL_SCOPES, "pages_read_engagement"])
    meta.control("POST", "/faults", {"operation": "list_accounts", "times": None, **fault})

    outcome = flow.outcome(code_of_login)

    assert isinstance(outcome, InstagramConnectError)
    assert outcome.code == code
    assert sent() == []


def test_a_code_that_meta_refuses_is_told_and_not_parked(flow: Connecting, meta: MetaClient, sent: Sent) -> None:
    meta.control("POST", "/faults", {"operation": "exchange_code", "times": None, "error": "server_error"})

    outcome = flow.outcome(meta.authorize())

    assert isinstance(outcome, InstagramConnectError)
    assert outcome.code == "OAUTH_OUTCOME_UNKNOWN"
    assert sent() == []


def test_when_neither_storage_nor_the_queue_works_storages_failure_is_told_and_the_loss_counted(
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
def test_when_neither_meta_nor_the_queue_works_metas_failure_is_told_and_the_loss_counted(
    flow: Connecting, meta: MetaClient, parking_queue: str, counted: dict[str, Any], error: str, code: str
) -> None:
    meta.control("POST", "/faults", {"operation": "list_accounts", "times": None, "error": error})
    without_sqs(parking_queue)

    outcome = flow.outcome(meta.authorize())

    assert isinstance(outcome, InstagramConnectError)
    assert outcome.code == code
    assert counted["ConnectionsLost"]["Value"] == [1.0]


def test_a_login_that_could_not_even_be_parked_goes_on_when_its_code_comes_again(
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


def test_a_login_whose_token_cannot_be_encrypted_is_told_metas_failure(
    flow: Connecting, meta: MetaClient, sent: Sent, counted: dict[str, Any]
) -> None:
    without_kms = replace(flow, flow=replace(flow.flow, vault=vault_without_key()))
    meta.control("POST", "/faults", {"operation": "list_accounts", "times": None, "error": "server_error"})

    outcome = without_kms.outcome(meta.authorize())

    assert isinstance(outcome, InstagramConnectError)
    assert outcome.code == "META_UNAVAILABLE"
    assert counted["ConnectionsLost"]["Value"] == [1.0]
    assert sent() == []
