"""Who may call the functions, and calls through the Data API."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import sql

from instagram_connect.meta.usage import Usage
from instagram_connect.models import Provider
from instagram_connect.outbox.repository import OutboxRepository
from instagram_connect.refresh.models import SubscriptionCheck
from instagram_connect.refresh.repository import RefreshRepository
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs
from tests.support.database import Database, call
from tests.support.refreshes import (
    DAY,
    HOUR,
    LIFETIME,
    MINUTE,
    NOW,
    PASSWORD_CHANGED,
    REQUEST,
    RULES,
    TOKENS_ONLY,
    claim,
    claim_one,
    connect,
    credentials_of,
    end,
    events_of,
    finish,
    outbox,
    release,
    renewal,
    storage,
    usage_of,
)

FUNCTIONS = [
    "claim_refreshes",
    "claim_refresh",
    "leased_refreshes",
    "finish_refresh",
    "release_refreshes",
    "refresh_witnesses",
    "brake_refreshes",
    "take_events",
    "delete_events",
    "refresh_overview",
    "mark_needs_reauth",
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_called_with_null_a_function_does_nothing_and_only_for_the_backend(database: Database, function: str) -> None:
    for role in ("anon", "authenticated"):
        database.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        with pytest.raises(psycopg.errors.InsufficientPrivilege), database.transaction():
            call(database, function, None)
        database.execute("reset role")

    database.execute("set local role service_role")
    assert call(database, function, None) is None


@pytest.mark.parametrize("table", ["refresh_brakes", "outgoing_events"])
@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_nobody_else_reads_brakes_or_events(database: Database, table: str, role: str) -> None:
    database.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))

    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.transaction():
        database.execute(sql.SQL("select from {}").format(sql.Identifier("instagram_connect", table)))


def test_the_backends_role_needs_no_more_than_its_grants(database: Database, user_id: str) -> None:
    kept, dead, given_back = (connect(database, user_id, "facebook", person=str(n)) for n in range(3))
    database.execute("set local role service_role")
    repository = storage(database)

    claimed = claim(database, rules=RULES)
    repository.suspend(Provider.FACEBOOK, "reason", Deadline(20))
    repository.brake(Provider.FACEBOOK, 80, None, Deadline(20))
    witnesses = repository.witnesses(Provider.FACEBOOK, {"0"}, 9, Deadline(20))
    finish(database, kept, renewal=renewal(reconnect=REQUEST), usage=(Usage("app", 3),))
    end(database, dead)
    release(database, given_back, usage=(Usage("app", 3),))
    events = outbox(database).take(100, 60, Deadline(20))
    outbox(database).forget([event["id"] for event in events], Deadline(20))

    assert len(claimed) == 3
    assert len(witnesses) == 2
    assert len(events) == 2
    assert repository.overview(5, Deadline(20))["active"] == 2
    assert claim_one(database, dead, user_id).state == "needs_reauth"


@pytest.fixture
def through_the_data_api(stack: dict[str, str]) -> Iterator[RefreshRepository]:
    with closing(DataApi(stack["supabase_url"], stack["supabase_secret_key"])) as data_api:
        yield RefreshRepository(Rpcs(data_api), lambda: NOW, TOKENS_ONLY)


def test_through_the_data_api_an_account_is_claimed_worked_on_and_stored(
    shared: tuple[Database, str], through_the_data_api: RefreshRepository
) -> None:
    repository, deadline = through_the_data_api, Deadline(20)
    database, user_id = shared
    account_id = connect(database, user_id)

    claims = repository.claim("sweep", 10, deadline)
    tasks = repository.leased("sweep", [claim.account_id for claim in claims], deadline)
    payload = repository.finished(
        "sweep",
        account_id,
        renewal=renewal(reconnect=REQUEST),
        subscription=SubscriptionCheck(NOW),
        usage=(Usage("app", 5, 60),),
    )
    written, again = repository.finish(payload, deadline), repository.finish(payload, deadline)

    assert [task.account_id for task in tasks] == [account_id]
    assert written is not None
    assert (written.id, written.reconnect_before) == (account_id, NOW + 9 * DAY)
    assert again == written
    assert credentials_of(database, account_id)["expires_at"] == NOW + LIFETIME
    assert usage_of(database, account_id) == {"app": (5, NOW + MINUTE, NOW)}


def test_through_the_data_api_a_user_learns_why_an_account_is_not_refreshed(
    shared: tuple[Database, str], through_the_data_api: RefreshRepository
) -> None:
    repository, deadline = through_the_data_api, Deadline(20)
    database, user_id = shared
    account_id = connect(database, user_id, age=HOUR)

    def claimed(by: str) -> Any:
        return repository.claim_one(account_id, user_id=by, owner="tab", lease_s=60, deadline=deadline)

    young, stranger = claimed(user_id), claimed(str(uuid.uuid4()))

    assert (young.state, young.possible_from) == ("too_young", NOW + 23 * HOUR)
    assert stranger is None


def test_through_the_data_api_a_dead_token_is_told_and_the_leases_are_given_back(
    shared: tuple[Database, str], through_the_data_api: RefreshRepository
) -> None:
    repository, deadline = through_the_data_api, Deadline(20)
    database, user_id = shared
    dead, alive = connect(database, user_id, person="dead"), connect(database, user_id, person="alive")
    repository.claim("sweep", 10, deadline)

    ended = repository.end("sweep", dead, PASSWORD_CHANGED, deadline)
    repository.release("sweep", [repository.released(alive, not_before=NOW + DAY)], deadline)
    waiting = OutboxRepository(repository.rpcs, repository.now)
    events = [event for event in waiting.take(100, 60, deadline) if event["detail"]["userId"] == user_id]
    waiting.forget([event["id"] for event in events], deadline)

    assert ended is not None
    assert ended.reconnect_hint == PASSWORD_CHANGED.hint
    assert [event["detail"]["businessAccountId"] for event in events] == [dead]
    assert credentials_of(database, alive)["refresh_not_before"] == NOW + DAY
    assert events_of(database, dead) == []


def test_through_the_data_api_brakes_and_the_overview_are_answered(
    shared: tuple[Database, str], through_the_data_api: RefreshRepository
) -> None:
    repository, deadline = through_the_data_api, Deadline(20)
    database, _ = shared
    try:
        is_new = [repository.suspend(Provider.INSTAGRAM, "reason", deadline) for _ in range(2)]
        repository.brake(Provider.INSTAGRAM, 91, utc_now(), deadline)

        (brake,) = repository.overview(0, deadline)["brakes"]
    finally:
        database.execute("delete from refresh_brakes")

    assert is_new == [True, False]
    assert (brake["provider"], brake["app_used_percent"]) == ("instagram", 91)
