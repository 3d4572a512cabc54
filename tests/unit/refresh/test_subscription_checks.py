"""The daily webhook subscription check, and that its failure never costs a renewal."""

from typing import Any

import pytest

from instagram_connect.errors import (
    InstagramConnectError,
    MetaActionBlockedError,
    MetaAppMisconfiguredError,
    MetaRateLimitedError,
    MetaRequestRejectedError,
    MetaUnavailableError,
)
from instagram_connect.refresh.models import SubscriptionCheck
from instagram_connect.runtime.deadline import Deadline
from tests.support.account_refreshes import (
    FakeProduct,
    MakeFlow,
    MakeTask,
    attempted,
    denied,
    instagram_token,
    password_changed,
    renewed,
)
from tests.support.fakes import NOW
from tests.support.instagram_client import CAFE, InstagramClient
from tests.support.meta_client import MetaClient


@pytest.mark.parametrize(("answered", "used"), [("IGAA-new", "IGAA-new"), (None, "IGAA-old")])
def test_subscription_is_checked_with_the_newest_token(
    make_flow: MakeFlow, make_task: MakeTask, answered: str | None, used: str
) -> None:
    product = FakeProduct(renewal=renewed(access_token=answered), is_subscribed=False)

    attempted(make_flow, make_task, product, check=True)

    assert product.called == [("renew", "IGAA-old"), ("is_subscribed", used), ("subscribe", used)]


def test_existing_subscription_is_left_alone(make_flow: MakeFlow, make_task: MakeTask) -> None:
    done = attempted(make_flow, make_task, FakeProduct(), renew=False, check=True)

    assert done.subscription == SubscriptionCheck()


def test_subscription_check_does_not_decrypt_the_user_token(make_flow: MakeFlow, make_task: MakeTask) -> None:
    """Each decryption is a KMS call, and subscriptions are checked daily."""
    task = make_task(user_token_ciphertext="cannot be opened")

    done = make_flow(FakeProduct()).attempt(task, Deadline(20), renew=False, check_subscription=True)

    assert (done.error, done.subscription) == (None, SubscriptionCheck())


def test_lost_subscription_is_restored(
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
def test_subscription_failure_is_recorded_without_failing_the_refresh(
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
def test_meta_outage_at_the_subscription_keeps_the_renewal(
    make_flow: MakeFlow, make_task: MakeTask, where: str, failure: InstagramConnectError
) -> None:
    told: dict[str, Any] = {"is_subscribed": False, where: failure}

    done = attempted(make_flow, make_task, FakeProduct(**told), check=True)

    assert done.renewal is not None
    assert (done.error, done.subscription, done.shows_meta_works) == (failure, None, True)


def test_token_that_dies_after_renewal_keeps_the_renewal_and_its_cause(
    make_flow: MakeFlow, make_task: MakeTask
) -> None:
    failure = password_changed()

    done = attempted(make_flow, make_task, FakeProduct(is_subscribed=failure), check=True)

    assert done.renewal is not None
    assert (done.error, done.subscription) == (failure, None)
