"""Storage of connections: the verbs of the domain, one request to the Data API each."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
from postgrest import APIError, SyncPostgrestClient
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from .deadline import Deadline
from .errors import StorageError
from .models import AccountToStore, ConnectionToStore, Login, StoredAccount
from .storage_health import storage_error

# An attempt that fails takes up to this long; one is only begun while there is time for it.
ATTEMPT_S = 7.0
MAX_ATTEMPTS = 5


class ConnectionRepository:
    """Stores and reads connections through RPCs; each call is one transaction."""

    def __init__(self, data_api: SyncPostgrestClient, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._data_api = data_api
        self._sleep = sleep

    def store_connection(self, connection: ConnectionToStore, deadline: Deadline) -> tuple[StoredAccount, ...]:
        """Stores all accounts of a login with their credentials, or none of them; answers them in the same order.

        Repeated within the deadline while waiting can help. A newer token that is already stored stays, and no good
        value is replaced by a blank. Raises StorageError.
        """
        retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, StorageError) and error.recoverable),
            stop=lambda state: stop_after_attempt(MAX_ATTEMPTS)(state) or deadline.remaining_s() < ATTEMPT_S,
            wait=wait_random_exponential(multiplier=0.2, max=1),
            sleep=self._sleep,
            reraise=True,
        )
        arguments = {"payload": _payload(connection)}
        rows = retrying(self._call, "store_connection", arguments, request_id=connection.request_id)
        return tuple(_stored_account(row) for row in rows)

    def reload_schema_cache(self) -> None:
        """Asks the Data API to read the schema again; it does so shortly after. Raises StorageError."""
        self._call("reload_schema_cache", {})

    def check(self) -> None:
        """Returns if connections could be stored now: the Data API answers, knows the function, and lets us call it.

        Raises StorageError.
        """
        self._call("store_connection", {"payload": None})

    def _call(self, function: str, arguments: dict[str, Any], request_id: str | None = None) -> Any:
        call = self._data_api.rpc(function, arguments)
        if request_id:
            call.request.headers["X-Request-Id"] = request_id
        try:
            return call.execute().data
        except (APIError, httpx.TransportError) as error:
            raise storage_error(error, function) from None


def _payload(connection: ConnectionToStore) -> dict[str, Any]:
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
        "webhook_subscribed_at": _iso(entry.webhook_subscribed_at),
        "webhook_subscription_error": entry.webhook_subscription_error,
        "access_token_ciphertext": entry.access_token_ciphertext,
        "user_token_ciphertext": entry.user_token_ciphertext,
        "scopes": login.granted_scopes,
        "issued_at": _iso(login.token.issued_at),
        "expires_at": _iso(login.token.expires_at),
        "data_access_expires_at": _iso(login.data_access_expires_at),
    }


def _stored_account(row: dict[str, Any]) -> StoredAccount:
    return StoredAccount(
        id=row["id"],
        instagram_business_id=row["instagram_business_id"],
        username=row["username"],
        name=row["name"],
        page_id=row["page_id"],
        page_name=row["page_name"],
        profile_picture_url=row["profile_picture_url"],
        followers_count=row["followers_count"],
        token_expires_at=row["token_expires_at"],
        status=row["status"],
    )


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
