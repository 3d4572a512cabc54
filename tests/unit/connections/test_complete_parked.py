"""Completing parked logins and connections, with the Meta simulator, moto, and a Data API that has recovered."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from instagram_connect.connections.complete_parked import ParkedConnectionFlow
from instagram_connect.connections.connect import ConnectionFlow, PendingConnection, Request
from instagram_connect.connections.login_records import LoginRecords
from instagram_connect.connections.parking import Parked, ParkedConnection, ParkedLogin, Parking, read_message
from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import (
    RECONNECT_HINTS,
    ConfigurationError,
    LateStartError,
    MetaError,
    MetaUnavailableError,
    ReconnectRequiredError,
    StorageError,
    TokenEncryptionError,
)
from instagram_connect.meta.facebook_login import FacebookLogin
from instagram_connect.meta.graph import GraphClient
from instagram_connect.meta.instagram_login import InstagramLogin
from instagram_connect.meta.products import LoginProducts
from instagram_connect.models import Provider
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.settings import Secrets
from instagram_connect.security.token_vault import TokenBinding, TokenVault
from tests.support.connecting import connect_once
from tests.support.deployments import META
from tests.support.fakes import NOW, USER_ID, FakeDataApi, refusal
from tests.support.instagram_client import InstagramClient
from tests.support.meta_client import ALL_SCOPES, REDIRECT_URI, MetaClient

ANAS_ACCOUNTS = ["17841400000000001", "17841400000000002"]
CAFE = "17841400000000001"
# Responses of storage that is down.
DOWN = refusal(403, "42501")
# Storage's response after a data deletion.
DATA_DELETED = refusal(410, "PT410")


class Later:
    """A parked login with everything it touches: its message, its user's list, storage and Meta."""

    def __init__(
        self,
        flow: ParkedConnectionFlow,
        facebook: FacebookLogin,
        instagram_login: InstagramLogin,
        records: LoginRecords,
        meta: MetaClient,
        instagram: InstagramClient,
        storage: FakeDataApi,
        sent: Callable[[], list[str]],
    ) -> None:
        self.flow = flow
        self._products = {Provider.FACEBOOK: facebook, Provider.INSTAGRAM: instagram_login}
        self._records = records
        self._meta = meta
        self._instagram = instagram
        self._storage = storage
        self._sent = sent

    def parked_connection(self, provider: Provider = Provider.FACEBOOK) -> ParkedConnection:
        """A login whose accounts could not be stored."""
        self._storage.failures = [DOWN]
        parked = self._parked(provider)
        assert isinstance(parked, ParkedConnection)
        assert self._storage.failures == []
        return parked

    def parked_login(self, provider: Provider = Provider.FACEBOOK, **wanted: object) -> ParkedLogin:
        """A login that Meta interrupted."""
        for operation in ("list_accounts", "read_instagram_me"):
            self.fault(operation, "server_error")
        parked = self._parked(provider, **wanted)
        assert isinstance(parked, ParkedLogin)
        self._meta.control("DELETE", "/faults")
        return parked

    def fault(self, operation: str, error: str) -> None:
        self._meta.control("POST", "/faults", {"operation": operation, "times": None, "error": error})

    def complete(self, parked: Parked, **changes: Any) -> None:
        replace(self.flow, **changes).complete(parked, Deadline(40))

    def latest(self) -> Parked:
        return read_message(self._sent()[-1])

    def shown(self) -> list[tuple[str, list[str | None], str | None]]:
        """Id, usernames and error code of each record that the user sees."""
        return [
            (record.id, [account.username for account in record.accounts], record.code)
            for record in self.flow.parking.records_of(USER_ID)
        ]

    def _parked(self, provider: Provider, **wanted: object) -> Parked:
        authorize = self._meta.authorize if provider is Provider.FACEBOOK else self._instagram.authorize
        request = Request(USER_ID, "r-1", Deadline(26))
        product = self._products[provider]
        once = connect_once(self.flow.flow, self._records)
        outcome = once.spend_code(product, authorize(**wanted), REDIRECT_URI, request)  # type: ignore[arg-type]
        assert isinstance(outcome, PendingConnection)
        return self.latest()


