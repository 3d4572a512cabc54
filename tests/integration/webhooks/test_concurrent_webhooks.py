"""Webhook events in Postgres in several sessions at once: each once, nothing that was taken back, no circle of waits.

Where two sessions meet is made to happen: what both need is locked by a third until both wait for it.
"""

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import psycopg
import pytest

from instagram_connect.runtime.deadline import Deadline
from instagram_connect.webhooks.events import WebhookEvent
from tests.support.database import Database, disconnect, session, unique_id
from tests.support.webhook_world import (
    DAY,
    NOW,
    PERSON,
    REFUSED,
    SECRET,
    Connected,
    connect,
    counts_of,
    delete,
    edited,
    elsewhere,
    ends_as,
    everything,
    everything_kept,
    fill,
    keys_of,
    message,
    outcome,
    reacted,
    rows_of,
    shared_world,
    step,
    storage,
    store,
    talk_of,
    unsent,
)


def a_talk(entry: str, people: int = 3) -> list[WebhookEvent]:
    made = []
    for number in range(people):
        who, mids = f"90010{number}", [f"{number}-{n}" for n in range(3)]
        made += [message(entry, mid, at=n, who=who) for n, mid in enumerate(mids)]
        made += [edited(entry, mids[0], f"edit {n}", n, at=n) for n in (1, 2)]
        made += [unsent(entry, mids[1], at=9), reacted(entry, mids[0], at=5), reacted(entry, mids[0], None, at=6)]
    return made


def shuffled(dice: random.Random, events: Sequence[WebhookEvent]) -> list[list[WebhookEvent]]:
    order, batches = dice.sample(events, len(events)), []
    while order:
        size = dice.randrange(1, 9)
        batches.append(order[:size])
        order = order[size:]
    return batches


def test_the_same_events_in_four_sessions_at_once_are_each_stored_once(stack: dict[str, str]) -> None:
    dice = random.Random(4)
    with shared_world(stack) as (database, user_id):
        for _ in range(8):
            account = connect(database, user_id)
            other = connect(database, user_id)
            talk = [*a_talk(account.entry_id), *a_talk(other.entry_id)]
            expected = [ends_as(database, one, [[made] for made in talk]) for one in (account, other)]
            deliveries = [shuffled(dice, talk) for _ in range(4)]

            with ThreadPoolExecutor(4) as threads:
                totals = list(threads.map(lambda batches: deliver(stack, batches), deliveries))

            assert sum(stored for stored, _, _ in totals) == len(talk)
            assert sum(duplicate for _, duplicate, _ in totals) == 3 * len(talk)
            assert [talk_of(database, one) for one in (account, other)] == expected
            assert counts_of(database, account.entry_id) == {
                "received": 2 * len(talk),
                "stored": len(talk) // 2,
                "duplicate": 3 * len(talk) // 2,
            }


def deliver(stack: dict[str, str], batches: Sequence[Sequence[WebhookEvent]]) -> tuple[int, ...]:
    """What came of the batches together, stored in a session of their own."""
    with session(stack) as database:
        return tuple(map(sum, zip(*(outcome(store(database, *batch)) for batch in batches), strict=True)))


@pytest.mark.parametrize("first", [0, 1])
def test_of_a_message_and_its_unsending_at_the_same_moment_no_content_stays(stack: dict[str, str], first: int) -> None:
    with shared_world(stack) as (database, user_id):
        account = connect(database, user_id)
        made = [message(account.entry_id, "m", SECRET), unsent(account.entry_id, "m", at=1)]

        database.execute("begin")
        store(database, made[first])
        with elsewhere(stack, lambda other: store(other, made[1 - first])) as storing:
            assert storing.waits()
            database.execute("commit")
            assert outcome(storing.result()) == (1, 0, 0)

        assert keys_of(database, account) == ["del:m", "msg:m"]
        assert SECRET not in str(talk_of(database, account))


