"""Accounts that show whether other people's tokens still work."""

from instagram_connect.models import Provider
from instagram_connect.runtime.deadline import Deadline
from tests.support.database import Database, add_user
from tests.support.refreshes import DAY, NOW, change, connect, credentials_of, mark, storage


def test_witnesses_are_living_accounts_of_other_people_most_recently_alive_first(
    database: Database, user_id: str
) -> None:
    connect(database, user_id, person="accused")
    connect(database, user_id, "facebook", person="of another product")
    dead = connect(database, user_id, person="dead")
    mark(database, user_id, dead)
    old = connect(database, user_id, person="old")
    new = connect(database, user_id, person="new", age=5 * DAY)
    refreshed = connect(database, user_id, person="refreshed")
    change(database, "instagram_credentials", refreshed, last_refreshed_at=NOW - DAY)

    def witnesses(limit: int) -> list[str]:
        found = storage(database).witnesses(Provider.INSTAGRAM, {"accused"}, limit, Deadline(20))
        return [witness.account_id for witness in found]

    assert witnesses(9) == [refreshed, new, old]
    assert witnesses(2) == [refreshed, new]
    assert credentials_of(database, refreshed)["lease_owner"] is None


def test_each_person_is_a_witness_once(database: Database, user_id: str) -> None:
    agency = [connect(database, user_id, person="agency", age=days * DAY) for days in range(2, 6)]
    other = connect(database, user_id, person="other")

    found = storage(database).witnesses(Provider.INSTAGRAM, set(), 2, Deadline(20))

    assert [witness.account_id for witness in found] == [agency[0], other]


def test_who_is_unknown_to_meta_is_told_apart_by_their_user(database: Database, user_id: str) -> None:
    other_id = add_user(database)
    connect(database, user_id, person=None)
    theirs = connect(database, other_id, person=None)

    found = storage(database).witnesses(Provider.INSTAGRAM, {user_id}, 9, Deadline(20))

    assert [witness.account_id for witness in found] == [theirs]