@pytest.fixture
def storage() -> FakeDataApi:
    return FakeDataApi()


@pytest.fixture
def later(
    facebook: FacebookLogin,
    instagram_login: InstagramLogin,
    vault: TokenVault,
    records: LoginRecords,
    parking: Parking,
    meta: MetaClient,
    instagram: InstagramClient,
    storage: FakeDataApi,
    sent: Callable[[], list[str]],
) -> Later:
    repository = ConnectionRepository(storage.client(), sleep=lambda _: None)
    products: Any = {Provider.FACEBOOK: facebook, Provider.INSTAGRAM: instagram_login}
    flow = ParkedConnectionFlow(
        products=products,
        vault=vault,
        repository=repository,
        parking=parking,
        flow=ConnectionFlow(vault, repository, parking, now=lambda: NOW),
        now=lambda: NOW,
    )
    return Later(flow, facebook, instagram_login, records, meta, instagram, storage, sent)


def vault_without_key() -> TokenVault:
    return TokenVault("arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000000")


@pytest.mark.parametrize("provider", list(Provider))
def test_parked_connection_is_stored_unchanged_and_its_record_deleted(
    later: Later, storage: FakeDataApi, provider: Provider
) -> None:
    parked = later.parked_connection(provider)
    assert [record_id for record_id, *_ in later.shown()] == [parked.id]

    later.complete(parked)

    assert storage.payloads == [parked.payload]
    assert storage.request_ids == ["r-1"]
    assert later.shown() == []


def test_completing_a_connection_is_idempotent(later: Later, storage: FakeDataApi) -> None:
    parked = later.parked_connection()

    for _ in range(3):
        later.complete(parked)

    assert storage.payloads == [parked.payload] * 3
    assert later.shown() == []


def test_connection_stays_parked_while_storage_is_down(later: Later, storage: FakeDataApi) -> None:
    parked = later.parked_connection()
    storage.failures = [DOWN]

    with pytest.raises(StorageError):
        later.complete(parked)

    assert storage.payloads == []
    assert later.shown() == [(parked.id, ["cafe.azul", "estudio_ana"], None)]


@pytest.mark.parametrize(("reason", "subcode"), [("app_removed", 458), ("password_changed", 460)])
def test_token_revoked_while_parked_is_stored_and_marked(
    later: Later, storage: FakeDataApi, meta: MetaClient, reason: str, subcode: int
) -> None:
    parked = later.parked_connection()
    meta.control("POST", "/tokens/revoke", {"person": "Ana Souza", "reason": reason})

    later.complete(parked)
    later.complete(parked)

    marked = {
        "user_id": USER_ID,
        "instagram_business_ids": ANAS_ACCOUNTS,
        "issued_at": NOW.isoformat(),
        "failure_code": 190,
        "failure_subcode": subcode,
        "reason": reason.upper(),
        "hint": RECONNECT_HINTS[reason.upper()],
    }
    assert storage.payloads == [parked.payload, marked] * 2
    assert later.shown() == []


def test_token_expired_while_parked_is_stored_and_marked(later: Later, storage: FakeDataApi, meta: MetaClient) -> None:
    parked = later.parked_connection()
    meta.advance(61 * 24 * 3600)

    later.complete(parked)

    stored, marked = storage.payloads
    assert stored == parked.payload
    assert (marked["failure_code"], marked["failure_subcode"]) == (190, 463)


def test_dead_instagram_login_token_is_marked(later: Later, storage: FakeDataApi, meta: MetaClient) -> None:
    parked = later.parked_connection(Provider.INSTAGRAM)
    revocation = {"person": "cafe.azul", "product": "instagram", "reason": "app_removed"}
    meta.control("POST", "/tokens/revoke", revocation)

    later.complete(parked)

    assert [payload.get("instagram_business_ids") for payload in storage.payloads] == [None, [CAFE]]


