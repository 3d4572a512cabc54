"""Failures of one refresh: what each means for the account, and that no exception and no token escapes."""

import base64
import io
import json

import pytest

from instagram_connect.errors import (
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
from instagram_connect.meta.graph import GraphClient
from instagram_connect.meta.products import LoginProducts
from instagram_connect.models import Provider
from instagram_connect.refresh.account_refresh import AccountRefresh, FailureKind, failure_kind
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.settings import Secrets
from instagram_connect.security.token_vault import TokenVault
from tests.support.account_refreshes import (
    LEAD,
    FakeProduct,
    MakeFlow,
    MakeTask,
    attempted,
    denied,
    facebook_tokens,
    instagram_token,
    operations,
    password_changed,
)
from tests.support.deployments import META
from tests.support.fakes import NOW
from tests.support.instagram_client import InstagramClient
from tests.support.meta_client import MetaClient

LONE = {"meta_code": 190, "meta_subcode": None}


def lone_190() -> ReconnectRequiredError:
    return ReconnectRequiredError(reason="TOKEN_INVALID", log_context=LONE)


def test_named_cause_needs_no_confirmation(make_flow: MakeFlow, make_task: MakeTask) -> None:
    failure = password_changed()
    product = FakeProduct(renewal=failure)

    done = attempted(make_flow, make_task, product, check=True)

    assert (done.error, done.renewal) == (failure, None)
    assert [method for method, _ in product.called] == ["renew"]


@pytest.mark.parametrize("failure", [lone_190(), denied()], ids=lambda failure: failure.code)
def test_unnamed_failure_of_a_working_token_is_transient(
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
def test_unnamed_failure_is_confirmed_and_reported_by_a_second_call(
    make_flow: MakeFlow, make_task: MakeTask, failure: InstagramConnectError, second: InstagramConnectError
) -> None:
    done = attempted(make_flow, make_task, FakeProduct(renewal=failure, access=second))

    assert done.error is second
    assert failure_kind(done.error) is FailureKind.DEAD
    assert not done.is_renewal_refused


@pytest.mark.parametrize("second", [MetaUnavailableError(), MetaRateLimitedError(), MetaAppMisconfiguredError()])
def test_second_call_with_another_failure_confirms_nothing(
    make_flow: MakeFlow, make_task: MakeTask, second: InstagramConnectError
) -> None:
    done = attempted(make_flow, make_task, FakeProduct(renewal=lone_190(), access=second))

    assert done.error is second
    assert not done.is_renewal_refused


def test_lone_190_at_the_subscription_is_confirmed_with_the_new_token(make_flow: MakeFlow, make_task: MakeTask) -> None:
    product = FakeProduct(is_subscribed=lone_190())

    done = attempted(make_flow, make_task, product, check=True)

    assert isinstance(done.error, MetaUnavailableError)
    assert (done.is_renewal_refused, done.shows_meta_works) == (True, True)
    assert done.renewal is not None
    assert product.called[-1] == ("check_access", "IGAA-new")


@pytest.mark.parametrize("error", [MetaUnavailableError(), MetaRateLimitedError(), password_changed()])
def test_renewal_is_refused_only_for_a_token_that_works(
    make_flow: MakeFlow, make_task: MakeTask, error: InstagramConnectError
) -> None:
    done = attempted(make_flow, make_task, FakeProduct(renewal=error))

    assert (done.error, done.is_renewal_refused) == (error, False)


def test_too_young_token_is_a_transient_failure(
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
def test_both_products_report_why_a_login_ended(
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


def test_revoked_permission_is_confirmed_and_ends_the_account(
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
def test_each_meta_fault_has_its_failure_kind(
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
def test_each_error_has_its_failure_kind(error: InstagramConnectError, kind: FailureKind) -> None:
    assert failure_kind(error) is kind


def test_missing_product_is_an_error_result_not_an_exception(vault: TokenVault, make_task: MakeTask) -> None:
    client = GraphClient(None)  # type: ignore[arg-type]  # the settings are missing before anything is called
    flow = AccountRefresh(
        LoginProducts(META, Secrets({}), client, lambda: NOW), vault, lambda: NOW, LEAD.total_seconds()
    )

    assert isinstance(flow.attempt(make_task(), Deadline(20)).error, ConfigurationError)
    assert isinstance(flow.token_error(make_task(), Deadline(20)), ConfigurationError)


@pytest.mark.parametrize("ciphertext", ["", "no base64!", base64.b64encode(b"damaged").decode()])
def test_undecryptable_token_fails_before_calling_meta(
    make_flow: MakeFlow, make_task: MakeTask, ciphertext: str
) -> None:
    product = FakeProduct()
    task = make_task(access_token_ciphertext=ciphertext)

    done = make_flow(product).attempt(task, Deadline(20), check_subscription=True)

    assert isinstance(done.error, TokenEncryptionError)
    assert (done.renewal, done.subscription, product.called) == (None, None, [])


def test_token_of_another_users_row_cannot_be_decrypted(make_flow: MakeFlow, make_task: MakeTask) -> None:
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
def test_unexpected_exception_is_logged_without_its_message_and_not_raised(
    make_flow: MakeFlow, make_task: MakeTask, log: io.StringIO, product: FakeProduct, has_renewal: bool
) -> None:
    done = attempted(make_flow, make_task, product, check=True)

    assert isinstance(done.error, InternalError)
    assert (done.renewal is not None, done.subscription) == (has_renewal, None)
    (line,) = [entry for entry in map(json.loads, log.getvalue().splitlines()) if entry["level"] == "ERROR"]
    assert line["cause"] == "ValueError"
    assert any("account_refresh.py" in frame for frame in line["stack"])
    assert "IGAA" not in f"{log.getvalue()} {done!r} {done.error.log_context}"


@pytest.mark.parametrize("answer", [None, lone_190(), denied(), MetaUnavailableError()])
def test_token_error_returns_the_products_result(
    make_flow: MakeFlow, make_task: MakeTask, answer: InstagramConnectError | None
) -> None:
    product = FakeProduct(access=answer)

    assert make_flow(product).token_error(make_task(), Deadline(20)) is answer
    assert product.called == [("check_access", "IGAA-old")]


def test_token_error_is_an_error_when_the_token_cannot_be_decrypted(make_flow: MakeFlow, make_task: MakeTask) -> None:
    product = FakeProduct()

    error = make_flow(product).token_error(make_task(access_token_ciphertext="damaged"), Deadline(20))

    assert isinstance(error, TokenEncryptionError)
    assert product.called == []


def test_token_error_turns_unexpected_exceptions_into_errors(
    make_flow: MakeFlow, make_task: MakeTask, log: io.StringIO
) -> None:
    error = make_flow(FakeProduct(access=ValueError("IGAA-secret"))).token_error(make_task(), Deadline(20))

    assert isinstance(error, InternalError)
    assert '"cause":"ValueError"' in log.getvalue()
    assert "IGAA" not in log.getvalue()


@pytest.mark.parametrize("provider", Provider)
def test_tokens_appear_in_neither_attempts_nor_logs(
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
