"""Refreshing one account: what comes of it, what a failure means, and that nothing escapes, no token either."""

import base64
import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest

from instagram_connect.errors import (
    RECONNECT_HINTS,
    ConfigurationError,
    InstagramConnectError,
    InternalError,
    MetaActionBlockedError,
    MetaAppMisconfiguredError,
    MetaRateLimitedError,
    MetaRequestRejectedError,
    MetaUnavailableError,
    PermissionMissingError,
    ReconnectRequiredError,
    StorageError,
    TokenEncryptionError,
)
from instagram_connect.meta import usage
from instagram_connect.meta.facebook_login import FacebookLogin
from instagram_connect.meta.graph import GraphClient
from instagram_connect.meta.instagram_login import InstagramLogin
from instagram_connect.meta.products import LoginProducts
from instagram_connect.meta.usage import Usage
from instagram_connect.models import DiscoveredAccount, Provider, Renewal
from instagram_connect.refresh.account_refresh import ATTEMPT_S, AccountRefresh, Attempt, FailureKind, failure_kind
from instagram_connect.refresh.models import EncryptedRenewal, RefreshTask, SubscriptionCheck
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.settings import Secrets
from instagram_connect.security.token_vault import TokenBinding, TokenVault
from meta_simulator.seed import ANA_CAFE
from tests.support.deployments import META
from tests.support.fakes import NOW, USER_ID
from tests.support.instagram_client import CAFE, InstagramClient
from tests.support.meta_client import MetaClient

SCOPES = ["instagram_basic", "pages_show_list", "pages_read_engagement", "pages_manage_metadata"]
ACCOUNT_ID = "9a000000-0000-4000-8000-000000000001"
DAY_S = 24 * 60 * 60
LEAD = timedelta(days=10)
LONG_LIVED = timedelta(seconds=5183944)
FAR = NOW + timedelta(days=60)

NAMED = {"meta_code": 190, "meta_subcode": 460}
LONE = {"meta_code": 190, "meta_subcode": None}
DENIED = {"meta_code": 10, "meta_subcode": None}


def password_changed() -> ReconnectRequiredError:
    return ReconnectRequiredError(reason="PASSWORD_CHANGED", log_context=NAMED)


def lone_190() -> ReconnectRequiredError:
    return ReconnectRequiredError(reason="TOKEN_INVALID", log_context=LONE)


def denied() -> PermissionMissingError:
    return PermissionMissingError(log_context=DENIED)


Told = TypeVar("Told")


class FakeProduct:
    """A login product that does as told: raises the exceptions it was given, else succeeds. Keeps what was called."""

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


@pytest.fixture
def make_task(vault: TokenVault) -> Callable[..., RefreshTask]:
    """Tasks as storage hands them out; the tokens are encrypted on the way."""

    def make(
        access_token: str = "IGAA-old",
        user_token: str | None = None,
        provider: Provider = Provider.INSTAGRAM,
        **changes: Any,
    ) -> RefreshTask:
        binding = TokenBinding(USER_ID, provider, CAFE)
        return RefreshTask(
            **{
                "account_id": ACCOUNT_ID,
                "user_id": USER_ID,
                "provider": provider,
                "instagram_business_id": CAFE,
                "meta_user_id": None,
                "page_id": ANA_CAFE.id if provider is Provider.FACEBOOK else None,
                "issued_at": NOW - timedelta(days=50),
                "expires_at": FAR,
                "data_access_expires_at": None,
                "access_token_ciphertext": vault.encrypt(access_token, binding),
                "user_token_ciphertext": vault.encrypt(user_token, binding) if user_token else None,
                **changes,
            }
        )

    return make


@pytest.fixture
def make_flow(
    vault: TokenVault, facebook: FacebookLogin, instagram_login: InstagramLogin
) -> Callable[..., AccountRefresh]:
    """Flows to the simulator, or to another Instagram product."""

    def make(instagram_product: FakeProduct | InstagramLogin = instagram_login) -> AccountRefresh:
        products: Any = {Provider.FACEBOOK: facebook, Provider.INSTAGRAM: instagram_product}
        return AccountRefresh(products, vault, lambda: NOW, LEAD.total_seconds())

    return make


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


def decrypted(vault: TokenVault, ciphertext: str | None, provider: Provider = Provider.INSTAGRAM) -> str:
    assert ciphertext
    return vault.decrypt(ciphertext, TokenBinding(USER_ID, provider, CAFE))