class Checking:
    """A product that can only check tokens."""

    def __init__(self, check: Callable[[str, Deadline], None]) -> None:
        self.check_token = check


def test_connection_is_retried_when_its_dead_token_cannot_be_marked(later: Later, storage: FakeDataApi) -> None:
    def dead_and_storage_down(*_: object) -> None:
        storage.failures = [DOWN]
        raise ReconnectRequiredError(reason="TOKEN_INVALID")

    parked = later.parked_connection()

    with pytest.raises(StorageError):
        later.complete(parked, products={Provider.FACEBOOK: Checking(dead_and_storage_down)})

    assert storage.payloads == [parked.payload]
    assert [record_id for record_id, *_ in later.shown()] == [parked.id]


@pytest.mark.parametrize("error", ["server_error", "html_502", "app_rate_limit", "blocked", "permission_error"])
def test_token_that_cannot_be_checked_counts_as_alive(later: Later, storage: FakeDataApi, error: str) -> None:
    parked = later.parked_connection()
    later.fault("permissions", error)

    later.complete(parked)

    assert storage.payloads == [parked.payload]
    assert later.shown() == []


def test_connection_is_stored_without_kms_or_product_settings(
    later: Later, storage: FakeDataApi, meta: MetaClient
) -> None:
    parked = later.parked_connection()
    products = LoginProducts(META, Secrets({}), GraphClient(meta.http), lambda: NOW)
    with pytest.raises(ConfigurationError):
        products[Provider.FACEBOOK]

    later.complete(parked, vault=vault_without_key())
    later.complete(parked, products=products)

    assert storage.payloads == [parked.payload] * 2
    assert later.shown() == []


def test_connection_without_owner_is_retried_in_case_storage_is_misconfigured(
    later: Later, storage: FakeDataApi
) -> None:
    parked = later.parked_connection()
    storage.failures = [refusal(409, "23503", details="Key (user_id)=(…) is not present")]

    with pytest.raises(StorageError) as caught:
        later.complete(parked)

    assert caught.value.reason == "OWNER_MISSING"
    assert [shown[0] for shown in later.shown()] == [parked.id]


def test_parked_facebook_login_is_completed(
    later: Later, storage: FakeDataApi, vault: TokenVault, meta: MetaClient
) -> None:
    parked = later.parked_login()
    assert later.shown() == [(parked.id, [], None)]

    later.complete(parked)

    (payload,) = storage.payloads
    assert [account["instagram_business_id"] for account in payload["accounts"]] == ANAS_ACCOUNTS
    assert {account["webhook_subscribed_at"] for account in payload["accounts"]} == {NOW.isoformat()}
    assert {account["issued_at"] for account in payload["accounts"]} == {parked.issued_at.isoformat()}
    binding = TokenBinding(USER_ID, Provider.FACEBOOK, CAFE)
    persons_token = vault.decrypt(payload["accounts"][0]["user_token_ciphertext"], binding)
    assert meta.debug(persons_token)["expires_at"] > (NOW + timedelta(days=50)).timestamp()
    assert later.shown() == []


def test_parked_instagram_login_is_completed(
    later: Later, storage: FakeDataApi, vault: TokenVault, instagram: InstagramClient
) -> None:
    parked = later.parked_login(Provider.INSTAGRAM)

    later.complete(parked)

    (payload,) = storage.payloads
    (account,) = payload["accounts"]
    token = vault.decrypt(account["access_token_ciphertext"], TokenBinding(USER_ID, Provider.INSTAGRAM, CAFE))
    assert instagram.me(token)["username"] == "cafe.azul"
    assert "instagram_business_basic" in account["scopes"]
    assert account["webhook_subscribed_at"] == NOW.isoformat()
    assert later.shown() == []