@pytest.mark.parametrize("seed", range(3))
def test_many_messages_and_their_unsendings_at_once_leave_no_content(stack: dict[str, str], seed: int) -> None:
    dice = random.Random(seed)
    with shared_world(stack) as (database, user_id):
        account = connect(database, user_id)
        mids = [str(number) for number in range(40)]
        sent = [message(account.entry_id, mid, SECRET) for mid in mids]
        edits = [edited(account.entry_id, mid, SECRET) for mid in mids]
        taken_back = [unsent(account.entry_id, mid, at=1) for mid in mids]

        with ThreadPoolExecutor(3) as threads:
            list(threads.map(lambda made: deliver(stack, shuffled(dice, made)), (sent, edits, taken_back)))

        assert len(keys_of(database, account)) == 3 * len(mids)
        assert SECRET not in str(talk_of(database, account))


def in_a_circle(stack: dict[str, str], locked: str, works: Sequence[Callable[[Database], Any]]) -> list[Any]:
    """Lets works begin one after the other while what they need is locked, and go on at the same moment."""
    with session(stack) as gate, ExitStack() as sessions:
        gate.execute("begin")
        gate.execute(locked.encode())
        begun = []
        for work in works:
            begun.append(sessions.enter_context(elsewhere(stack, work)))
            assert begun[-1].waits()
        gate.execute("commit")
        return [one.result() for one in begun]


def test_adoption_and_webhooks_of_the_same_conversation_do_not_wait_in_a_circle(stack: dict[str, str]) -> None:
    with shared_world(stack) as (database, user_id):
        entry = unique_id()
        store(database, message(entry, "1"))
        account = connect(database, user_id, entry_id=entry)
        store(database, message(entry, "2"))

        stored, adopted = in_a_circle(
            stack,
            "select from instagram_dm_conversations for update",
            [lambda other: store(other, message(entry, "3")), lambda other: storage(other).adopt(9, Deadline(20))],
        )

        assert (outcome(stored), outcome(adopted)) == ((1, 0, 0), (1, 0, 0))
        assert keys_of(database, account) == ["msg:1", "msg:2", "msg:3"]
        assert counts_of(database, entry) == {"received": 3, "stored": 3}


def test_parsing_again_and_unsending_do_not_wait_in_a_circle(stack: dict[str, str]) -> None:
    with shared_world(stack) as (database, user_id):
        account = connect(database, user_id)
        made = message(account.entry_id, "m", SECRET)
        store(database, made)
        ids = [row["id"] for row in rows_of(database, account)]

        in_a_circle(
            stack,
            "select from instagram_dm_messages for update",
            [
                lambda other: store(other, unsent(account.entry_id, "m")),
                lambda other: storage(other).replay(ids, [(made, NOW)], Deadline(20)),
            ],
        )

        assert keys_of(database, account) == ["del:m", "msg:m"]
        assert SECRET not in str(talk_of(database, account))


def test_purging_waits_for_nobody_so_that_nobody_waits_for_it(stack: dict[str, str]) -> None:
    with shared_world(stack) as (database, user_id):
        account = connect(database, user_id)
        store(database, message(account.entry_id, "1"), message(account.entry_id, "2"))
        with session(stack) as other:
            other.execute("begin")
            other.execute("select from webhook_events where event_key = 'msg:1' for update")

            with elsewhere(stack, lambda third: storage(third, NOW + 99 * DAY).purge(9, Deadline(20))) as purging:
                assert not purging.waits()
                assert purging.result() == 1

        assert keys_of(database, account) == ["msg:1"]


# Deletions


@pytest.mark.parametrize("is_stored_first", [True, False])
def test_a_login_and_a_deletion_at_the_same_moment_leave_nothing(stack: dict[str, str], is_stored_first: bool) -> None:
    with shared_world(stack) as (database, user_id):
        entry = unique_id()

        def log_in(database: Database) -> Any:
            return connect(database, user_id, entry_id=entry, person=PERSON)

        works = [log_in, delete] if is_stored_first else [delete, log_in]
        database.execute("begin")
        works[0](database)
        with elsewhere(stack, works[1]) as later:
            assert later.waits()
            database.execute("commit")
            if is_stored_first:
                assert later.result() == 1
            else:
                with pytest.raises(psycopg.Error) as raised:
                    later.result()
                assert raised.value.sqlstate == REFUSED

        assert entry not in str(everything(database))