def test_an_instagram_token_is_extended_and_comes_back_encrypted_for_its_account(
    make_flow: MakeFlow, make_task: MakeTask, vault: TokenVault, meta: MetaClient, instagram: InstagramClient
) -> None:
    task = make_task(instagram_token(meta, instagram))

    done = make_flow().attempt(task, Deadline(20))

    assert (done.task, done.error, done.subscription) == (task, None, None)
    assert done.renewal is not None
    assert (done.renewal.expires_at, done.renewal.reconnect) == (NOW + LONG_LIVED, None)
    assert done.renewal.user_token_ciphertext is None
    assert instagram.me(decrypted(vault, done.renewal.access_token_ciphertext))["user_id"] == CAFE
    assert operations(meta)[0] == "refresh_instagram_token"


def test_a_facebook_login_is_verified_and_exchanged_and_only_the_persons_token_changes(
    make_flow: MakeFlow, make_task: MakeTask, vault: TokenVault, meta: MetaClient
) -> None:
    page, person = facebook_tokens(meta)

    done = make_flow().attempt(make_task(page, person, Provider.FACEBOOK), Deadline(20))

    assert done.error is None
    assert done.renewal is not None
    assert done.renewal.access_token_ciphertext is None
    token = decrypted(vault, done.renewal.user_token_ciphertext, Provider.FACEBOOK)
    assert token != person
    assert meta.debug(token)["is_valid"] is True
    assert done.renewal.data_access_expires_at == NOW + timedelta(days=90)


def test_a_new_token_cannot_be_decrypted_for_another_account(
    make_flow: MakeFlow, make_task: MakeTask, vault: TokenVault
) -> None:
    done = attempted(make_flow, make_task, FakeProduct())

    assert done.renewal is not None
    with pytest.raises(TokenEncryptionError):
        vault.decrypt(done.renewal.access_token_ciphertext or "", TokenBinding(USER_ID, Provider.INSTAGRAM, "1"))


@pytest.mark.parametrize(
    ("renew", "check", "called"),
    [
        (True, False, ["renew"]),
        (False, True, ["is_subscribed"]),
        (True, True, ["renew", "is_subscribed"]),
        (False, False, []),
    ],
)
def test_only_what_is_due_is_done(
    make_flow: MakeFlow, make_task: MakeTask, renew: bool, check: bool, called: list[str]
) -> None:
    product = FakeProduct()

    done = attempted(make_flow, make_task, product, renew=renew, check=check)

    assert [method for method, _ in product.called] == called
    assert (done.renewal is not None, done.subscription is not None, done.error) == (renew, check, None)


@pytest.mark.parametrize(("answered", "used"), [("IGAA-new", "IGAA-new"), (None, "IGAA-old")])
def test_the_subscription_is_checked_with_the_token_that_is_the_newest(
    make_flow: MakeFlow, make_task: MakeTask, answered: str | None, used: str
) -> None:
    product = FakeProduct(renewal=renewed(access_token=answered), is_subscribed=False)

    attempted(make_flow, make_task, product, check=True)

    assert product.called == [("renew", "IGAA-old"), ("is_subscribed", used), ("subscribe", used)]


def test_webhooks_that_come_are_left_alone(make_flow: MakeFlow, make_task: MakeTask) -> None:
    done = attempted(make_flow, make_task, FakeProduct(), renew=False, check=True)

    assert done.subscription == SubscriptionCheck()


def test_a_person_s_token_stays_closed_while_only_webhooks_are_looked_after(
    make_flow: MakeFlow, make_task: MakeTask
) -> None:
    """Each opening is a call of KMS, and webhooks are looked after daily."""
    task = make_task(user_token_ciphertext="cannot be opened")

    done = make_flow(FakeProduct()).attempt(task, Deadline(20), renew=False, check_subscription=True)

    assert (done.error, done.subscription) == (None, SubscriptionCheck())


def test_webhooks_that_meta_has_forgotten_begin_again(
    make_flow: MakeFlow, make_task: MakeTask, meta: MetaClient, instagram: InstagramClient
) -> None:
    token = instagram_token(meta, instagram)

    done = make_flow().attempt(make_task(token), Deadline(20), renew=False, check_subscription=True)

    assert done.subscription == SubscriptionCheck(subscribed_at=NOW)
    assert [entry["account"] for entry in meta.control("GET", "/subscriptions")] == [CAFE]


