"""Connecting in unit tests: the real flow, vault and login records, without OAuth states."""

from dataclasses import dataclass
from typing import Any

from instagram_connect.connections.connect import (
    ConnectionFlow,
    PendingConnection,
    Request,
)
from instagram_connect.connections.connect_once import NOT_AN_OUTCOME, ConnectOnce
from instagram_connect.connections.login_records import LoginRecords
from instagram_connect.errors import InstagramConnectError
from instagram_connect.meta.facebook_login import FacebookLogin
from instagram_connect.meta.products import LoginProduct
from instagram_connect.models import Account
from instagram_connect.runtime.deadline import Deadline
from tests.support.fakes import USER_ID
from tests.support.meta_client import REDIRECT_URI


def connect_once(flow: ConnectionFlow, records: LoginRecords) -> ConnectOnce:
    """For `spend_code` alone, which uses flow and records and nothing else."""
    absent: Any = None
    return ConnectOnce(
        products=absent,
        states=absent,
        records=records,
        flow=flow,
        repository=absent,
        account_list=absent,
        redirect_uris=(),
        is_state_required=False,
    )


@dataclass(frozen=True)
class Connecting:
    """The connection flow with shortcuts for tests."""

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


def connect(flow: Connecting, code: str) -> tuple[Account, ...]:
    """The stored accounts, or the error as an exception."""
    outcome = flow.outcome(code)
    if isinstance(outcome, InstagramConnectError):
        raise outcome
    assert isinstance(outcome, tuple)
    return outcome
