"""A whole connection, from code to payload, with the simulator for Meta and moto for KMS."""

import io
import json
from collections.abc import Iterator

import boto3
import httpx
import pytest
from moto import mock_aws

from instagram_connect.connection_flow import ConnectionFlow
from instagram_connect.deadline import Deadline
from instagram_connect.errors import InstagramConnectError, StorageError
from instagram_connect.meta.facebook_login import FacebookLogin
from instagram_connect.models import Provider, StoredAccount
from instagram_connect.repository import ConnectionRepository
from instagram_connect.token_vault import TokenBinding, TokenVault
from tests.unit.fakes import NOW, USER_ID, FakeDataApi
from tests.unit.meta_simulator.meta_client import REDIRECT_URI, MetaClient


@pytest.fixture
def storage() -> FakeDataApi:
    return FakeDataApi()


@pytest.fixture
def vault() -> Iterator[TokenVault]:
    with mock_aws():
        key = boto3.client("kms", region_name="us-east-1").create_key()
        yield TokenVault(key["KeyMetadata"]["Arn"])


@pytest.fixture
def flow(facebook: FacebookLogin, vault: TokenVault, storage: FakeDataApi) -> ConnectionFlow:
    return ConnectionFlow(facebook, vault, ConnectionRepository(storage.client()), now=lambda: NOW)


def connect(flow: ConnectionFlow, code: str) -> tuple[StoredAccount, ...]:
    return flow.connect(code, REDIRECT_URI, user_id=USER_ID, request_id="r-1", deadline=Deadline(20))


def test_a_code_becomes_one_payload_with_all_accounts(
    flow: ConnectionFlow, meta: MetaClient, storage: FakeDataApi
) -> None:
    stored = connect(flow, meta.authorize())

    (payload,) = storage.payloads
    assert [account.username for account in stored] == ["cafe.azul", "estudio_ana"]
    assert payload["user_id"] == USER_ID
    assert payload["meta_user_id"] == "10220000000000001"
    assert payload["accounts"][0]["webhook_subscribed_at"] == NOW.isoformat()
    assert storage.request_ids == ["r-1"]


def test_tokens_leave_only_encrypted_and_bound_to_their_row(
    flow: ConnectionFlow, meta: MetaClient, storage: FakeDataApi, vault: TokenVault
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
    flow: ConnectionFlow, meta: MetaClient, storage: FakeDataApi
) -> None:
    meta.control(
        "POST", "/faults", {"path": "*/104857600000001/subscribed_apps", "times": None, "error": "server_error"}
    )

    stored = connect(flow, meta.authorize())

    failed, subscribed = storage.payloads[0]["accounts"]
    assert len(stored) == 2
    assert (failed["webhook_subscribed_at"], failed["webhook_subscription_error"]) == (None, "META_UNAVAILABLE")
    assert subscribed["webhook_subscription_error"] is None


def test_subscriptions_run_side_by_side(flow: ConnectionFlow, meta: MetaClient) -> None:
    meta.control("POST", "/faults", {"operation": "subscribe_page", "times": None, "latency_ms": 150})

    connect(flow, meta.authorize("Dmitri Agency"))

    calls = meta.control("GET", "/calls?operation=subscribe_page")
    first_end = min(call["ended"] for call in calls)
    assert len(calls) == 108
    assert sum(call["started"] < first_end for call in calls) > 20


def test_a_connection_dropped_by_the_data_api_is_made_anew(
    flow: ConnectionFlow, meta: MetaClient, storage: FakeDataApi
) -> None:
    storage.failures = [httpx.RemoteProtocolError("Server disconnected")]

    assert len(connect(flow, meta.authorize())) == 2


def test_storage_that_refuses_says_why_and_quotes_nothing(
    flow: ConnectionFlow, meta: MetaClient, storage: FakeDataApi, log: io.StringIO
) -> None:
    details = "Failing row contains (EAAtoken)"
    storage.failures = [httpx.Response(404, json={"code": "PGRST202", "message": details, "details": details})]

    with pytest.raises(StorageError) as caught:
        connect(flow, meta.authorize())

    assert caught.value.reason == "SCHEMA_CACHE_STALE"
    assert "EAAtoken" not in f"{caught.value!r} {caught.value.log_context} {log.getvalue()}"


def test_nothing_is_stored_when_meta_gives_no_account(
    flow: ConnectionFlow, meta: MetaClient, storage: FakeDataApi
) -> None:
    with pytest.raises(InstagramConnectError):
        connect(flow, meta.authorize("Ben Carter"))

    assert storage.payloads == []
