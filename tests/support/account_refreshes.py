"""Refreshing one account in unit tests: a scripted login product, and tokens of the Meta simulator."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from instagram_connect.errors import (
    PermissionMissingError,
    ReconnectRequiredError,
)
from instagram_connect.models import DiscoveredAccount, Provider, Renewal
from instagram_connect.refresh.account_refresh import AccountRefresh, Attempt
from instagram_connect.refresh.models import RefreshTask
from instagram_connect.runtime.deadline import Deadline
from meta_simulator.seed import ANA_CAFE
from tests.support.fakes import NOW
from tests.support.instagram_client import InstagramClient
from tests.support.meta_client import MetaClient

SCOPES = ["instagram_basic", "pages_show_list", "pages_read_engagement", "pages_manage_metadata"]
ACCOUNT_ID = "9a000000-0000-4000-8000-000000000001"
DAY_S = 24 * 60 * 60
LEAD = timedelta(days=10)
LONG_LIVED = timedelta(seconds=5183944)
FAR = NOW + timedelta(days=60)
NAMED = {"meta_code": 190, "meta_subcode": 460}
DENIED = {"meta_code": 10, "meta_subcode": None}


def password_changed() -> ReconnectRequiredError:
    return ReconnectRequiredError(reason="PASSWORD_CHANGED", log_context=NAMED)


def denied() -> PermissionMissingError:
    return PermissionMissingError(log_context=DENIED)


Told = TypeVar("Told")


class FakeProduct:
    """A scripted login product: raises the given exceptions, otherwise succeeds. Records its calls."""

    provider = Provider.INSTAGRAM

    def __init__(
        self,
        *,
        renewal: Renewal | Exception | None = None,
        is_subscribed: bool | Exception = True,
        subscription: Exception | None = None,
        access: Exception | None = None,
    ) -> None:
        self._renewal = renewal or renewed()
        self._is_subscribed = is_subscribed
        self._subscription = subscription
        self._access = access
        self.called: list[tuple[str, str]] = []
        self.had_s: list[float] = []

    def renew(
        self, account: DiscoveredAccount, user_token: str | None, expires_at: datetime | None, deadline: Deadline
    ) -> Renewal:
        self._note("renew", account, deadline)
        return _returned(self._renewal)

    def is_subscribed(self, account: DiscoveredAccount, deadline: Deadline) -> bool:
        self._note("is_subscribed", account, deadline)
        return _returned(self._is_subscribed)

    def subscribe(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        self._note("subscribe", account, deadline)
        _returned(self._subscription)

    def check_access(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        self._note("check_access", account, deadline)
        _returned(self._access)

    def _note(self, method: str, account: DiscoveredAccount, deadline: Deadline) -> None:
        self.called.append((method, account.access_token))
        self.had_s.append(deadline.remaining_s())


def _returned(told: Told | Exception) -> Told:
    if isinstance(told, Exception):
        raise told
    return told


def renewed(**changes: Any) -> Renewal:
    return Renewal(
        **{
            "obtained_at": NOW,
            "access_token": "IGAA-new",
            "user_token": None,
            "expires_at": FAR,
            "data_access_expires_at": None,
            **changes,
        }
    )


MakeTask = Callable[..., RefreshTask]
MakeFlow = Callable[..., AccountRefresh]


def attempted(
    make_flow: MakeFlow, make_task: MakeTask, product: FakeProduct, *, renew: bool = True, check: bool = False
) -> Attempt:
    return make_flow(product).attempt(make_task(), Deadline(60), renew=renew, check_subscription=check)


def instagram_token(meta: MetaClient, instagram: InstagramClient, days: float = 50) -> str:
    token = instagram.long_token()
    meta.advance(days * DAY_S)
    meta.control("DELETE", "/calls")
    return token


def facebook_tokens(meta: MetaClient, days: float = 0) -> tuple[str, str]:
    person = meta.long_token(scopes=SCOPES)
    page = meta.page_token(person, ANA_CAFE.id)
    meta.advance(days * DAY_S)
    meta.control("DELETE", "/calls")
    return page, person


def operations(meta: MetaClient) -> list[str]:
    return [call["operation"] for call in meta.control("GET", "/calls")]