@pytest.mark.parametrize(
    "failure",
    [MetaRequestRejectedError(), denied()],
    ids=lambda failure: failure.code,
)
@pytest.mark.parametrize("where", ["is_subscribed", "subscription"])
def test_a_failure_of_the_webhooks_alone_is_noted_and_nothing_else(
    make_flow: MakeFlow, make_task: MakeTask, where: str, failure: InstagramConnectError
) -> None:
    told: dict[str, Any] = {"is_subscribed": False, where: failure}
    product = FakeProduct(**told)

    done = attempted(make_flow, make_task, product, check=True)

    assert done.renewal is not None
    assert (done.error, done.subscription) == (None, SubscriptionCheck(error=failure.code))
    assert "check_access" not in [method for method, _ in product.called]


@pytest.mark.parametrize(
    "failure",
    [MetaUnavailableError(), MetaRateLimitedError(), MetaActionBlockedError(), MetaAppMisconfiguredError()],
    ids=lambda failure: failure.code,
)
@pytest.mark.parametrize("where", ["is_subscribed", "subscription"])
def test_a_meta_that_fails_at_the_subscription_does_not_cost_the_renewal(
    make_flow: MakeFlow, make_task: MakeTask, where: str, failure: InstagramConnectError
) -> None:
    told: dict[str, Any] = {"is_subscribed": False, where: failure}

    done = attempted(make_flow, make_task, FakeProduct(**told), check=True)

    assert done.renewal is not None
    assert (done.error, done.subscription, done.shows_meta_works) == (failure, None, True)


@pytest.mark.parametrize(
    ("renewal", "subscription", "error", "shows_meta_works"),
    [
        (True, None, None, True),
        (True, None, MetaUnavailableError(), True),
        (False, SubscriptionCheck(), None, True),
        (False, SubscriptionCheck(subscribed_at=NOW), None, True),
        (False, SubscriptionCheck(error="PERMISSION_MISSING"), None, False),
        (False, SubscriptionCheck(), MetaUnavailableError(), False),
        (False, None, None, False),
        (False, None, MetaUnavailableError(), False),
    ],
)
def test_only_what_meta_did_is_proof_that_it_answers(
    make_task: MakeTask,
    renewal: bool,
    subscription: SubscriptionCheck | None,
    error: InstagramConnectError | None,
    shows_meta_works: bool,
) -> None:
    stored = EncryptedRenewal(NOW, None, None, None, None, None) if renewal else None

    assert Attempt(make_task(), stored, subscription, (), error).shows_meta_works is shows_meta_works


def test_a_token_that_dies_between_renewal_and_subscription_leaves_the_renewal_and_says_why(
    make_flow: MakeFlow, make_task: MakeTask
) -> None:
    failure = password_changed()

    done = attempted(make_flow, make_task, FakeProduct(is_subscribed=failure), check=True)

    assert done.renewal is not None
    assert (done.error, done.subscription) == (failure, None)


def test_a_cause_that_meta_names_is_believed_at_once(make_flow: MakeFlow, make_task: MakeTask) -> None:
    failure = password_changed()
    product = FakeProduct(renewal=failure)

    done = attempted(make_flow, make_task, product, check=True)

    assert (done.error, done.renewal) == (failure, None)
    assert [method for method, _ in product.called] == ["renew"]


@pytest.mark.parametrize("failure", [lone_190(), denied()], ids=lambda failure: failure.code)
def test_a_failure_without_a_cause_is_none_of_a_token_that_works(
    make_flow: MakeFlow, make_task: MakeTask, failure: InstagramConnectError
) -> None:
    product = FakeProduct(renewal=failure)

    done = attempted(make_flow, make_task, product)

    assert isinstance(done.error, MetaUnavailableError)
    assert failure_kind(done.error) is FailureKind.TRANSIENT
    assert done.error.log_context == {**failure.log_context, "token": "works"}
    assert done.is_renewal_refused
    assert product.called == [("renew", "IGAA-old"), ("check_access", "IGAA-old")]


@pytest.mark.parametrize("failure", [lone_190(), denied()], ids=lambda failure: failure.code)
@pytest.mark.parametrize(
    "second", [lone_190(), denied(), password_changed()], ids=lambda failure: failure.reason or failure.code
)
def test_a_failure_without_a_cause_is_confirmed_by_a_second_call_which_is_the_one_to_tell(
    make_flow: MakeFlow, make_task: MakeTask, failure: InstagramConnectError, second: InstagramConnectError
) -> None:
    done = attempted(make_flow, make_task, FakeProduct(renewal=failure, access=second))

    assert done.error is second
    assert failure_kind(done.error) is FailureKind.DEAD
    assert not done.is_renewal_refused


