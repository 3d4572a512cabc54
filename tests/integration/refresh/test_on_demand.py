"""A user's own refresh of one account."""

import threading
import uuid
from dataclasses import replace

import pytest

from instagram_connect.models import Provider
from instagram_connect.runtime.deadline import Deadline
from tests.support.database import Database, add_user, session
from tests.support.refreshes import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    TOKENS_ONLY,
    change,
    claim,
    claim_one,
    connect,
    credentials_of,
    disconnect,
    end,
    finish,
    renewal,
    storage,
)


def test_a_user_may_have_an_account_refreshed_before_it_is_due(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id, age=2 * DAY)

    found = claim_one(database, account_id, user_id)

    credentials = credentials_of(database, account_id)
    assert (found.state, found.possible_from, found.last_refreshed_at) == ("claimed", None, None)
    assert (found.account.id, found.task.account_id) == (account_id, account_id)
    assert found.task.access_token_ciphertext == "access-ciphertext"
    assert (credentials["lease_owner"], credentials["lease_expires_at"]) == ("tab", NOW + MINUTE)
    assert credentials["last_attempted_at"] == NOW


def test_a_claim_of_a_user_is_written_and_given_back_as_one_of_the_sweep(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim_one(database, account_id, user_id)

    written = finish(database, account_id, owner="tab", renewal=renewal())

    assert written is not None
    assert claim_one(database, account_id, user_id).last_refreshed_at == NOW


@pytest.mark.parametrize("is_sweep", [True, False])
def test_an_account_that_somebody_works_on_is_not_claimed_until_the_lease_ends(
    database: Database, user_id: str, is_sweep: bool
) -> None:
    account_id = connect(database, user_id)
    if is_sweep:
        claim(database, owner="other", rules=replace(TOKENS_ONLY, lease_s=60))
    else:
        claim_one(database, account_id, user_id, owner="other")

    found = claim_one(database, account_id, user_id)
    assert (found.state, found.task) == ("leased", None)
    assert credentials_of(database, account_id)["lease_owner"] == "other"
    assert claim_one(database, account_id, user_id, NOW + MINUTE).state == "claimed"


def test_a_sweep_leaves_an_account_to_the_user_who_has_it(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim_one(database, account_id, user_id)

    assert claim(database) == {}


@pytest.mark.parametrize("column", ["issued_at", "last_refreshed_at"])
def test_a_token_of_today_is_too_young_and_it_is_told_from_when_it_is_not(
    database: Database, user_id: str, column: str
) -> None:
    account_id = connect(database, user_id, age=2 * DAY)
    change(database, "instagram_credentials", account_id, **{column: NOW - HOUR})

    found = claim_one(database, account_id, user_id)

    assert (found.state, found.task, found.possible_from) == ("too_young", None, NOW + 23 * HOUR)
    assert credentials_of(database, account_id)["lease_owner"] is None
    assert claim_one(database, account_id, user_id, NOW + 23 * HOUR).state == "claimed"


def test_while_a_product_is_paused_no_user_may_call_either(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    storage(database).brake(Provider.INSTAGRAM, 95, NOW + HOUR, Deadline(20))

    found = claim_one(database, account_id, user_id)

    assert (found.state, found.task, found.possible_from) == ("paused", None, NOW + HOUR)
    assert claim_one(database, account_id, user_id, NOW + HOUR).state == "claimed"


def test_an_account_that_is_left_alone_until_a_time_is_so_for_its_user_too(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    change(database, "instagram_credentials", account_id, refresh_not_before=NOW + HOUR)

    found = claim_one(database, account_id, user_id)

    assert (found.state, found.task, found.possible_from) == ("paused", None, NOW + HOUR)
    assert claim_one(database, account_id, user_id, NOW + HOUR).state == "claimed"


def test_a_user_of_a_suspended_product_may_try(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    storage(database).suspend(Provider.INSTAGRAM, "reason", Deadline(20))

    found = claim_one(database, account_id, user_id)

    assert found.state == "claimed"
    assert found.task.is_suspended


def test_an_account_whose_token_is_dead_says_why(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    claim(database)
    end(database, account_id)

    found = claim_one(database, account_id, user_id)

    assert (found.state, found.task) == ("needs_reauth", None)
    assert (found.reconnect_reason, found.account.reconnect_reason) == ("PASSWORD_CHANGED", "PASSWORD_CHANGED")


def test_a_disconnected_account_is_not_claimed(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    disconnect(database, user_id, account_id)

    found = claim_one(database, account_id, user_id)

    assert (found.state, found.task, found.account.status) == ("disconnected", None, "disconnected")


def test_somebody_elses_account_is_none(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)

    assert claim_one(database, account_id, add_user(database)) is None
    assert claim_one(database, str(uuid.uuid4()), user_id) is None
    assert credentials_of(database, account_id)["lease_owner"] is None


def test_of_two_tabs_at_once_one_gets_the_account(stack: dict[str, str], shared: tuple[Database, str]) -> None:
    database, user_id = shared
    account_id = connect(database, user_id)
    together = threading.Barrier(4)
    states: list[str] = []

    def click(owner: str) -> None:
        with session(stack) as other:
            together.wait(10)
            states.append(claim_one(other, account_id, user_id, owner=owner).state)

    tabs = [threading.Thread(target=click, args=[f"tab-{number}"]) for number in range(4)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()

    assert sorted(states) == ["claimed", "leased", "leased", "leased"]
