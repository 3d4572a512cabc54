"""Logins that wait for storage: 202 now, and their outcome when the same code is sent again."""

import json
from datetime import timedelta
from typing import Any

import pytest

from instagram_connect.connections.connect import PendingConnection
from instagram_connect.connections.parking import ParkedRecord
from instagram_connect.errors import StorageError
from instagram_connect.models import Account, Provider
from tests.support.exchanging import FakeAccountList, FakeFlow, FakeRecords
from tests.support.fakes import NOW, USER_ID
from tests.support.routes import ACCOUNT, ORIGIN, Send, header

PENDING = ACCOUNT.model_copy(update={"id": None, "status": "pending"})
WAITING = PendingConnection(NOW, (PENDING,))
# A login whose accounts Meta has not named yet.
UNFINISHED = ParkedRecord(user_id=USER_ID, id="p-1", provider=Provider.FACEBOOK, issued_at=NOW)


def test_pending_login_response_matches_the_contract(post: Send, flow: FakeFlow) -> None:
    flow.outcome = WAITING

    answer = post()

    assert answer["statusCode"] == 202
    assert answer["json"] == {
        "success": True,
        "pending": True,
        "code": "STORAGE_DEFERRED",
        "data": {
            "businessAccountId": None,
            "accounts": [
                {
                    "id": None,
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
                    "status": "pending",
                }
            ],
        },
        "requestId": "6f1c2e0a-0000-4000-8000-000000000001",
    }
    assert header(answer, "Cache-Control") == "no-store"
    assert header(answer, "Access-Control-Allow-Origin") == ORIGIN


def test_login_interrupted_by_meta_is_pending_without_accounts(post: Send, flow: FakeFlow) -> None:
    flow.outcome = PendingConnection(NOW, ())

    answer = post()

    nothing: dict[str, Any] = {"businessAccountId": None, "accounts": []}
    assert (answer["statusCode"], answer["json"]["data"]) == (202, nothing)


def test_pending_access_token_responds_like_a_code(post: Send, flow: FakeFlow) -> None:
    flow.outcome = WAITING

    answer = post(body=json.dumps({"accessToken": "EAAx"}))

    assert (answer["statusCode"], answer["json"]["code"]) == (202, "STORAGE_DEFERRED")
    assert "EAAx" not in answer["body"]


def test_remembered_pending_login_has_no_profile(post: Send, flow: FakeFlow, records: FakeRecords) -> None:
    flow.outcome = WAITING

    post()

    pending = {"since": NOW.isoformat(), "accounts": [PENDING.instagram_business_id]}
    assert list(records.outcomes.values()) == [{"pending": pending}]


@pytest.mark.parametrize(
    ("accounts", "logins"),
    [
        ((PENDING,), ()),
        ((PENDING, ACCOUNT.model_copy(update={"instagram_business_id": "2"})), ()),
        ((), (UNFINISHED,)),
        ((), ()),  # its visible record could not be written
    ],
)
def test_repeated_code_is_pending_while_its_login_is_parked(
    post: Send,
    flow: FakeFlow,
    account_list: FakeAccountList,
    accounts: tuple[Account, ...],
    logins: tuple[ParkedRecord, ...],
) -> None:
    flow.outcome = WAITING
    post()
    account_list.accounts, account_list.logins = accounts, logins

    again = post()

    assert (again["statusCode"], again["json"]["pending"], again["json"]["code"]) == (202, True, "STORAGE_DEFERRED")
    shown = [account["status"] for account in again["json"]["data"]["accounts"]]
    assert set(shown) <= {"pending"}
    assert len(flow.asked) == 1


def test_repeated_code_succeeds_once_its_login_is_stored(
    post: Send, flow: FakeFlow, account_list: FakeAccountList
) -> None:
    flow.outcome = WAITING
    post()
    older = {"connected_at": NOW - timedelta(days=1), "id": "older", "instagram_business_id": "1"}
    elsewhere = {"provider": Provider.INSTAGRAM, "id": "other-product", "instagram_business_id": "2"}
    account_list.accounts = (ACCOUNT.model_copy(update=older), ACCOUNT.model_copy(update=elsewhere), ACCOUNT)

    again = post()

    assert again["statusCode"] == 200
    assert "pending" not in again["json"]
    assert again["json"]["data"]["businessAccountId"] == ACCOUNT.id
    assert [account["id"] for account in again["json"]["data"]["accounts"]] == [ACCOUNT.id]


def test_repeated_code_reports_why_its_login_ended(post: Send, flow: FakeFlow, account_list: FakeAccountList) -> None:
    flow.outcome = PendingConnection(NOW, ())
    post()
    account_list.accounts = ()
    account_list.logins = (UNFINISHED.model_copy(update={"code": "NO_FACEBOOK_PAGE"}),)

    again = post()

    assert (again["statusCode"], again["json"]["code"]) == (422, "NO_FACEBOOK_PAGE")
    assert again["json"]["actor"] == "user"


def test_repeated_code_reports_a_later_disconnect(post: Send, flow: FakeFlow, account_list: FakeAccountList) -> None:
    flow.outcome = PendingConnection(NOW, ())
    post()
    stored = ACCOUNT.model_copy(update={"status": "disconnected", "connected_at": NOW - timedelta(days=1)})
    account_list.accounts = (stored,)

    assert post()["json"]["code"] == "ACCOUNT_DISCONNECTED"


def test_repeated_code_reports_a_storage_failure_not_missing_accounts(
    post: Send, account_list: FakeAccountList
) -> None:
    """Parked accounts alone would make the list look complete."""
    post()
    account_list.accounts, account_list.error = (PENDING,), StorageError(reason="DATABASE_UNAVAILABLE")

    assert post()["json"]["reason"] == "DATABASE_UNAVAILABLE"


def test_repeated_code_lists_its_accounts_whichever_login_stored_them(
    post: Send, flow: FakeFlow, account_list: FakeAccountList
) -> None:
    """Since then another product stored the account, and another login is parked."""
    flow.outcome = WAITING
    post()
    by_instagram = ACCOUNT.model_copy(update={"provider": Provider.INSTAGRAM, "connected_at": NOW + timedelta(hours=1)})
    another = PENDING.model_copy(update={"instagram_business_id": "2", "connected_at": NOW + timedelta(hours=1)})
    account_list.accounts = (another, by_instagram)

    again = post()

    assert again["statusCode"] == 200
    assert [a["instagramBusinessId"] for a in again["json"]["data"]["accounts"]] == [ACCOUNT.instagram_business_id]


def test_failure_of_another_login_does_not_end_this_one(
    post: Send, flow: FakeFlow, account_list: FakeAccountList
) -> None:
    flow.outcome = PendingConnection(NOW, ())
    post()
    account_list.accounts = ()
    ended = {"id": "p-2", "issued_at": NOW - timedelta(hours=1), "code": "RECONNECT_REQUIRED"}
    account_list.logins = (UNFINISHED, UNFINISHED.model_copy(update=ended))

    assert post()["statusCode"] == 202
