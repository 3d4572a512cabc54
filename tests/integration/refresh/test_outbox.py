"""Events of refreshes: leased to one publisher, deleted once published."""

import uuid
from datetime import timedelta

from instagram_connect.runtime.deadline import Deadline
from tests.support.database import Database, session
from tests.support.refreshes import HOUR, MINUTE, NOW, announce, connect, outbox, take


def test_events_are_taken_the_oldest_first_and_are_anothers_after_the_lease(database: Database, user_id: str) -> None:
    announce(database, connect(database, user_id), 3, 1, 2)

    assert take(database, limit=2) == [1, 2]
    assert take(database) == [3]
    assert take(database, NOW + MINUTE - timedelta(seconds=1)) == []
    assert take(database, NOW + MINUTE) == [1, 2, 3]


def test_events_that_are_published_are_gone_and_the_others_stay(database: Database, user_id: str) -> None:
    announce(database, connect(database, user_id), 1, 2, 3)
    first, _, third = outbox(database).take(100, 60, Deadline(20))

    outbox(database).forget([first["id"], third["id"], str(uuid.uuid4())], Deadline(20))

    assert take(database, NOW + HOUR) == [2]


def test_two_publishers_at_once_share_without_waiting_or_doubling(
    stack: dict[str, str], shared: tuple[Database, str]
) -> None:
    database, user_id = shared
    announce(database, connect(database, user_id), *range(6))

    with session(stack) as other:
        other.execute("set statement_timeout = '5s'")
        with database.transaction():
            mine = take(database, limit=4)
            theirs = take(other)

    assert (mine, theirs) == ([0, 1, 2, 3], [4, 5])


def test_events_of_an_account_go_with_it(database: Database, user_id: str) -> None:
    announce(database, connect(database, user_id), 1)

    database.execute("delete from auth.users where id = %s", [user_id])

    assert take(database) == []
