"""Disconnecting: storage first, then Meta; the account stays disconnected even if Meta fails."""

import base64
import io
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from instagram_connect.connections import disconnect as module
from instagram_connect.connections.disconnect import TELLING_META_S, UNSUBSCRIBING_S, Disconnected, DisconnectionFlow
from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import AccountNotFoundError, ConfigurationError, StorageError
from instagram_connect.meta.facebook_login import FacebookLogin
from instagram_connect.meta.graph import GraphClient
from instagram_connect.meta.instagram_login import InstagramLogin
from instagram_connect.meta.products import LoginProducts
from instagram_connect.models import DiscoveredAccount, Login, Provider
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.settings import Secrets
from instagram_connect.security.token_vault import TokenBinding, TokenVault
from meta_simulator.call_log import fingerprint
from tests.support.deployments import META
from tests.support.fakes import NOW, USER_ID, data_api
from tests.support.instagram_client import InstagramClient
from tests.support.meta_client import REDIRECT_URI, MetaClient

ACCOUNT_ID = "9a000000-0000-4000-8000-000000000001"
TELLING = ("unsubscribe_page", "revoke_app", "unsubscribe_instagram")

Row = dict[str, Any]


def row(account: DiscoveredAccount, login: Login, vault: TokenVault, **changes: Any) -> Row:
    """The Data API's response to the first disconnection of an account."""
    binding = TokenBinding(USER_ID, login.provider, account.instagram_business_id)
    has_own_token = account.access_token != login.token.value
    return {
        "account": {
            "id": ACCOUNT_ID,
            "provider": login.provider,
            "instagram_business_id": account.instagram_business_id,
            "username": account.username,
            "name": account.name,
            "page_id": account.page_id,
            "page_name": account.page_name,
            "profile_picture_url": None,
            "followers_count": account.followers_count,
            "token_expires_at": None,
            "connected_at": NOW.isoformat(),
            "status": "disconnected",
        },
        "meta_user_id": login.meta_user_id,
        "access_token_ciphertext": vault.encrypt(account.access_token, binding),
        "user_token_ciphertext": vault.encrypt(login.token.value, binding) if has_own_token else None,
        "is_last_of_account": True,
        "is_last_of_person": True,
        **changes,
    }


def repository(answer: Callable[[httpx.Request], httpx.Response]) -> ConnectionRepository:
    return ConnectionRepository(data_api(answer), sleep=lambda _: None)


def disconnect(answered: Row | None, products: object, vault: TokenVault, seconds: float = 20) -> Disconnected:
    stored = repository(lambda _: httpx.Response(200, content=json.dumps(answered)))
    flow = DisconnectionFlow(products, vault, stored)  # type: ignore[arg-type]
    return flow.disconnect(ACCOUNT_ID, user_id=USER_ID, request_id="r-1", deadline=Deadline(seconds))


def told(meta: MetaClient) -> list[tuple[str, str, str]]:
    """The calls made to Meta: operations, paths and token fingerprints."""
    return [
        (call["operation"], call["path"], call["fingerprints"]["access_token"])
        for call in meta.control("GET", "/calls")
        if call["operation"] in TELLING
    ]


@pytest.fixture
def connected(facebook: FacebookLogin, meta: MetaClient) -> tuple[Login, DiscoveredAccount]:
    """Ana's first account, connected with Facebook and subscribed."""
    token = facebook.exchange_code(meta.authorize(), REDIRECT_URI, Deadline(20))
    login, accounts = facebook.discover(token, Deadline(20))
    facebook.subscribe(accounts[0], Deadline(20))
    return login, accounts[0]


@pytest.fixture
def erased(connected: tuple[Login, DiscoveredAccount], vault: TokenVault) -> Row:
    login, account = connected
    return row(account, login, vault)


@pytest.fixture
def products(facebook: FacebookLogin, instagram_login: InstagramLogin) -> dict[Provider, object]:
    return {Provider.FACEBOOK: facebook, Provider.INSTAGRAM: instagram_login}


def test_tokens_are_erased_before_meta_is_called(
    products: object, vault: TokenVault, erased: Row, meta: MetaClient
) -> None:
    asked: list[tuple[str, dict[str, Any], str | None]] = []
    told_before: list[object] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path, sent = request.url.path, json.loads(request.content)["payload"]
        asked.append((path, sent, request.headers.get("X-Request-Id")))
        told_before.extend(told(meta))
        return httpx.Response(200, json=erased)

    flow = DisconnectionFlow(products, vault, repository(answer))  # type: ignore[arg-type]
    flow.disconnect(ACCOUNT_ID, user_id=USER_ID, request_id="r-1", deadline=Deadline(20))

    payload = {"user_id": USER_ID, "account_id": ACCOUNT_ID, "request_id": "r-1"}
    assert asked == [("/rest/v1/rpc/instagram_connect_disconnect_account", payload, "r-1")]
    assert told_before == []
    assert len(told(meta)) == 2