@pytest.mark.parametrize("second", [MetaUnavailableError(), MetaRateLimitedError(), MetaAppMisconfiguredError()])
def test_a_second_call_that_fails_otherwise_confirms_nothing(
    make_flow: MakeFlow, make_task: MakeTask, second: InstagramConnectError
) -> None:
    done = attempted(make_flow, make_task, FakeProduct(renewal=lone_190(), access=second))

    assert done.error is second
    assert not done.is_renewal_refused


def test_a_subscription_refused_with_a_lone_190_is_confirmed_with_the_new_token(
    make_flow: MakeFlow, make_task: MakeTask
) -> None:
    product = FakeProduct(is_subscribed=lone_190())

    done = attempted(make_flow, make_task, product, check=True)

    assert isinstance(done.error, MetaUnavailableError)
    assert (done.is_renewal_refused, done.shows_meta_works) == (True, True)
    assert done.renewal is not None
    assert product.called[-1] == ("check_access", "IGAA-new")


@pytest.mark.parametrize("error", [MetaUnavailableError(), MetaRateLimitedError(), password_changed()])
def test_only_a_token_that_was_found_to_work_is_refused(
    make_flow: MakeFlow, make_task: MakeTask, error: InstagramConnectError
) -> None:
    done = attempted(make_flow, make_task, FakeProduct(renewal=error))

    assert (done.error, done.is_renewal_refused) == (error, False)


def test_a_token_that_is_too_young_passes(
    make_flow: MakeFlow, make_task: MakeTask, meta: MetaClient, instagram: InstagramClient
) -> None:
    done = make_flow().attempt(make_task(instagram_token(meta, instagram, days=0.5)), Deadline(20))

    assert done.error is not None
    assert (failure_kind(done.error), done.renewal) == (FailureKind.TRANSIENT, None)


@pytest.mark.parametrize(
    ("end", "numbers", "reason"),
    [
        ("app_removed", (190, 458), "APP_REMOVED"),
        ("password_changed", (190, 460), "PASSWORD_CHANGED"),
        ("expired", (190, 463), "TOKEN_EXPIRED"),
    ],
)
@pytest.mark.parametrize("provider", Provider)
def test_both_products_tell_what_ended_a_login(
    make_flow: MakeFlow,
    make_task: MakeTask,
    meta: MetaClient,
    instagram: InstagramClient,
    provider: Provider,
    end: str,
    numbers: tuple[int, int],
    reason: str,
) -> None:
    page, person = facebook_tokens(meta)
    own = instagram_token(meta, instagram, days=1)
    task = make_task(own) if provider is Provider.INSTAGRAM else make_task(page, person, provider)
    meta.control("POST", "/tokens/revoke", {"person": "Ana Souza", "reason": end})

    error = make_flow().attempt(task, Deadline(20)).error

    assert error is not None
    assert (error.reason, error.log_context["meta_code"], error.log_context["meta_subcode"]) == (reason, *numbers)
    assert failure_kind(error) is FailureKind.DEAD