def test_completing_a_login_is_idempotent(later: Later, storage: FakeDataApi) -> None:
    parked = later.parked_login()

    for _ in range(3):
        later.complete(parked)

    stored = [[account["instagram_business_id"] for account in payload["accounts"]] for payload in storage.payloads]
    assert stored == [ANAS_ACCOUNTS] * 3
    assert {account["issued_at"] for payload in storage.payloads for account in payload["accounts"]} == {
        NOW.isoformat()
    }
    assert later.shown() == []


def test_login_with_a_token_past_its_lifetime_ends_without_calling_meta(later: Later, meta: MetaClient) -> None:
    parked = later.parked_login()
    assert parked.expires_at is not None
    meta.control("DELETE", "/calls")

    later.complete(parked, now=lambda: parked.expires_at)

    assert later.shown() == [(parked.id, [], "RECONNECT_REQUIRED")]
    assert meta.control("GET", "/calls") == []


@pytest.mark.parametrize("provider", list(Provider))
def test_login_ends_when_meta_reports_its_token_expired(
    later: Later, storage: FakeDataApi, meta: MetaClient, provider: Provider
) -> None:
    parked = later.parked_login(provider).model_copy(update={"expires_at": None})
    meta.advance(3 * 3600)

    later.complete(parked)

    assert later.shown() == [(parked.id, [], "RECONNECT_REQUIRED")]
    assert storage.payloads == []


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"person": "Ben Carter", "scopes": [*ALL_SCOPES, "pages_read_engagement"]}, "NO_INSTAGRAM_ACCOUNT"),
        ({"person": "Chloé Dubois", "scopes": [*ALL_SCOPES, "pages_read_engagement"]}, "NO_FACEBOOK_PAGE"),
        ({"scopes": list(ALL_SCOPES), "declined_scopes": ["instagram_basic"]}, "SCOPES_DECLINED"),
        ({"person": "Chloé Dubois", "scopes": ["pages_show_list"]}, "SCOPES_NOT_REQUESTED"),
    ],
)
def test_login_without_an_account_ends_with_the_matching_error_code(
    later: Later, storage: FakeDataApi, wanted: dict[str, Any], code: str
) -> None:
    parked = later.parked_login(**wanted)

    later.complete(parked)
    later.complete(parked)

    assert later.shown() == [(parked.id, [], code)]
    assert storage.payloads == []


@pytest.mark.parametrize("error", ["server_error", "app_rate_limit", "wrong_secret", "blocked"])
def test_login_stays_parked_while_meta_or_the_app_fails(later: Later, storage: FakeDataApi, error: str) -> None:
    parked = later.parked_login()
    later.fault("list_accounts", error)

    with pytest.raises(MetaError):
        later.complete(parked)

    assert storage.payloads == []
    assert later.shown() == [(parked.id, [], None)]


def test_instagram_login_stays_parked_while_instagram_fails(later: Later, storage: FakeDataApi) -> None:
    parked = later.parked_login(Provider.INSTAGRAM)
    later.fault("extend_instagram_token", "server_error")

    with pytest.raises(MetaUnavailableError):
        later.complete(parked)

    assert later.shown() == [(parked.id, [], None)]


def test_discovered_accounts_replace_the_parked_login_while_storage_is_down(later: Later, storage: FakeDataApi) -> None:
    login = later.parked_login()
    storage.failures = [DOWN]

    later.complete(login)

    connection = later.latest()
    assert isinstance(connection, ParkedConnection)
    assert later.shown() == [(connection.id, ["cafe.azul", "estudio_ana"], None)]
    later.complete(connection)
    assert storage.payloads == [connection.payload]
    assert later.shown() == []


def test_login_stays_parked_without_kms(later: Later, storage: FakeDataApi) -> None:
    parked = later.parked_login()

    with pytest.raises(TokenEncryptionError):
        later.complete(parked, vault=vault_without_key())

    assert storage.payloads == []
    assert later.shown() == [(parked.id, [], None)]


