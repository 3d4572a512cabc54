"""Pauses and suspensions of a product, and what may be claimed during them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from instagram_connect.models import Provider
from instagram_connect.refresh.models import SubscriptionCheck
from instagram_connect.runtime.deadline import Deadline
from tests.support.database import Database
from tests.support.refreshes import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    RULES,
    TOKENS_ONLY,
    Row,
    change,
    claim,
    connect,
    end,
    finish,
    is_due,
    release,
    renewal,
    storage,
)


def brake_of(database: Database, provider: Provider) -> Row:
    row = database.execute("select * from refresh_brakes where provider = %s", [provider]).fetchone()
    assert row is not None
    return row


def test_while_calls_are_scarce_tokens_come_before_webhooks(database: Database, user_id: str) -> None:
    for _ in range(3):
        connect(database, user_id, age=5 * DAY)
    ending = connect(database, user_id)
    change(database, "instagram_credentials", ending, last_attempted_at=NOW - HOUR)
    storage(database).brake(Provider.INSTAGRAM, 80, None, Deadline(20))

    assert ending in claim(database, rules=replace(RULES, slow_limit=2))


def test_what_was_claimed_before_a_pause_is_not_worked_on_in_it(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim(database)
    storage(database).brake(Provider.INSTAGRAM, 95, NOW + MINUTE, Deadline(20))

    assert storage(database).leased("sweep", [account_id], Deadline(20)) == ()
    assert len(storage(database, NOW + MINUTE).leased("sweep", [account_id], Deadline(20))) == 1


def test_a_suspension_can_be_ended_without_a_refresh(database: Database) -> None:
    storage(database).suspend(Provider.INSTAGRAM, "reason", Deadline(20))

    storage(database).resume(Provider.INSTAGRAM, Deadline(20))

    brake = brake_of(database, Provider.INSTAGRAM)
    assert (brake["suspended_at"], brake["suspended_reason"]) == (None, None)


def test_a_paused_product_gives_none_until_its_pause_ends_and_the_other_all(database: Database, user_id: str) -> None:
    paused, free = connect(database, user_id, "instagram"), connect(database, user_id, "facebook")
    storage(database).brake(Provider.INSTAGRAM, 95, NOW + HOUR, Deadline(20))

    assert not is_due(database, paused, NOW + HOUR - MINUTE, RULES)
    assert is_due(database, free, NOW, RULES)
    assert is_due(database, paused, NOW + HOUR, RULES)


def test_a_pause_is_never_shortened(database: Database) -> None:
    storage(database).brake(Provider.INSTAGRAM, 95, NOW + 2 * HOUR, Deadline(20))

    storage(database).brake(Provider.INSTAGRAM, 91, NOW + HOUR, Deadline(20))
    storage(database).brake(Provider.INSTAGRAM, None, None, Deadline(20))

    brake = brake_of(database, Provider.INSTAGRAM)
    assert (brake["paused_until"], brake["app_used_percent"], brake["app_used_at"]) == (NOW + 2 * HOUR, 91, NOW)


def test_a_suspended_product_gives_one_probe_after_the_other_and_checks_no_webhooks(
    database: Database, user_id: str
) -> None:
    accounts = {connect(database, user_id) for _ in range(3)}
    connect(database, user_id, age=5 * DAY)  # only its webhooks are due
    free = connect(database, user_id, "facebook")
    storage(database).suspend(Provider.INSTAGRAM, "190/- TOKEN_INVALID", Deadline(20))

    probes: list[str] = []
    for sweep in range(4):
        at = NOW + sweep * HOUR
        claimed = claim(database, at, owner="sweep", rules=RULES)
        (probe,) = [entry for entry in claimed.values() if entry.provider is Provider.INSTAGRAM]
        assert (probe.renew, probe.check_subscription) == (True, False)
        assert free in claimed
        (task,) = storage(database, at).leased("sweep", [probe.account_id], Deadline(20))
        assert task.is_suspended
        release(database, probe.account_id)
        probes.append(probe.account_id)

    assert set(probes[:3]) == accounts
    assert probes[3] == probes[0]


def test_each_claim_of_a_suspended_product_gets_one_probe_that_nobody_has(database: Database, user_id: str) -> None:
    for _ in range(3):
        connect(database, user_id)
    storage(database).suspend(Provider.INSTAGRAM, "190/- TOKEN_INVALID", Deadline(20))

    first, second = claim(database), claim(database, owner="another")

    assert (len(first), len(second), len({*first, *second})) == (1, 1, 2)


def test_the_first_suspension_is_told_from_those_that_repeat_it(database: Database) -> None:
    first = storage(database).suspend(Provider.INSTAGRAM, "the first", Deadline(20))
    second = storage(database, NOW + HOUR).suspend(Provider.INSTAGRAM, "the second", Deadline(20))

    brake = brake_of(database, Provider.INSTAGRAM)
    assert (first, second) == (True, False)
    assert (brake["suspended_at"], brake["suspended_reason"]) == (NOW, "the second")


def test_a_brake_does_not_suspend_and_a_suspension_keeps_what_is_known_of_limits(database: Database) -> None:
    storage(database).brake(Provider.INSTAGRAM, 80, None, Deadline(20))
    assert brake_of(database, Provider.INSTAGRAM)["suspended_at"] is None

    storage(database, NOW + HOUR).suspend(Provider.INSTAGRAM, "reason", Deadline(20))

    brake = brake_of(database, Provider.INSTAGRAM)
    assert (brake["app_used_percent"], brake["app_used_at"]) == (80, NOW)


def test_only_a_token_that_was_renewed_ends_a_suspension_and_only_its_products(
    database: Database, user_id: str
) -> None:
    checked, ended, released, renewed = (connect(database, user_id) for _ in range(4))
    claim(database)
    for provider in Provider:
        storage(database).suspend(provider, "reason", Deadline(20))

    finish(database, checked, subscription=SubscriptionCheck())
    end(database, ended)
    release(database, released)
    still = brake_of(database, Provider.INSTAGRAM)["suspended_at"]
    finish(database, renewed, renewal=renewal())

    brake = brake_of(database, Provider.INSTAGRAM)
    assert still == NOW
    assert (brake["suspended_at"], brake["suspended_reason"]) == (None, None)
    assert brake_of(database, Provider.FACEBOOK)["suspended_at"] == NOW
    assert storage(database).suspend(Provider.INSTAGRAM, "reason", Deadline(20))


@pytest.mark.parametrize(
    ("percent", "later", "claimed"),
    [(75, timedelta(0), 2), (100, 59 * MINUTE, 2), (74, timedelta(0), 5), (100, 61 * MINUTE, 5)],
)
def test_few_accounts_are_claimed_while_calls_are_scarce(
    database: Database, user_id: str, percent: int, later: timedelta, claimed: int
) -> None:
    for _ in range(5):
        connect(database, user_id, "instagram")
    free = {connect(database, user_id, "facebook") for _ in range(5)}
    storage(database).brake(Provider.INSTAGRAM, percent, None, Deadline(20))

    found = claim(database, NOW + later, rules=replace(TOKENS_ONLY, slow_limit=2))

    assert len(set(found) - free) == claimed
    assert free <= set(found)