def test_a_permission_that_was_taken_back_is_confirmed_and_ends_the_account(
    make_flow: MakeFlow, make_task: MakeTask, meta: MetaClient, instagram: InstagramClient
) -> None:
    token = instagram_token(meta, instagram)
    instagram.authorize(declined_scopes=["instagram_business_basic"])

    done = make_flow().attempt(make_task(token), Deadline(20))

    assert isinstance(done.error, PermissionMissingError)
    assert operations(meta) == ["refresh_instagram_token", "read_instagram_me"]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("server_error", FailureKind.TRANSIENT),
        ("html_502", FailureKind.TRANSIENT),
        ("app_rate_limit", FailureKind.TRANSIENT),
        ("user_rate_limit", FailureKind.TRANSIENT),
        ("buc_rate_limit", FailureKind.TRANSIENT),
        ("blocked", FailureKind.TRANSIENT),
        ("wrong_secret", FailureKind.APP),
        ("unknown_application", FailureKind.APP),
        ("capability_missing", FailureKind.APP),
        ("app_removed", FailureKind.DEAD),
        ("invalid_token", FailureKind.DEAD),
        ("session_invalid", FailureKind.DEAD),
        ("permission_denied", FailureKind.DEAD),
        ("permission_error", FailureKind.DEAD),
        ("object_missing", FailureKind.DEAD),
    ],
)
def test_a_meta_that_answers_every_call_like_this_means(
    make_flow: MakeFlow,
    make_task: MakeTask,
    meta: MetaClient,
    instagram: InstagramClient,
    fault: str,
    kind: FailureKind,
) -> None:
    token = instagram_token(meta, instagram)
    meta.control("POST", "/faults", {"host": "graph.instagram.com", "times": None, "error": fault})

    done = make_flow().attempt(make_task(token), Deadline(20), check_subscription=True)

    assert done.error is not None
    assert (failure_kind(done.error), done.renewal, done.subscription) == (kind, None, None)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ReconnectRequiredError(reason="APP_REMOVED"), FailureKind.DEAD),
        (PermissionMissingError(), FailureKind.DEAD),
        (MetaAppMisconfiguredError(reason="APP_SECRET_INVALID"), FailureKind.APP),
        (MetaUnavailableError(), FailureKind.TRANSIENT),
        (MetaRateLimitedError(), FailureKind.TRANSIENT),
        (MetaActionBlockedError(), FailureKind.TRANSIENT),
        (MetaRequestRejectedError(), FailureKind.TRANSIENT),
        (TokenEncryptionError(), FailureKind.TRANSIENT),
        (ConfigurationError(), FailureKind.TRANSIENT),
        (StorageError(reason="UNREACHABLE"), FailureKind.TRANSIENT),
        (InternalError(), FailureKind.TRANSIENT),
    ],
    ids=lambda value: getattr(value, "code", None),
)
def test_every_failure_has_one_kind(error: InstagramConnectError, kind: FailureKind) -> None:
    assert failure_kind(error) is kind


def test_a_deployment_without_the_product_fails_without_raising(vault: TokenVault, make_task: MakeTask) -> None:
    client = GraphClient(None)  # type: ignore[arg-type]  # the settings are missing before anything is called
    products = LoginProducts(META, Secrets({}), client, lambda: NOW)
    flow = AccountRefresh(products, vault, lambda: NOW, LEAD.total_seconds())

    assert isinstance(flow.attempt(make_task(), Deadline(20)).error, ConfigurationError)
    assert isinstance(flow.token_error(make_task(), Deadline(20)), ConfigurationError)


@pytest.mark.parametrize("ciphertext", ["", "no base64!", base64.b64encode(b"damaged").decode()])
def test_a_token_that_cannot_be_decrypted_fails_before_meta_is_asked(
    make_flow: MakeFlow, make_task: MakeTask, ciphertext: str
) -> None:
    product = FakeProduct()
    task = make_task(access_token_ciphertext=ciphertext)

    done = make_flow(product).attempt(task, Deadline(20), check_subscription=True)

    assert isinstance(done.error, TokenEncryptionError)
    assert (done.renewal, done.subscription, product.called) == (None, None, [])


def test_a_token_of_another_users_row_cannot_be_decrypted(make_flow: MakeFlow, make_task: MakeTask) -> None:
    product = FakeProduct()

    done = make_flow(product).attempt(make_task(user_id="7b0f1c5e-0000-4000-8000-000000000002"), Deadline(20))

    assert isinstance(done.error, TokenEncryptionError)
    assert product.called == []


@pytest.mark.parametrize(
    ("product", "has_renewal"),
    [
        (FakeProduct(renewal=ValueError("IGAA-secret")), False),
        (FakeProduct(is_subscribed=ValueError("IGAA-secret")), True),
        (FakeProduct(renewal=lone_190(), access=ValueError("IGAA-secret")), False),
    ],
    ids=["renewal", "subscription", "confirmation"],
)
def test_what_nobody_foresaw_is_logged_without_its_words_and_never_escapes(
    make_flow: MakeFlow, make_task: MakeTask, log: io.StringIO, product: FakeProduct, has_renewal: bool
) -> None:
    done = attempted(make_flow, make_task, product, check=True)

    assert isinstance(done.error, InternalError)
    assert (done.renewal is not None, done.subscription) == (has_renewal, None)
    (line,) = [entry for entry in map(json.loads, log.getvalue().splitlines()) if entry["level"] == "ERROR"]
    assert line["cause"] == "ValueError"
    assert any("account_refresh.py" in frame for frame in line["stack"])
    assert "IGAA" not in f"{log.getvalue()} {done!r} {done.error.log_context}"