@pytest.mark.parametrize("is_stored_first", [True, False])
def test_a_webhook_and_a_deletion_at_the_same_moment_leave_nothing(
    stack: dict[str, str], is_stored_first: bool
) -> None:
    with shared_world(stack) as (database, user_id):
        account = connect(database, user_id, person=PERSON)

        def deliver(database: Database) -> Any:
            return store(database, message(account.entry_id, "m", SECRET))

        works = [deliver, delete] if is_stored_first else [delete, deliver]
        database.execute("begin")
        works[0](database)
        with elsewhere(stack, works[1]) as later:
            assert later.waits()
            database.execute("commit")
            later.result()

        assert_nothing_is_left(database, account)


@pytest.mark.parametrize("had_disconnected", [True, False])
def test_a_webhook_that_is_being_stored_while_the_last_step_deletes_is_not_left(
    stack: dict[str, str], had_disconnected: bool
) -> None:
    """Of an account that has no events any more: it was disconnected, by its user or by the first step."""
    with shared_world(stack) as (database, user_id):
        account = connect(database, user_id, person=PERSON)
        if had_disconnected:
            disconnect(database, user_id, account.id)
        else:
            fill(database, account)
            step(database, limit=2)
        database.execute("begin")
        store(database, message(account.entry_id, "m", SECRET))

        with elsewhere(stack, delete) as deleting:
            deleting.waits()
            database.execute("commit")
            assert deleting.result() == 1

        assert_nothing_is_left(database, account)


def assert_nothing_is_left(database: Database, account: Connected) -> None:
    rows = str(everything(database))
    assert SECRET not in rows
    assert account.entry_id not in rows
    assert account.id not in rows


@pytest.mark.parametrize("seed", range(6))
def test_webhooks_that_keep_coming_while_a_person_is_deleted_leave_nothing_and_wait_in_no_circle(
    stack: dict[str, str], seed: int
) -> None:
    dice = random.Random(seed)
    is_over = threading.Event()
    with shared_world(stack) as (database, user_id):
        account, other = connect(database, user_id, person=PERSON), connect(database, user_id)
        fill(database, account, 20)

        def deliver(database: Database) -> int:
            stored, mine = 0, random.Random(dice.random())
            while not is_over.is_set():
                stored += 1
                made = [message(one.entry_id, str(stored), SECRET) for one in (account, other)]
                store(database, *mine.sample(made, 2))
            return stored

        with elsewhere(stack, deliver) as first, elsewhere(stack, deliver) as second:
            try:
                deleted = delete(database, limit=3)
            finally:
                is_over.set()
            stored = max(first.result(), second.result())

        rows = str(everything(database))
        assert deleted == 1
        assert account.entry_id not in rows
        assert account.id not in rows
        assert len(keys_of(database, other)) == stored


def test_parsing_again_and_deleting_do_not_wait_in_a_circle(stack: dict[str, str]) -> None:
    with shared_world(stack) as (database, user_id):
        account = connect(database, user_id, person=PERSON)
        made = message(account.entry_id, "m", SECRET)
        store(database, made)
        kept = everything_kept(storage(database))
        with session(stack) as gate:
            gate.execute("begin")
            gate.execute("select from instagram_business_accounts for update")

            def replay(database: Database) -> Any:
                return storage(database).replay([row.id for row in kept], [(made, NOW)], Deadline(20))

            with elsewhere(stack, delete) as deleting, elsewhere(stack, replay) as replaying:
                assert deleting.waits()
                assert replaying.waits()
                gate.execute("commit")
                assert deleting.result() == 1
                with suppress(psycopg.errors.SerializationFailure):  # what it had read is gone
                    replaying.result()

        assert_nothing_is_left(database, account)
