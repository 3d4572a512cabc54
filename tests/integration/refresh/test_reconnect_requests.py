"""What a user is asked: set, kept, and withdrawn."""

from typing import Any

import pytest

from tests.support.database import Database
from tests.support.refreshes import (
    DAY,
    NOW,
    PASSWORD_CHANGED,
    account_of,
    change,
    claim,
    connect,
    connect_again,
    disconnect,
    end,
    events_of,
    finish,
    mark,
    renewal,
)


def asked_of(database: Database, account_id: str) -> tuple[Any, ...]:
    account = account_of(database, account_id)
    return account["reconnect_reason"], account["reconnect_hint"], account["reconnect_before"]


ASKED = ("LOGIN_ENDS", "The login ends soon.", NOW + 9 * DAY)
NOTHING = (None, None, None)


@pytest.fixture
def asked_id(database: Database, user_id: str) -> str:
    """An account whose user is asked to connect again."""
    account_id = connect(database, user_id)
    change(
        database,
        "instagram_business_accounts",
        account_id,
        **dict(zip(("reconnect_reason", "reconnect_hint", "reconnect_before"), ASKED, strict=True)),
    )
    return account_id


@pytest.mark.parametrize("answer", [connect_again, disconnect])
def test_who_connects_again_or_disconnects_is_asked_nothing(
    database: Database, user_id: str, asked_id: str, answer: Any
) -> None:
    answer(database, user_id, asked_id)

    assert asked_of(database, asked_id) == NOTHING


def test_a_new_login_of_a_dead_account_takes_its_reason_back(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)
    mark(database, user_id, account_id)
    assert asked_of(database, account_id) == ("PASSWORD_CHANGED", "The password was changed.", None)

    connect_again(database, user_id, account_id)

    assert asked_of(database, account_id) == NOTHING
    assert account_of(database, account_id)["status"] == "active"


def test_the_same_login_stored_once_more_and_other_changes_leave_what_is_asked(
    database: Database, user_id: str, asked_id: str
) -> None:
    known = account_of(database, asked_id)["instagram_business_id"]

    connect(database, user_id, instagram_business_id=known)
    change(database, "instagram_business_accounts", asked_id, followers_count=7, webhook_checked_at=NOW)

    assert asked_of(database, asked_id) == ASKED


def test_a_dead_token_replaces_what_was_asked(database: Database, user_id: str, asked_id: str) -> None:
    claim(database)

    end(database, asked_id)

    assert asked_of(database, asked_id) == ("PASSWORD_CHANGED", PASSWORD_CHANGED.hint, None)


def test_a_late_login_that_died_is_marked_told_and_announced_once(database: Database, user_id: str) -> None:
    account_id = connect(database, user_id)

    first, second = mark(database, user_id, account_id), mark(database, user_id, account_id, reason="TOKEN_INVALID")

    (event,) = events_of(database, account_id)
    assert (first, second) == (1, 0)
    assert asked_of(database, account_id) == ("PASSWORD_CHANGED", "The password was changed.", None)
    assert (event["type"], event["detail"]["reason"]) == ("instagram.connection.needs_reauth", "PASSWORD_CHANGED")
    assert (event["detail"]["metaCode"], event["detail"]["metaSubcode"]) == (190, 460)


def test_marking_ends_what_a_worker_is_doing_and_not_what_a_newer_login_brought(
    database: Database, user_id: str
) -> None:
    older, newer = connect(database, user_id), connect(database, user_id, age=DAY)
    claim(database)

    marked = [mark(database, user_id, entry, issued_at=(NOW - 2 * DAY).isoformat()) for entry in (older, newer)]

    assert marked == [1, 0]
    assert finish(database, older, renewal=renewal()) is None
    assert account_of(database, newer)["status"] == "active"
    assert events_of(database, newer) == []