def test_login_stays_parked_when_account_tokens_cannot_be_encrypted(later: Later, storage: FakeDataApi) -> None:
    parked = later.parked_login()

    with pytest.raises(TokenEncryptionError):
        later.complete(parked, flow=replace(later.flow.flow, vault=vault_without_key()))

    assert storage.payloads == []
    assert later.shown() == [(parked.id, [], None)]


def test_login_message_moved_to_another_user_is_unusable(later: Later, storage: FakeDataApi) -> None:
    parked = later.parked_login().model_copy(update={"user_id": "7b0f1c5e-0000-4000-8000-000000000002"})

    with pytest.raises(TokenEncryptionError):
        later.complete(parked)

    assert storage.payloads == []


def test_login_is_not_started_without_enough_time(later: Later, meta: MetaClient) -> None:
    parked = later.parked_login()
    meta.control("DELETE", "/calls")

    with pytest.raises(LateStartError):
        later.flow.complete(parked, Deadline(10))

    assert meta.control("GET", "/calls") == []
    assert later.shown() == [(parked.id, [], None)]


@pytest.mark.parametrize("provider", list(Provider))
def test_connection_is_dropped_after_a_data_deletion(
    later: Later, storage: FakeDataApi, sent: Callable[[], list[str]], log: io.StringIO, provider: Provider
) -> None:
    parked = later.parked_connection(provider)
    messages = sent()
    storage.failures = [DATA_DELETED]

    later.complete(parked)

    assert later.shown() == []
    assert (storage.payloads, storage.failures, sent()) == ([], [], messages)
    assert '"reason":"DATA_DELETED"' in log.getvalue()


@pytest.mark.parametrize("provider", list(Provider))
def test_login_is_dropped_after_a_data_deletion(
    later: Later, storage: FakeDataApi, sent: Callable[[], list[str]], log: io.StringIO, provider: Provider
) -> None:
    """Nothing is parked again, not even as a connection."""
    parked = later.parked_login(provider)
    messages = sent()
    storage.failures = [DATA_DELETED]

    later.complete(parked)

    assert later.shown() == []
    assert (storage.payloads, storage.failures, sent()) == ([], [], messages)
    assert '"reason":"DATA_DELETED"' in log.getvalue()


def test_dropping_is_idempotent(later: Later, storage: FakeDataApi) -> None:
    parked = later.parked_connection()

    for _ in range(2):
        storage.failures = [DATA_DELETED]
        later.complete(parked)

    assert (later.shown(), storage.payloads) == ([], [])


def test_login_newer_than_the_deletion_is_stored(later: Later, storage: FakeDataApi) -> None:
    """A deletion covers only data from before it."""
    former = later.parked_connection()
    newer = later.parked_login(Provider.INSTAGRAM)
    storage.failures = [DATA_DELETED]
    later.complete(former)

    later.complete(newer)

    assert [payload["provider"] for payload in storage.payloads] == ["instagram"]
    assert later.shown() == []


def test_tokens_and_ciphertexts_are_never_logged(
    later: Later, meta: MetaClient, vault: TokenVault, storage: FakeDataApi, log: io.StringIO
) -> None:
    connection, login = later.parked_connection(), later.parked_login()
    meta.control("POST", "/tokens/revoke", {"person": "Ana Souza", "reason": "app_removed"})

    later.complete(connection)
    later.complete(login)
    storage.failures = [DATA_DELETED]
    later.complete(connection)

    first = connection.payload["accounts"][0]
    token = vault.decrypt(first["user_token_ciphertext"], TokenBinding(USER_ID, Provider.FACEBOOK, CAFE))
    assert "A token died while it was parked" in log.getvalue()
    assert "A parked login needs its user" in log.getvalue()
    assert "Dropped a parked connection" in log.getvalue()
    for secret in (token, first["user_token_ciphertext"], first["access_token_ciphertext"], login.token_ciphertext):
        assert secret not in log.getvalue()