@pytest.mark.parametrize(
    ("expires_in", "data_access_in", "expected"),
    [
        (timedelta(days=60), timedelta(days=90), None),
        (timedelta(days=60), None, None),
        (None, None, None),
        (LEAD + timedelta(seconds=1), None, None),
        (LEAD, None, ("LOGIN_ENDS", LEAD)),
        (timedelta(days=3), None, ("LOGIN_ENDS", timedelta(days=3))),
        (None, timedelta(days=3), ("DATA_ACCESS_ENDS", timedelta(days=3))),
        (None, LEAD + timedelta(seconds=1), None),
        (timedelta(days=60), LEAD, ("DATA_ACCESS_ENDS", LEAD)),
        (timedelta(days=4), timedelta(days=5), ("LOGIN_ENDS", timedelta(days=4))),
        (timedelta(days=5), timedelta(days=4), ("DATA_ACCESS_ENDS", timedelta(days=4))),
        (timedelta(days=-1), timedelta(days=4), ("LOGIN_ENDS", timedelta(days=-1))),
    ],
)
def test_the_user_is_asked_ten_days_before_the_earlier_of_both_ends(
    make_flow: MakeFlow,
    make_task: MakeTask,
    expires_in: timedelta | None,
    data_access_in: timedelta | None,
    expected: tuple[str, timedelta] | None,
) -> None:
    product = FakeProduct(
        renewal=renewed(
            expires_at=None if expires_in is None else NOW + expires_in,
            data_access_expires_at=None if data_access_in is None else NOW + data_access_in,
            tells_data_access=True,
        )
    )

    done = attempted(make_flow, make_task, product)

    assert done.renewal is not None
    request = done.renewal.reconnect
    if expected is None:
        assert request is None
    else:
        assert request is not None
        assert (request.reason, request.before - NOW) == expected
        assert request.hint == RECONNECT_HINTS[request.reason]


def test_an_end_of_data_access_that_meta_does_not_repeat_is_still_the_end(
    make_flow: MakeFlow, make_task: MakeTask
) -> None:
    known = NOW + timedelta(days=5)

    done = make_flow(FakeProduct()).attempt(make_task(data_access_expires_at=known), Deadline(20))

    assert done.renewal is not None
    assert done.renewal.data_access_expires_at == known
    assert done.renewal.reconnect is not None
    assert (done.renewal.reconnect.reason, done.renewal.reconnect.before) == ("DATA_ACCESS_ENDS", known)


def test_an_end_of_data_access_that_meta_takes_back_is_forgotten(make_flow: MakeFlow, make_task: MakeTask) -> None:
    product = FakeProduct(renewal=renewed(tells_data_access=True))

    done = make_flow(product).attempt(make_task(data_access_expires_at=NOW + timedelta(days=5)), Deadline(20))

    assert done.renewal is not None
    assert (done.renewal.data_access_expires_at, done.renewal.reconnect) == (None, None)


def test_a_page_whose_person_has_to_log_in_again_soon_is_refreshed_and_its_user_asked(
    make_flow: MakeFlow, make_task: MakeTask, meta: MetaClient
) -> None:
    end = NOW + LONG_LIVED - timedelta(days=55)
    page, person = facebook_tokens(meta, days=55)

    done = make_flow().attempt(make_task(page, person, Provider.FACEBOOK, expires_at=end), Deadline(20))

    assert done.error is None
    assert done.renewal is not None
    assert done.renewal.reconnect is not None
    assert (done.renewal.reconnect.reason, done.renewal.reconnect.before) == ("LOGIN_ENDS", end)


def test_a_page_of_which_the_person_is_the_only_token_gets_that_one_renewed(
    make_flow: MakeFlow, make_task: MakeTask, vault: TokenVault, meta: MetaClient
) -> None:
    _, person = facebook_tokens(meta)

    done = make_flow().attempt(make_task(person, None, Provider.FACEBOOK), Deadline(20))

    assert done.renewal is not None
    assert done.renewal.user_token_ciphertext is None
    assert decrypted(vault, done.renewal.access_token_ciphertext, Provider.FACEBOOK) != person


