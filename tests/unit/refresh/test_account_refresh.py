"""Refreshing one account: what is renewed, within which time, and what is reported about rate limits."""

from datetime import timedelta

import pytest

from instagram_connect.errors import (
    InstagramConnectError,
    MetaRateLimitedError,
    MetaUnavailableError,
    TokenEncryptionError,
)
from instagram_connect.meta import usage
from instagram_connect.meta.usage import Usage
from instagram_connect.models import Provider
from instagram_connect.refresh.account_refresh import ATTEMPT_S, Attempt
from instagram_connect.refresh.models import EncryptedRenewal, SubscriptionCheck
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.security.token_vault import TokenBinding, TokenVault
from tests.support.account_refreshes import (
    LONG_LIVED,
    FakeProduct,
    MakeFlow,
    MakeTask,
    attempted,
    facebook_tokens,
    instagram_token,
    operations,
)
from tests.support.fakes import NOW, USER_ID
from tests.support.instagram_client import CAFE, InstagramClient
from tests.support.meta_client import MetaClient


def decrypted(vault: TokenVault, ciphertext: str | None, provider: Provider = Provider.INSTAGRAM) -> str:
    assert ciphertext
    return vault.decrypt(ciphertext, TokenBinding(USER_ID, provider, CAFE))


def test_instagram_token_is_extended_and_encrypted_for_its_account(
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


def test_facebook_refresh_replaces_only_the_user_token(
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


def test_new_token_cannot_be_decrypted_for_another_account(
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
def test_shows_meta_works_only_after_a_successful_meta_call(
    make_task: MakeTask,
    renewal: bool,
    subscription: SubscriptionCheck | None,
    error: InstagramConnectError | None,
    shows_meta_works: bool,
) -> None:
    stored = EncryptedRenewal(NOW, None, None, None, None, None) if renewal else None

    assert Attempt(make_task(), stored, subscription, (), error).shows_meta_works is shows_meta_works


def test_page_without_its_own_token_gets_the_user_token_renewed(
    make_flow: MakeFlow, make_task: MakeTask, vault: TokenVault, meta: MetaClient
) -> None:
    _, person = facebook_tokens(meta)

    done = make_flow().attempt(make_task(person, None, Provider.FACEBOOK), Deadline(20))

    assert done.renewal is not None
    assert done.renewal.user_token_ciphertext is None
    assert decrypted(vault, done.renewal.access_token_ciphertext, Provider.FACEBOOK) != person


def test_attempt_reports_usage_of_all_responses(
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


def test_attempt_reports_usage_of_rejections(
    make_flow: MakeFlow, make_task: MakeTask, meta: MetaClient, instagram: InstagramClient
) -> None:
    token = instagram_token(meta, instagram)
    fault = {"operation": "refresh_instagram_token", "error": "buc_rate_limit", "regain_minutes": 12}
    meta.control("POST", "/faults", fault)

    done = make_flow().attempt(make_task(token), Deadline(20))

    assert isinstance(done.error, MetaRateLimitedError)
    assert done.error.retry_after_s == 12 * 60
    assert [entry.regain_access_s for entry in done.usage] == [12 * 60]


def test_attempt_without_calls_reports_no_usage(make_flow: MakeFlow, make_task: MakeTask) -> None:
    with usage.observed() as outside:
        done = attempted(make_flow, make_task, FakeProduct())
        usage.note({"x-app-usage": '{"call_count":5}'})

    assert done.usage == ()
    assert outside == [Usage("app", 5)]


@pytest.mark.parametrize(("given_s", "most_s"), [(600.0, ATTEMPT_S), (9.0, 9.0)])
def test_all_calls_share_one_attempt_deadline(
    make_flow: MakeFlow, make_task: MakeTask, given_s: float, most_s: float
) -> None:
    product = FakeProduct(is_subscribed=False)

    make_flow(product).attempt(make_task(), Deadline(given_s), check_subscription=True)

    assert len(product.had_s) == 3
    assert all(most_s - 5 < had <= most_s for had in product.had_s)
