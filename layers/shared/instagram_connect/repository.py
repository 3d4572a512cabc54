"""Storage of connections: the verbs of the domain, one request to the Data API each."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
from postgrest import APIError, SyncPostgrestClient
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from .deadline import Deadline
from .errors import AccountNotFoundError, StorageError
from .models import Account, AccountToStore, ConnectionToStore, DisconnectedAccount, Login
from .schema_cache import SchemaCache
from .schema_contract import RELOAD_FUNCTION
from .storage_health import STALE, diagnose, storage_error

# An attempt that fails takes up to this long; one is only begun while there is time for it.
ATTEMPT_S = 7.0
MAX_ATTEMPTS = 5


class ConnectionRepository:
    """Stores and reads connections through RPCs; each call is one transaction."""

    def __init__(self, data_api: SyncPostgrestClient, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._data_api = data_api
        self._schema_cache = SchemaCache(data_api, sleep=sleep)
        self._sleep = sleep

    def store_connection(self, connection: ConnectionToStore, deadline: Deadline) -> tuple[Account, ...]:
        """Stores all accounts of a login with their credentials, or none of them; answers them in the same order.

        Repeated within the deadline while waiting can help. A newer token that is already stored stays, and no good
        value is replaced by a blank. Raises StorageError.
        """
        retrying = Retrying(
            retry=retry_if_exception(_may_pass_by_itself),
            stop=lambda state: stop_after_attempt(MAX_ATTEMPTS)(state) or deadline.remaining_s() < ATTEMPT_S,
            wait=wait_random_exponential(multiplier=0.2, max=1),
            sleep=self._sleep,
            reraise=True,
        )
        arguments = {"payload": _payload(connection)}
        rows = retrying(self._call, "store_connection", arguments, request_id=connection.request_id)
        return tuple(map(Account.model_validate, rows))

    def list_accounts(self, user_id: str) -> tuple[Account, ...]:
        """All accounts of a user, also disconnected ones, the one that was connected first before the others.

        Raises StorageError.
        """
        rows = self._call("list_accounts", {"payload": {"user_id": user_id}}, details="The accounts could not be read.")
        return tuple(map(Account.model_validate, rows))

    def disconnect_account(self, account_id: str, *, user_id: str, request_id: str) -> DisconnectedAccount:
        """Erases an account's tokens and marks it as disconnected; answers the tokens' last copies.

        Again changes nothing and answers no tokens. Raises AccountNotFoundError when the user has no such account,
        StorageError.
        """
        payload = {"user_id": user_id, "account_id": account_id, "request_id": request_id}
        row = self._call(
            "disconnect_account",
            {"payload": payload},
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

    def reload_schema_cache(self) -> None:
        """Asks the Data API to read the schema again; it does so shortly after. Raises StorageError."""
        self._call(RELOAD_FUNCTION, {})

    def check(self) -> None:
        """Returns if connections could be stored now: the Data API answers, knows the function, and lets us call it.

        Raises StorageError.
        """
        self._call("store_connection", {"payload": None})

    def _call(
        self, function: str, arguments: dict[str, Any], *, request_id: str | None = None, details: str | None = None
    ) -> Any:
        """What a function answers, also when the schema cache has to be healed for it. Raises StorageError."""
        call = self._data_api.rpc(function, arguments)
        if request_id:
            call.request.headers["X-Request-Id"] = request_id
        try:
            try:
                return call.execute().data
            except APIError as error:
                is_stale = diagnose(error).reload_helps and function != RELOAD_FUNCTION
                if not (is_stale and self._schema_cache.heal(function)):
                    raise
                return call.execute().data
        except (APIError, httpx.TransportError) as error:
            raise storage_error(error, function, details) from None


def _may_pass_by_itself(error: BaseException) -> bool:
    # A stale cache was waited for already, and does not heal by more of it.
    return isinstance(error, StorageError) and error.recoverable and error.reason != STALE.reason


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


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
