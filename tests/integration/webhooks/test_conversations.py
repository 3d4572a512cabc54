"""Messages and conversations in Postgres: what they end as depends on what happened, not on the order in which it came.

Whatever order, batches, repetitions and sessions the events come in.
"""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instagram_connect.webhooks import parser
from instagram_connect.webhooks.events import WebhookEvent
from tests.support.budget import examples
from tests.support.database import Database, redefine
from tests.support.webhook_world import (
    ANNA,
    BEN,
    DAY,
    NOW,
    SECOND,
    SECRET,
    Connected,
    Row,
    body,
    connect,
    conversation_of,
    echo,
    edited,
    ends_as,
    everything,
    forget_others,
    item,
    keys_of,
    message,
    message_of,
    messages_of,
    milliseconds,
    postback,
    reacted,
    read,
    rows_of,
    store,
    talk_of,
    unsent,
)

ENTRY = "17841400000000001"


@pytest.fixture
def database(database: Database) -> Database:
    forget_others(database)
    return database


@pytest.fixture
def account(database: Database, user_id: str) -> Connected:
    return connect(database, user_id, entry_id=ENTRY)


# In any order

mids, texts = st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y", "z"])
emojis = st.sampled_from(["❤️", "😆"])
# A few moments, so that many things happen at once; a whole second may also be written as seconds.
times = st.sampled_from([milliseconds(0), milliseconds(0.5), milliseconds(1), str(milliseconds(2) // 1000)])


def about(name: str, **what: st.SearchStrategy[Any]) -> st.SearchStrategy[Row]:
    return st.fixed_dictionaries({name: st.fixed_dictionaries(what)})


# What an item of `messaging` is about.
plain = st.one_of(
    about("message", mid=mids, text=texts),
    about("message", mid=mids, attachments=st.just([{"type": "image", "payload": {"url": "https://example.com/1"}}])),
    about("message", mid=mids, text=texts, is_echo=st.just(True)),
    about("message", mid=mids, is_deleted=st.just(True)),
    about("message_edit", mid=mids, text=texts, num_edit=st.integers(1, 3)),
    about("reaction", mid=mids, action=st.just("react"), emoji=emojis),
    about("reaction", mid=mids, action=st.just("unreact")),
    about("read", mid=mids),
    about("postback", mid=mids, payload=texts),
)
# What Meta is not known to send, and the parser takes: without an id, a number, a text, or a word of what it is.
odd = st.one_of(
    about("message", mid=st.sampled_from(["a", None]), text=texts),
    about("message_edit", mid=st.just("a"), text=st.sampled_from(["x", "", None]), num_edit=st.sampled_from([1, "?"])),
    about("reaction", mid=st.just("a"), action=st.sampled_from(["react", None]), emoji=emojis, reaction=texts),
    about("reaction", mid=st.just("a"), action=st.just("react")),
)


def happened(what: Row, who: str, by_us: bool, at: Any) -> WebhookEvent:
    said = item(ENTRY, 0, who, by_us=by_us or "is_echo" in what.get("message", {}), **what)
    (made,) = parser.parse(body(ENTRY, {**said, "timestamp": at}))
    return made


@st.composite
def deliveries(draw: st.DrawFn, what: st.SearchStrategy[Row], people: Sequence[str]) -> list[list[WebhookEvent]]:
    """Batches in which each event of a talk comes at least once."""
    made = st.builds(happened, what, st.sampled_from(people), st.booleans(), times)
    talk = draw(st.lists(made, min_size=2, max_size=12, unique_by=lambda event: event.key))
    again = draw(st.lists(st.sampled_from(talk), max_size=5))
    order = draw(st.permutations([*talk, *again]))
    cuts = draw(st.lists(st.booleans(), min_size=len(order), max_size=len(order)))
    batches: list[list[WebhookEvent]] = [[]]
    for event, cut in zip(order, cuts, strict=True):
        batches[-1].append(event)
        if cut:
            batches.append([])
    return [batch for batch in batches if batch]


DELIVERED = settings(max_examples=examples(120))


def in_time_order(batches: Sequence[Sequence[WebhookEvent]]) -> list[list[WebhookEvent]]:
    events = {made.key: made for batch in batches for made in batch}
    return [[made] for made in sorted(events.values(), key=lambda made: made.occurred_at or NOW)]


@DELIVERED
@given(batches=deliveries(plain, [ANNA, BEN]))
def test_a_talk_ends_the_same_in_whatever_order_batches_and_repetitions_it_comes(
    database: Database, account: Connected, batches: list[list[WebhookEvent]]
) -> None:
    assert ends_as(database, account, batches) == ends_as(database, account, in_time_order(batches))


@DELIVERED
@given(batches=deliveries(odd, [ANNA]))
def test_a_talk_with_what_meta_is_not_known_to_send_ends_the_same_too(
    database: Database, account: Connected, batches: list[list[WebhookEvent]]
) -> None:
    assert ends_as(database, account, batches) == ends_as(database, account, in_time_order(batches))


@pytest.mark.parametrize(
    ("function", "old", "new"),
    [
        (
            "store_conversations",
            "greatest(stored.last_message_at, excluded.last_message_at)",
            "excluded.last_message_at",
        ),
        ("store_messages", "then excluded.edited_text", "then stored.edited_text"),
        (
            "store_messages",
            "instagram_connect.merge_reactions(stored.reactions, excluded.reactions)",
            "excluded.reactions",
        ),
        ("erase_unsent_messages", "and not event.payload ? 'erased'", "and event.id = any (fresh)"),
    ],
)
def test_a_merge_that_depends_on_the_order_is_noticed(
    database: Database, account: Connected, function: str, old: str, new: str
) -> None:
    redefine(database, function, old, new)
    talk = [
        message(ENTRY, "a", at=1),
        message(ENTRY, "b", at=2),
        edited(ENTRY, "a", "y", 2, at=3),
        edited(ENTRY, "a", "x", 1, at=3),
        reacted(ENTRY, "a", at=4),
        reacted(ENTRY, "a", at=4, by_us=True),
        unsent(ENTRY, "b", at=5),
    ]
    dice = random.Random(1)
    orders = [[[made] for made in dice.sample(talk, len(talk))] for _ in range(20)]

    assert any(ends_as(database, account, order) != ends_as(database, account, [[m] for m in talk]) for order in orders)


# What it ends as


@pytest.mark.parametrize("is_late", [False, True])
def test_the_last_message_is_the_newest_one_and_not_the_one_that_came_last(
    database: Database, account: Connected, is_late: bool
) -> None:
    order = [message(ENTRY, "newer", at=2), message(ENTRY, "older", at=1)]

    for made in reversed(order) if is_late else order:
        store(database, made)

    talk = conversation_of(database, account)
    assert (talk["last_message_id"], talk["last_message_at"]) == ("newer", NOW + 2 * SECOND)


def test_conversations_are_told_apart_by_the_customer(database: Database, account: Connected) -> None:
    store(database, message(ENTRY, "1", at=1), message(ENTRY, "2", at=2, who=BEN), echo(ENTRY, "3", at=3))

    last = {who: conversation_of(database, account, who)["last_message_id"] for who in (ANNA, BEN)}
    assert last == {ANNA: "3", BEN: "2"}
    assert {mid: row["participant_id"] for mid, row in messages_of(database, account).items()} == {
        "1": ANNA,
        "2": BEN,
        "3": ANNA,
    }


def test_when_the_customer_last_wrote_is_not_told_by_what_we_wrote_or_they_did_otherwise(
    database: Database, account: Connected
) -> None:
    store(
        database, message(ENTRY, "1", at=1), echo(ENTRY, "2", at=2), reacted(ENTRY, "2", at=3), read(ENTRY, "2", at=4)
    )

    talk = conversation_of(database, account)
    assert (talk["last_inbound_at"], talk["last_message_at"]) == (NOW + SECOND, NOW + 2 * SECOND)
    assert talk["last_read_at"] == NOW + 4 * SECOND
    store(database, postback(ENTRY, "p", at=5))
    talk = conversation_of(database, account)
    assert (talk["last_inbound_at"], talk["last_message_id"]) == (NOW + 5 * SECOND, "2")


def test_our_own_message_comes_as_an_echo_and_is_ours(database: Database, account: Connected) -> None:
    store(database, echo(ENTRY, "m", "we open at nine", at=1))

    row = message_of(database, account)
    assert (row["is_from_us"], row["text"], row["participant_id"]) == (True, "we open at nine", ANNA)
    assert conversation_of(database, account)["last_inbound_at"] is None


@pytest.mark.parametrize("first", [0, 1])
def test_an_edit_counts_by_its_number_also_before_its_message(
    database: Database, account: Connected, first: int
) -> None:
    edits = [edited(ENTRY, "m", "second", 2, at=3), edited(ENTRY, "m", "first", 1, at=4)]
    store(database, edits[first])
    before = message_of(database, account)

    store(database, message(ENTRY, "m", "original"), edits[1 - first])

    row = message_of(database, account)
    assert (before["sent_at"], before["text"], before["is_from_us"]) == (None, None, False)
    assert (row["text"], row["edited_text"], row["edit_number"], row["sent_at"]) == ("original", "second", 2, NOW)


@pytest.mark.parametrize(
    "order",
    [
        [[1], [0], [2]],
        [[1], [2], [0]],
        [[0], [2], [1]],
        [[0], [1], [2]],
        [[2], [0], [1]],
        [[1, 0], [2]],
        [[0, 1, 2]],
        [[1], [0, 2]],
    ],
)
def test_what_its_author_took_back_is_nowhere(database: Database, account: Connected, order: list[list[int]]) -> None:
    reply = {"mid": "m", "text": SECRET, "reply_to": {"mid": SECRET}, "attachments": [{"type": SECRET}]}
    (sent,) = parser.parse(body(ENTRY, item(ENTRY, 0, ANNA, message=reply)))
    made = [sent, unsent(ENTRY, "m", at=2), edited(ENTRY, "m", f"{SECRET}!", at=1)]
    published: list[Any] = []

    for batch in order:
        stored = store(database, *(made[number] for number in batch))
        if 1 in batch or published:
            published.append(stored.outgoing)

    row = message_of(database, account)
    content = ("text", "edited_text", "attachments", "reply_to")
    assert [row[name] for name in content] == [None] * len(content)
    assert (row["unsent_at"], row["sent_at"], row["edit_number"]) == (NOW + 2 * SECOND, NOW, 1)
    assert SECRET not in str(talk_of(database, account)) + str(published)
    erased = [(row["payload"], row["data"]) for row in rows_of(database, account) if row["kind"] != "message_unsent"]
    assert erased == [({"erased": "unsent"}, {})] * 2
    assert keys_of(database, account) == ["del:m", "edit:m:1", "msg:m"]


def test_what_waits_to_be_published_of_a_message_that_is_unsent_is_erased_too(
    database: Database, account: Connected
) -> None:
    """Whoever stored it died before publishing."""
    store(database, message(ENTRY, "m", SECRET), message(ENTRY, "n", "stays"))

    store(database, unsent(ENTRY, "m"), at=NOW + DAY)

    rows = everything(database, "outgoing_events")["outgoing_events"]
    assert SECRET not in str(rows)
    assert len(rows) == 3
    assert len([row for row in rows if '"text": "stays"' in row]) == 1


def test_unsending_one_message_leaves_the_others_and_those_of_other_accounts(
    database: Database, account: Connected
) -> None:
    other = connect(database, account.user_id)
    store(database, message(ENTRY, "m"), message(ENTRY, "n", "stays"), message(other.entry_id, "m", "stays"))

    store(database, unsent(ENTRY, "m"))

    assert (message_of(database, account, "n")["text"], message_of(database, other)["text"]) == ("stays", "stays")
    assert "stays" in str(rows_of(database, account))
    assert "stays" in str(rows_of(database, other))


def test_a_reaction_counts_before_its_message_and_one_taken_back_stays_so(
    database: Database, account: Connected
) -> None:
    store(database, reacted(ENTRY, "m", "😆", at=1), reacted(ENTRY, "m", "❤️", at=2, by_us=True))
    store(database, message(ENTRY, "m", at=0))
    before = message_of(database, account)["reactions"]

    store(database, reacted(ENTRY, "m", None, at=9))
    store(database, reacted(ENTRY, "m", "❤️", at=5))

    after = message_of(database, account)["reactions"]
    assert {who: (one["action"], one["emoji"]) for who, one in before.items()} == {
        ANNA: ("react", "😆"),
        ENTRY: ("react", "❤️"),
    }
    assert (after[ANNA]["action"], after[ENTRY]) == ("unreact", before[ENTRY])
    assert message_of(database, account)["is_from_us"] is False


@pytest.mark.parametrize("zone", ["UTC", "Europe/Madrid"])
def test_which_reaction_is_later_is_not_told_by_the_zone_of_a_clock(
    database: Database, account: Connected, zone: str
) -> None:
    """The hour that comes twice in Madrid, at the end of October."""
    database.execute("select set_config('timezone', %s, true)", [zone])
    at = (datetime(2020, 10, 25, 0, 50, tzinfo=UTC) - NOW).total_seconds()

    store(database, reacted(ENTRY, "m", "❤️", at=at))
    store(database, reacted(ENTRY, "m", None, at=at + 900))

    assert message_of(database, account)["reactions"][ANNA]["action"] == "unreact"


def test_reading_is_noted_at_the_message_and_in_the_conversation(database: Database, account: Connected) -> None:
    store(database, read(ENTRY, "1", at=5), echo(ENTRY, "1", at=1), read(ENTRY, "2", at=3), echo(ENTRY, "2", at=2))

    assert [message_of(database, account, mid)["read_at"] for mid in "12"] == [NOW + 5 * SECOND, NOW + 3 * SECOND]
    assert conversation_of(database, account)["last_read_at"] == NOW + 5 * SECOND
