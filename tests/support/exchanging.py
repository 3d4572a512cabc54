"""exchange_token in unit tests: a scripted connection flow, and outcomes and accounts in memory."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from functions.exchange_token.app import Dependencies, build_api
from instagram_connect.connections.account_list import AccountsOfUser
from instagram_connect.connections.connect import PendingConnection, Request
from instagram_connect.connections.login_records import LoginKey, LoginOutcome
from instagram_connect.connections.parking import ParkedRecord
from instagram_connect.errors import (
    AccountDisconnectedError,
    InstagramConnectError,
    OAuthStateError,
)
from instagram_connect.models import Account, Provider
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.security.oauth_state import StateSigner
from tests.support.fakes import NOW, USER_ID
from tests.support.lambda_context import FakeLambdaContext
from tests.support.routes import ACCOUNT, ORIGIN, ORIGINS, STATE_KEY, LoadEvent, Send, sender

CALLBACK = f"{ORIGIN}/callback"


class FakeFlow:
    """Records what it was asked to connect; returns `outcome`, or raises it if it is an error.

    `error` is raised instead: an error of one request alone.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.requests: list[Request] = []
        self.outcome: tuple[Account, ...] | PendingConnection | InstagramConnectError = (ACCOUNT,)
        self.error: Exception | None = None

    def connect(self, product: "FakeProduct", token: tuple[str, ...], request: Request, _: Deadline) -> object:
        self.asked.append((product.provider, *token))
        self.requests.append(request)
        if self.error:
            raise self.error
        if isinstance(self.outcome, InstagramConnectError):
            raise self.outcome
        return self.outcome


@dataclass(frozen=True)
class FakeProduct:
    """Accepts every code and token."""

    provider: Provider

    def exchange_code(self, code: str, redirect_uri: str, _: Deadline) -> tuple[str, ...]:
        return code, redirect_uri

    def accept_token(self, access_token: str, _: Deadline) -> tuple[str, ...]:
        return (access_token,)


class FakeRecords:
    """Remembers outcomes and states in memory."""

    def __init__(self) -> None:
        self.outcomes: dict[str, LoginOutcome] = {}
        self.states: dict[str, str] = {}

    def outcome_of(self, login: LoginKey, attempt: Callable[[], LoginOutcome], *_: object) -> LoginOutcome:
        if str(login) not in self.outcomes:
            self.outcomes[str(login)] = json.loads(json.dumps(attempt()))
        return self.outcomes[str(login)]

    def kept_token(self, login: LoginKey) -> None:
        """None: no attempt was interrupted."""

    def keep_token(self, login: LoginKey, token: object) -> None:
        """Forgets it."""

    def use_state(self, state_id: str, login: LoginKey) -> bool:
        is_first_time = state_id not in self.states
        if self.states.setdefault(state_id, str(login)) != str(login):
            raise OAuthStateError(reason="STATE_USED")
        return is_first_time


class FakeAccountList:
    """The user's accounts and unfinished logins, as they are now."""

    def __init__(self) -> None:
        self.accounts: tuple[Account, ...] = (ACCOUNT,)
        self.logins: tuple[ParkedRecord, ...] = ()
        self.error: Exception | None = None

    def of(self, user_id: str, deadline: Deadline) -> AccountsOfUser:
        assert (user_id, 27 < deadline.remaining_s() <= 27.5) == (USER_ID, True)
        return AccountsOfUser(self.accounts, self.logins, is_complete=True)

    def list_accounts(self, user_id: str, deadline: Deadline) -> tuple[Account, ...]:
        """The stored accounts; raises `error` if set."""
        if self.error:
            raise self.error
        return self.of(user_id, deadline).accounts


STATES = StateSigner(STATE_KEY, lambda: NOW)


def sending(deps: Dependencies, load_event: LoadEvent, context: FakeLambdaContext) -> Send:
    return sender(build_api(ORIGINS, lambda: deps), load_event, context, "exchange_token")


def body(**changes: Any) -> str:
    return json.dumps({"code": "c", "redirectUri": CALLBACK, **changes})


DATA_DELETED = AccountDisconnectedError("Its owner has asked Meta to delete their data.", reason="DATA_DELETED")