def test_what_all_answers_say_about_limits_comes_with_the_attempt(
    make_flow: MakeFlow, make_task: MakeTask, meta: MetaClient, instagram: InstagramClient
) -> None:
    token = instagram_token(meta, instagram)
    meta.control("POST", "/settings", {"app_calls_per_hour": 10, "account_calls_per_hour": 4})

    done = make_flow().attempt(make_task(token), Deadline(20), check_subscription=True)

    assert [(entry.usage_type, entry.used_percent) for entry in done.usage] == [
        ("app", 10),
        ("instagram", 25),
        ("app", 20),
        ("instagram", 50),
        ("app", 30),
        ("instagram", 75),
    ]


def test_what_a_refusal_says_about_limits_comes_too(
    make_flow: MakeFlow, make_task: MakeTask, meta: MetaClient, instagram: InstagramClient
) -> None:
    token = instagram_token(meta, instagram)
    fault = {"operation": "refresh_instagram_token", "error": "buc_rate_limit", "regain_minutes": 12}
    meta.control("POST", "/faults", fault)

    done = make_flow().attempt(make_task(token), Deadline(20))

    assert isinstance(done.error, MetaRateLimitedError)
    assert done.error.retry_after_s == 12 * 60
    assert [entry.regain_access_s for entry in done.usage] == [12 * 60]


def test_an_attempt_that_calls_nobody_says_nothing_about_limits(make_flow: MakeFlow, make_task: MakeTask) -> None:
    with usage.observed() as outside:
        done = attempted(make_flow, make_task, FakeProduct())
        usage.note({"x-app-usage": '{"call_count":5}'})

    assert done.usage == ()
    assert outside == [Usage("app", 5)]


@pytest.mark.parametrize(("given_s", "most_s"), [(600.0, ATTEMPT_S), (9.0, 9.0)])
def test_all_calls_share_a_time_that_one_account_may_take(
    make_flow: MakeFlow, make_task: MakeTask, given_s: float, most_s: float
) -> None:
    product = FakeProduct(is_subscribed=False)

    make_flow(product).attempt(make_task(), Deadline(given_s), check_subscription=True)

    assert len(product.had_s) == 3
    assert all(most_s - 5 < had <= most_s for had in product.had_s)


@pytest.mark.parametrize("answer", [None, lone_190(), denied(), MetaUnavailableError()])
def test_whether_an_account_works_is_what_the_product_says(
    make_flow: MakeFlow, make_task: MakeTask, answer: InstagramConnectError | None
) -> None:
    product = FakeProduct(access=answer)

    assert make_flow(product).token_error(make_task(), Deadline(20)) is answer
    assert product.called == [("check_access", "IGAA-old")]


def test_whether_an_account_works_cannot_be_told_without_its_token(make_flow: MakeFlow, make_task: MakeTask) -> None:
    product = FakeProduct()

    error = make_flow(product).token_error(make_task(access_token_ciphertext="damaged"), Deadline(20))

    assert isinstance(error, TokenEncryptionError)
    assert product.called == []


def test_a_witness_whom_nobody_foresaw_does_not_stop_a_judgement(
    make_flow: MakeFlow, make_task: MakeTask, log: io.StringIO
) -> None:
    error = make_flow(FakeProduct(access=ValueError("IGAA-secret"))).token_error(make_task(), Deadline(20))

    assert isinstance(error, InternalError)
    assert '"cause":"ValueError"' in log.getvalue()
    assert "IGAA" not in log.getvalue()


@pytest.mark.parametrize("provider", Provider)
def test_no_token_is_part_of_an_attempt_or_of_the_log(
    make_flow: MakeFlow,
    make_task: MakeTask,
    meta: MetaClient,
    instagram: InstagramClient,
    log: io.StringIO,
    provider: Provider,
) -> None:
    page, person = facebook_tokens(meta)
    own = instagram_token(meta, instagram, days=2)
    task = make_task(own) if provider is Provider.INSTAGRAM else make_task(page, person, provider)

    done = make_flow().attempt(task, Deadline(20), check_subscription=True)
    meta.control("POST", "/tokens/revoke", {"person": "Ana Souza", "reason": "expired"})
    failed = make_flow().attempt(task, Deadline(20), check_subscription=True)

    told = f"{done!r} {failed!r} {log.getvalue()} {failed.error.log_context if failed.error else ''}"
    assert done.renewal is not None
    ciphertexts = (done.renewal.access_token_ciphertext, done.renewal.user_token_ciphertext)
    for secret in ("IGAA", "EAA", task.access_token_ciphertext, *filter(None, ciphertexts)):
        assert secret not in told