def test_unsubscribes_with_the_page_token_then_revokes_with_the_user_token(
    products: object,
    vault: TokenVault,
    erased: Row,
    connected: tuple[Login, DiscoveredAccount],
    meta: MetaClient,
) -> None:
    login, account = connected

    done = disconnect(erased, products, vault)

    assert (done.account.id, done.account.status) == (ACCOUNT_ID, "disconnected")
    assert (done.unsubscribed, done.kept_for_others, done.revoked) == (True, False, True)
    assert told(meta) == [
        ("unsubscribe_page", f"/v25.0/{account.page_id}/subscribed_apps", fingerprint(account.access_token)),
        ("revoke_app", f"/v25.0/{login.meta_user_id}/permissions", fingerprint(login.token.value)),
    ]
    assert meta.debug(login.token.value)["is_valid"] is False


def test_instagram_account_is_unsubscribed_and_its_grant_kept(
    products: object,
    vault: TokenVault,
    instagram_login: InstagramLogin,
    instagram: InstagramClient,
    meta: MetaClient,
) -> None:
    token = instagram_login.exchange_code(instagram.authorize(), REDIRECT_URI, Deadline(20))
    login, (account,) = instagram_login.discover(token, Deadline(20))
    instagram_login.subscribe(account, Deadline(20))

    done = disconnect(row(account, login, vault), products, vault)

    assert (done.account.provider, done.unsubscribed, done.revoked) == (Provider.INSTAGRAM, True, False)
    assert [operation for operation, *_ in told(meta)] == ["unsubscribe_instagram"]
    assert instagram.get("/me/subscribed_apps", access_token=account.access_token).json() == {"data": []}


@pytest.mark.parametrize(
    ("of_account", "of_person", "operations"),
    [
        (False, False, []),
        (True, False, ["unsubscribe_page"]),
        (False, True, ["revoke_app"]),
    ],
)
def test_grant_shared_with_other_accounts_is_kept(
    products: object,
    vault: TokenVault,
    erased: Row,
    meta: MetaClient,
    of_account: bool,
    of_person: bool,
    operations: list[str],
) -> None:
    answered = {**erased, "is_last_of_account": of_account, "is_last_of_person": of_person}

    done = disconnect(answered, products, vault)

    assert (done.unsubscribed, done.kept_for_others, done.revoked) == (of_account, not of_account, of_person)
    assert [operation for operation, *_ in told(meta)] == operations


def test_grant_is_kept_when_the_meta_user_id_is_unknown(
    products: object, vault: TokenVault, erased: Row, meta: MetaClient
) -> None:
    done = disconnect({**erased, "meta_user_id": None}, products, vault)

    assert (done.unsubscribed, done.revoked) == (True, False)
    assert [operation for operation, *_ in told(meta)] == ["unsubscribe_page"]


def test_repeated_disconnect_does_not_call_meta(
    products: object, vault: TokenVault, erased: Row, meta: MetaClient
) -> None:
    repeated = {**erased, "access_token_ciphertext": None, "user_token_ciphertext": None}

    done = disconnect(repeated, products, vault)

    assert (done.account.status, done.unsubscribed, done.revoked) == ("disconnected", False, False)
    assert told(meta) == []


@pytest.mark.parametrize("error", ["server_error", "html_502", "invalid_token", "app_rate_limit", "permission_error"])
def test_disconnects_when_meta_rejects_every_call(
    products: object, vault: TokenVault, erased: Row, meta: MetaClient, log: io.StringIO, error: str
) -> None:
    meta.control("POST", "/faults", {"path": "*", "times": None, "error": error})

    done = disconnect(erased, products, vault)

    assert (done.account.status, done.unsubscribed, done.revoked) == ("disconnected", False, False)
    assert log.getvalue().count("Meta was not told of a disconnection") == 2


def test_grant_is_revoked_after_a_failed_unsubscribe(
    products: object, vault: TokenVault, erased: Row, meta: MetaClient
) -> None:
    meta.control("POST", "/faults", {"operation": "unsubscribe_page", "times": None, "error": "permission_error"})

    done = disconnect(erased, products, vault)

    assert (done.unsubscribed, done.revoked) == (False, True)


