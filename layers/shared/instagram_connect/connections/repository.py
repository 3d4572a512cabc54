"""Stores and reads connections, one request to the Data API for each operation."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from instagram_connect.errors import (
    AccountDisconnectedError,
    AccountNotFoundError,
    ReconnectRequiredError,
    StorageError,
)
from instagram_connect.models import Account, AccountToStore, ConnectionToStore, DisconnectedAccount, Login
from instagram_connect.runtime.clock import iso
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.data_api import DataApi, DataApiError
from instagram_connect.storage.diagnosis import PERSON_DELETED, storage_error
from instagram_connect.storage.rpc import Rpcs


class ConnectionRepository:
    """Stores and reads connections through RPCs; each call is one transaction. `database_url` as in `Rpcs`."""

    def __init__(
        self, data_api: DataApi, database_url: str | None = None, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._rpcs = Rpcs(data_api, database_url, sleep=sleep)

    def store_connection(self, connection: ConnectionToStore, deadline: Deadline) -> tuple[Account, ...]:
        """Store all accounts of a login with their credentials, or none; return them in the same order.

        Retried within the deadline while waiting can help. A newer stored token stays, and a known value is never
        replaced by a blank. Raises StorageError; AccountDisconnectedError if the person has requested the deletion of
        their data since the login.
        """
        return self.store_payload(payload_of(connection), deadline)

    def store_payload(self, payload: Mapping[str, Any], deadline: Deadline) -> tuple[Account, ...]:
        """Like `store_connection`, for a payload that `payload_of` made earlier."""
        request_id = payload.get("request_id")
        try:
            rows = self._rpcs.call_patiently("store_connection", payload, deadline, request_id=request_id)
        except StorageError as error:
            if error.reason != PERSON_DELETED.reason:
                raise
            raise AccountDisconnectedError(
                "Its owner has asked Meta to delete their data.", reason="DATA_DELETED"
            ) from None
        # A message is deleted because of this answer, so anything unexpected (a proxy's page) counts as not stored.
        if not isinstance(rows, list) or len(rows) != len(payload["accounts"]):
            raise storage_error(DataApiError(status=200), "store_connection")
        return tuple(map(Account.model_validate, rows))

    def list_accounts(self, user_id: str, deadline: Deadline) -> tuple[Account, ...]:
        """All accounts of a user, disconnected ones included, the oldest connection first.

        Raises StorageError.
        """
        rows = self._rpcs.call(
            "list_accounts", {"user_id": user_id}, deadline, details="The accounts could not be read."
        )
        return tuple(map(Account.model_validate, rows))

    def disconnect_account(
        self, account_id: str, *, user_id: str, request_id: str, deadline: Deadline
    ) -> DisconnectedAccount:
        """Erase an account's tokens and mark it as disconnected; return the last copies of the tokens.

        A repeated call returns no tokens. A login older than the disconnection does not bring the account back when it
        is stored later. Raises AccountNotFoundError if the user has no such account; StorageError.
        """
        payload = {"user_id": user_id, "account_id": account_id, "request_id": request_id}
        row = self._rpcs.call(
            "disconnect_account",
            payload,
            deadline,
            request_id=request_id,
            details="The account could not be disconnected.",
        )
        if row is None:
            raise AccountNotFoundError
        return DisconnectedAccount(
            account=Account.model_validate(row["account"]),
            meta_user_id=row["meta_user_id"],
            access_token_ciphertext=row["access_token_ciphertext"],
            user_token_ciphertext=row["user_token_ciphertext"],
            is_last_of_account=row["is_last_of_account"],
            is_last_of_person=row["is_last_of_person"],
        )

    def mark_needs_reauth(
        self,
        user_id: str,
        instagram_business_ids: Sequence[str],
        issued_at: datetime,
        failure: ReconnectRequiredError,
        deadline: Deadline,
    ) -> None:
        """Mark a user's accounts whose token, issued by `issued_at`, is dead. Idempotent. Raises StorageError."""
        payload = {
            "user_id": user_id,
            "instagram_business_ids": instagram_business_ids,
            "issued_at": issued_at.isoformat(),
            "failure_code": failure.log_context.get("meta_code"),
            "failure_subcode": failure.log_context.get("meta_subcode"),
            "reason": failure.reason,
            "hint": failure.hint,
        }
        self._rpcs.call("mark_needs_reauth", payload, deadline)

    def check(self, deadline: Deadline) -> None:
        """Check that connections can be stored: the Data API responds, knows the function, and lets us call it.

        Raises StorageError.
        """
        self._rpcs.call("store_connection", None, deadline)


def payload_of(connection: ConnectionToStore) -> dict[str, Any]:
    """The connection as JSON, the argument of the `store_connection` RPC. It holds tokens as ciphertexts only."""
    login = connection.login
    return {
        "user_id": connection.user_id,
        "provider": login.provider,
        "meta_user_id": login.meta_user_id,
        "request_id": connection.request_id,
        "accounts": [_account_payload(entry, login) for entry in connection.accounts],
    }


def _account_payload(entry: AccountToStore, login: Login) -> dict[str, Any]:
    account = entry.account
    return {
        "instagram_business_id": account.instagram_business_id,
        "username": account.username,
        "name": account.name,
        "biography": account.biography,
        "website": account.website,
        "profile_picture_url": account.profile_picture_url,
        "followers_count": account.followers_count,
        "follows_count": account.follows_count,
        "media_count": account.media_count,
        "page_id": account.page_id,
        "page_name": account.page_name,
        "page_tasks": account.page_tasks,
        "webhook_subscribed_at": iso(entry.webhook_subscribed_at),
        "webhook_subscription_error": entry.webhook_subscription_error,
        "access_token_ciphertext": entry.access_token_ciphertext,
        "user_token_ciphertext": entry.user_token_ciphertext,
        "scopes": login.granted_scopes,
        "issued_at": iso(login.token.issued_at),
        "expires_at": iso(login.token.expires_at),
        "data_access_expires_at": iso(login.data_access_expires_at),
    }