def test_disconnects_when_meta_is_unreachable(
    vault: TokenVault, erased: Row, facebook: FacebookLogin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("x")

    http = httpx.Client(transport=httpx.MockTransport(unreachable))
    monkeypatch.setattr(facebook, "_graph", GraphClient(http, sleep=lambda _: None))

    done = disconnect(erased, {Provider.FACEBOOK: facebook}, vault)

    assert (done.unsubscribed, done.revoked) == (False, False)


def test_hanging_meta_is_cut_off(
    products: object, vault: TokenVault, erased: Row, meta: MetaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TELLING_META_S", 0.3)
    meta.control("POST", "/faults", {"path": "*", "times": None, "latency_ms": 1500})
    started = time.monotonic()

    done = disconnect(erased, products, vault)

    assert (done.unsubscribed, done.revoked) == (False, False)
    assert time.monotonic() - started < 1.4


@pytest.mark.parametrize("left_s", [60.0, 2.0])
def test_meta_deadline_is_capped_by_the_remaining_time(
    vault: TokenVault, erased: Row, facebook: FacebookLogin, monkeypatch: pytest.MonkeyPatch, left_s: float
) -> None:
    given_s: list[float] = []
    monkeypatch.setattr(facebook, "unsubscribe", lambda account, deadline: given_s.append(deadline.remaining_s()))
    monkeypatch.setattr(facebook, "revoke", lambda token, person, deadline: given_s.append(deadline.remaining_s()))

    disconnect(erased, {Provider.FACEBOOK: facebook}, vault, seconds=left_s)

    to_unsubscribe_s, to_revoke_s = given_s
    assert min(left_s, UNSUBSCRIBING_S) - 1.5 < to_unsubscribe_s <= min(left_s, UNSUBSCRIBING_S)
    assert min(left_s, TELLING_META_S) - 1.5 < to_revoke_s <= min(left_s, TELLING_META_S)


@pytest.mark.parametrize("column", ["access_token_ciphertext", "user_token_ciphertext"])
@pytest.mark.parametrize("position", [0, 3, 40, -115, -1])  # the last two damage the body's tag and the signature
def test_disconnects_with_a_damaged_ciphertext(
    products: object, vault: TokenVault, erased: Row, column: str, position: int
) -> None:
    damaged = bytearray(base64.b64decode(erased[column]))
    damaged[position] ^= 0x41

    done = disconnect({**erased, column: base64.b64encode(damaged).decode()}, products, vault)

    is_unsubscribed = column == "user_token_ciphertext"
    assert (done.account.status, done.unsubscribed, done.revoked) == (
        "disconnected",
        is_unsubscribed,
        not is_unsubscribed,
    )


@pytest.mark.parametrize("ciphertext", ["", "not base64!", "QUJD", "ünïcode"])
def test_disconnects_with_an_invalid_ciphertext(
    products: object, vault: TokenVault, erased: Row, meta: MetaClient, ciphertext: str
) -> None:
    done = disconnect({**erased, "access_token_ciphertext": ciphertext}, products, vault)

    assert (done.account.status, done.unsubscribed, done.revoked) == ("disconnected", False, True)
    assert [operation for operation, *_ in told(meta)] == ["revoke_app"]


def test_token_of_another_account_is_not_used(
    products: object, vault: TokenVault, erased: Row, meta: MetaClient
) -> None:
    other = vault.encrypt("EAAother", TokenBinding(USER_ID, Provider.FACEBOOK, "17841400000009999"))

    done = disconnect({**erased, "access_token_ciphertext": other}, products, vault)

    assert done.unsubscribed is False
    assert [operation for operation, *_ in told(meta)] == ["revoke_app"]


def test_disconnects_when_its_product_is_not_configured(
    vault: TokenVault, erased: Row, meta: MetaClient, log: io.StringIO
) -> None:
    products = LoginProducts(META, Secrets({}), GraphClient(meta.http), lambda: NOW)
    with pytest.raises(ConfigurationError):
        products[Provider.FACEBOOK]

    done = disconnect(erased, products, vault)

    assert (done.account.status, done.unsubscribed, done.revoked) == ("disconnected", False, False)
    assert '"code":"CONFIGURATION_INVALID"' in log.getvalue()


def test_account_of_another_user_is_not_found(products: object, vault: TokenVault, meta: MetaClient) -> None:
    with pytest.raises(AccountNotFoundError):
        disconnect(None, products, vault)
    assert told(meta) == []


def test_meta_is_not_called_when_storage_fails(
    products: object, vault: TokenVault, erased: Row, meta: MetaClient
) -> None:
    refusal = repository(lambda _: httpx.Response(403, json={"code": "42501", "message": "m"}))

    with pytest.raises(StorageError):
        DisconnectionFlow(products, vault, refusal).disconnect(  # type: ignore[arg-type]
            ACCOUNT_ID, user_id=USER_ID, request_id="r-1", deadline=Deadline(20)
        )
    assert told(meta) == []


def test_tokens_are_never_logged(
    products: object,
    vault: TokenVault,
    erased: Row,
    connected: tuple[Login, DiscoveredAccount],
    meta: MetaClient,
    log: io.StringIO,
) -> None:
    login, account = connected
    meta.control("POST", "/faults", {"operation": "revoke_app", "times": None, "error": "invalid_token"})

    disconnect(erased, products, vault)

    assert "Disconnected an account" in log.getvalue()
    for secret in (login.token.value, account.access_token, erased["access_token_ciphertext"]):
        assert secret not in log.getvalue()
