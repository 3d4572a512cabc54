"""Stored webhook events afterwards: given to accounts that come later, parsed again, purged, and found by operators."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import psycopg
import pytest

from instagram_connect.runtime.deadline import Deadline
from instagram_connect.webhooks import parser, repository
from instagram_connect.webhooks.events import EventKind, WebhookEvent
from instagram_connect.webhooks.parser import parse_again
from instagram_connect.webhooks.repository import COUNT_DAYS, KNOWN_DAYS, UNKNOWN_DAYS, KeptEvent, Stored
from tests.support.database import Database, disconnect, unique_id
from tests.support.webhook_world import (
    ANNA,
    DAY,
    HOUR,
    NOW,
    SECOND,
    SECRET,
    Connected,
    Row,
    another,
    body,
    comment,
    connect,
    conversation_of,
    counts_of,
    edited,
    everything_kept,
    forget_others,
    item,
    keys_of,
    message,
    messages_of,
    outcome,
    outgoing,
    postback,
    reacted,
    rows_of,
    storage,
    store,
    talk_of,
    told,
    unsent,
    waiting,
)


@pytest.fixture
def database(database: Database) -> Database:
    forget_others(database)
    return database


@pytest.fixture
def account(database: Database, user_id: str) -> Connected:
    return connect(database, user_id, page_id=unique_id("1048"))


# Adopted


def adopt(database: Database, at: datetime = NOW, limit: int = 1000) -> Stored:
    return storage(database, at).adopt(limit, Deadline(20))


def test_events_that_came_since_its_login_are_given_to_an_account_that_is_stored_later(
    database: Database, user_id: str
) -> None:
    entry = unique_id()
    store(database, message(entry, "before", at=-7201), at=NOW - 2 * HOUR - SECOND)
    store(database, message(entry, "1", "hi", at=-7200), comment(entry, "c"), at=NOW - 2 * HOUR)
    store(database, message(entry, "2", "there", at=-60), message(unique_id(), "2"), at=NOW - DAY / 48)
    account = connect(database, user_id, entry_id=entry, at=NOW - 2 * HOUR)

    adopted = adopt(database)

    assert outcome(adopted) == (3, 0, 0)
    assert told(adopted) == keys_of(database, account) == ["cmt:c", "msg:1", "msg:2"]
    assert keys_of(database) == ["msg:2", "msg:before"]
    assert [row["received_at"] for row in rows_of(database, account)] == [NOW - 2 * HOUR] * 2 + [NOW - DAY / 48]
    assert counts_of(database, entry) == {"received": 4, "stored": 3, "unknown": 1}
    assert {mid: row["text"] for mid, row in messages_of(database, account).items()} == {"1": "hi", "2": "there"}
    assert conversation_of(database, account)["last_message_id"] == "2"
    assert waiting(database, NOW + 59 * SECOND) == []


def test_a_second_time_there_is_nothing_to_adopt(database: Database, user_id: str) -> None:
    entry = unique_id()
    store(database, message(entry, "1"))
    account = connect(database, user_id, entry_id=entry)
    adopt(database)
    before = talk_of(database, account), counts_of(database, entry)

    assert adopt(database) == Stored(0, 0, 0, [])
    assert (talk_of(database, account), counts_of(database, entry)) == before


def test_an_event_that_is_refused_holds_up_no_other_of_any_account(database: Database, user_id: str) -> None:
    first, second = unique_id(), unique_id()
    store(database, message(first, "1"), message(first, "bad", "poison"), message(second, "2"), at=NOW)
    accounts = [connect(database, user_id, entry_id=entry) for entry in (first, second)]
    database.execute(
        "create function refuse_poison() returns trigger language plpgsql as "
        "$$ begin raise exception 'no' using errcode = '22023'; end $$"
    )
    database.execute(
        "create trigger refuse_poison before insert on instagram_dm_messages for each row "
        "when (new.text = 'poison') execute function refuse_poison()"
    )

    adopted = adopt(database)
    again = adopt(database)
    database.execute("drop trigger refuse_poison on instagram_dm_messages")
    mended = adopt(database)

    assert (told(adopted), outcome(again), told(mended)) == (["msg:1", "msg:2"], (0, 0, 0), ["msg:bad"])
    assert [keys_of(database, account) for account in accounts] == [["msg:1", "msg:bad"], ["msg:2"]]
    assert keys_of(database) == []
    assert counts_of(database, first) == {"received": 2, "stored": 2}


def test_more_events_than_the_limit_are_adopted_one_call_after_the_other(database: Database, user_id: str) -> None:
    page = unique_id("1048")
    store(database, *(message(page, str(number)) for number in range(5)))
    account = connect(database, user_id, page_id=page, provider="facebook")

    adopted = [adopt(database, limit=2) for _ in range(4)]

    assert [one.stored for one in adopted] == [2, 2, 1, 0]
    assert sorted(key for one in adopted for key in told(one)) == keys_of(database, account)
    assert counts_of(database, page) == {"received": 5, "stored": 5}


def test_what_came_again_once_the_account_was_stored_is_told_once(database: Database, user_id: str) -> None:
    entry = unique_id()
    store(database, message(entry, "1"))
    account = connect(database, user_id, entry_id=entry)
    store(database, message(entry, "1"))

    adopted = adopt(database)

    assert (outcome(adopted), adopted.outgoing) == ((0, 1, 0), [])
    assert (keys_of(database, account), keys_of(database)) == (["msg:1"], [])


def test_of_two_users_only_who_had_connected_by_then_adopts_an_event(database: Database, user_id: str) -> None:
    entry = unique_id()
    store(database, message(entry, "1"))
    account = connect(database, user_id, entry_id=entry)
    other = another(database, account, at=NOW + HOUR)

    adopted = adopt(database, NOW + HOUR)

    assert outgoing(adopted) == [("instagram.webhook.message", account.id, "msg:1")]
    assert keys_of(database, other) == []


def test_a_disconnected_account_adopts_nothing(database: Database, user_id: str) -> None:
    entry = unique_id()
    store(database, message(entry, "1"))
    account = connect(database, user_id, entry_id=entry)
    disconnect(database, user_id, account.id)

    assert adopt(database) == Stored(0, 0, 0, [])
    assert keys_of(database) == ["msg:1"]


def test_what_was_unsent_before_the_account_was_stored_is_erased_with_the_adoption(
    database: Database, user_id: str
) -> None:
    entry = unique_id()
    store(database, message(entry, "m", SECRET), unsent(entry, "m"))
    account = connect(database, user_id, entry_id=entry)

    adopted = adopt(database)

    assert outcome(adopted) == (2, 0, 0)
    assert SECRET not in str(talk_of(database, account)) + str(adopted)


# Parsed again


def replay(database: Database, *rows: KeptEvent, at: datetime = NOW + DAY) -> Stored:
    """Parses what was kept, all of it unless rows are named, and puts it in its place."""
    rows = rows or everything_kept(storage(database))
    events = [(made, row.received_at) for row in rows for made in parse_again(row.payload)]
    return storage(database, at).replay([row.id for row in rows], events, Deadline(20))


def a_talk(entry: str) -> list[WebhookEvent]:
    return [
        message(entry, "1", at=1),
        message(entry, "2", SECRET, at=2),
        unsent(entry, "2", at=3),
        edited(entry, "1", "hello!", at=4),
        reacted(entry, "1", at=5),
        postback(entry, "b", at=6),
        comment(entry, "c"),
    ]


def test_replayed_events_are_as_they_were_and_nobody_is_told_again(database: Database, account: Connected) -> None:
    stranger = unique_id()
    store(database, *a_talk(account.entry_id), *a_talk(stranger))
    waiting(database, NOW + DAY)
    before = talk_of(database, account), keys_of(database), counts_of(database, account.entry_id)
    received = [row["received_at"] for row in rows_of(database, account)]

    replayed = replay(database)

    assert replayed.outgoing == []
    assert (talk_of(database, account), keys_of(database), counts_of(database, account.entry_id)) == before
    assert [row["received_at"] for row in rows_of(database, account)] == received
    assert counts_of(database, stranger) == {"received": 7, "unknown": 7}


def test_what_an_older_parser_did_not_know_takes_effect_and_is_not_told_again(
    database: Database, account: Connected
) -> None:
    made = message(account.entry_id, "m", "hi")
    store(database, replace(made, kind=EventKind.OTHER, message_id=None, participant_id=None, data={}))

    replayed = replay(database)

    assert (outcome(replayed), replayed.outgoing) == ((1, 0, 0), [])
    assert messages_of(database, account)["m"]["text"] == "hi"
    assert conversation_of(database, account)["last_message_id"] == "m"


def test_a_body_that_nobody_could_read_becomes_its_events_and_they_are_told(
    database: Database, account: Connected
) -> None:
    whole = body(account.entry_id, *(item(account.entry_id, n, ANNA, read={"mid": str(n)}) for n in range(2)))
    store(database, parser.unreadable(whole), message(account.entry_id, "1"))

    replayed = replay(database, *everything_kept(storage(database), kind=EventKind.UNPARSED))

    assert told(replayed) == [f"read:{n}:{ANNA}" for n in range(2)]
    assert keys_of(database, account) == ["msg:1", *told(replayed)]
    assert keys_of(database) == []
    assert waiting(database, NOW + DAY + 59 * SECOND)[0]["detail"]["eventKey"] == "msg:1"
    assert len(waiting(database, NOW + DAY + 60 * SECOND)) == 2


def test_who_connected_the_account_later_is_given_nothing_of_before(database: Database, account: Connected) -> None:
    store(database, message(account.entry_id, "1"))
    other = another(database, account, at=NOW + HOUR)

    replayed = replay(database)

    assert replayed.outgoing == []
    assert (keys_of(database, account), keys_of(database, other)) == (["msg:1"], [])


def test_replayed_events_stay_with_an_account_that_was_disconnected(database: Database, account: Connected) -> None:
    store(database, message(account.entry_id, "1"))
    disconnect(database, account.user_id, account.id)

    replay(database)

    assert (keys_of(database, account), keys_of(database)) == (["msg:1"], [])


def test_what_is_unsent_while_it_is_parsed_again_does_not_come_back(database: Database, account: Connected) -> None:
    store(database, message(account.entry_id, "m", SECRET))
    read_before = everything_kept(storage(database))
    store(database, unsent(account.entry_id, "m"))

    replay(database, *read_before)

    assert SECRET not in str(talk_of(database, account))


def test_what_is_purged_while_it_is_parsed_again_does_not_come_back(database: Database, account: Connected) -> None:
    store(database, message(account.entry_id, "m"))
    read_before = everything_kept(storage(database))
    storage(database, NOW + 99 * DAY).purge(9, Deadline(20))
    waiting(database, NOW + DAY)

    with suppress(psycopg.Error), database.transaction():
        replay(database, *read_before)

    assert keys_of(database, account) == []
    assert waiting(database, NOW + DAY + 59 * SECOND) == []


# Kept


def test_kept_events_are_read_by_kind_account_and_time_without_what_was_unsent(
    database: Database, account: Connected
) -> None:
    entry, stranger = account.entry_id, unique_id()
    store(database, message(entry, "1"), comment(entry, "c"), message(entry, "3", SECRET))
    store(database, message(stranger, "4"), unsent(entry, "3"), at=NOW + HOUR)

    wanted: list[Row] = [
        {},
        {"kind": "comment"},
        {"entry_id": stranger},
        {"since": NOW + HOUR},
        {"since": NOW + HOUR + SECOND},
    ]
    found = [everything_kept(storage(database), **one) for one in wanted]

    assert [sorted(row.event_key for row in rows) for rows in found] == [
        ["cmt:c", "del:3", "msg:1", "msg:4"],
        ["cmt:c"],
        ["msg:4"],
        ["del:3", "msg:4"],
        [],
    ]


def pages(
    database: Database, after_id: int, until_id: int, limit: int, kind: str | None = None
) -> list[tuple[list[int], int]]:
    """The ids of each page, and the id after which the next one begins."""
    found = []
    while after_id < until_id:
        page, after_id = storage(database).kept(
            after_id=after_id, until_id=until_id, limit=limit, kind=kind, deadline=Deadline(20)
        )
        found.append(([row.id for row in page], after_id))
    return found


@pytest.mark.parametrize("kind", [None, EventKind.COMMENT])
@pytest.mark.parametrize("window", [1, 2, 7, 1000])
@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_page_by_page_each_kept_event_is_read_once_and_few_are_looked_through_at_once(
    database: Database,
    account: Connected,
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
    window: int,
    kind: EventKind | None,
) -> None:
    store(database, *(made(account.entry_id, str(n)) for n in range(5) for made in (message, comment)))
    store(database, unsent(account.entry_id, "2"))
    ids = [row["id"] for row in sorted(rows_of(database, account), key=lambda row: row["id"])]
    readable = [row.id for row in everything_kept(storage(database), kind=kind)]
    monkeypatch.setattr(repository, "IDS_AT_ONCE", window)

    found = pages(database, ids[0] - 1, ids[-1], limit, kind)

    assert len(readable) == (10 if kind is None else 5)
    assert [one for page, _ in found for one in page] == readable
    assert max(len(page) for page, _ in found) <= limit
    ends = [ids[0] - 1, *(end for _, end in found)]
    assert all(0 < after - before <= window for before, after in pairwise(ends))
    assert ends[-1] == ids[-1]


def test_where_none_of_the_ids_looked_through_is_wanted_reading_goes_on_behind_them(
    database: Database, account: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "IDS_AT_ONCE", 3)
    store(database, *(message(account.entry_id, str(n)) for n in range(6)))
    store(database, comment(account.entry_id, "c"))
    first = min(row["id"] for row in rows_of(database, account))
    (wanted,) = (row["id"] for row in rows_of(database, account) if row["kind"] == "comment")

    found = pages(database, first - 1, wanted, 9, "comment")

    assert found[:2] == [([], first + 2), ([], first + 5)]
    assert found[-1] == ([wanted], wanted)


def test_what_is_stored_after_the_last_id_that_is_asked_for_is_not_read(database: Database, account: Connected) -> None:
    store(database, message(account.entry_id, "1"))
    newest = storage(database).report(0, Deadline(20))["newest_id"]
    store(database, message(account.entry_id, "2"))

    found = [
        storage(database).kept(after_id=newest - n, until_id=newest, limit=9, deadline=Deadline(20)) for n in (1, 0)
    ]

    assert [([row.event_key for row in page], end) for page, end in found] == [(["msg:1"], newest), ([], newest)]


def test_only_what_is_old_is_purged_and_messages_stay(database: Database, account: Connected) -> None:
    stranger = unique_id()
    ages = {"old": KNOWN_DAYS * DAY + SECOND, "aged": KNOWN_DAYS * DAY, "weeks": UNKNOWN_DAYS * DAY + SECOND}
    for name, age in {**ages, "recent": UNKNOWN_DAYS * DAY}.items():
        store(database, message(account.entry_id, name), message(stranger, name), at=NOW - age)

    purged = [storage(database).purge(3, Deadline(20)) for _ in range(3)]

    assert purged == [3, 1, 0]
    assert keys_of(database, account) == ["msg:aged", "msg:recent", "msg:weeks"]
    assert keys_of(database) == ["msg:recent"]
    assert set(messages_of(database, account)) == {*ages, "recent"}


def days_of_counts(database: Database) -> dict[str, list[str]]:
    rows = database.execute("select entry_id, day::text from webhook_counts order by entry_id, day").fetchall()
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["entry_id"], []).append(row["day"])
    return found


def test_counts_are_kept_for_so_many_days_of_utc_whosever_they_are_and_then_purged(
    database: Database, account: Connected
) -> None:
    database.execute("set local timezone = 'Pacific/Kiritimati'")
    stranger = unique_id()
    for days in (COUNT_DAYS + 30, COUNT_DAYS + 1, COUNT_DAYS, 0):
        for entry in (account.entry_id, stranger):
            store(database, message(entry, str(days)), at=NOW - days * DAY)

    purged = storage(database).purge(2, Deadline(20))
    left = days_of_counts(database)
    later = [storage(database, NOW + 12 * HOUR + after).purge(9, Deadline(20)) for after in (-SECOND, timedelta())]

    last, today = f"{NOW - COUNT_DAYS * DAY:%F}", f"{NOW:%F}"
    assert purged == 2  # of the events; the counts are not limited, and are not told
    assert left == {entry: [last, today] for entry in (account.entry_id, stranger)}
    assert later == [4, 0]
    assert days_of_counts(database) == {entry: [today] for entry in (account.entry_id, stranger)}


# Who lost it?


def test_the_report_counts_by_account_and_day(database: Database, account: Connected) -> None:
    stranger = unique_id()
    store(database, message(account.entry_id, "old"), at=NOW - 3 * DAY)
    store(database, message(account.entry_id, "1"), at=NOW - 2 * DAY)
    store(database, *[message(account.entry_id, n) for n in "112"], message(stranger, "1"))
    storage(database).note_failed([message(stranger, "2")], Deadline(20))

    report = storage(database).report(2, Deadline(20))
    theirs = storage(database).report(2, Deadline(20), entry_id=stranger)

    ours: Row = {"entry_id": account.entry_id, "username": "cafe.azul", "failed": 0, "unknown": 0}
    strange: Row = {"entry_id": stranger, "username": None, "stored": 0, "duplicate": 0, "unknown": 1, "failed": 1}
    today = [
        {**ours, "day": "2020-06-01", "received": 3, "stored": 1, "duplicate": 2},
        {**strange, "day": "2020-06-01", "received": 2},
    ]
    before = {**ours, "day": "2020-05-30", "received": 1, "stored": 1, "duplicate": 0}
    assert report["days"] == [*sorted(today, key=lambda day: day["entry_id"]), before]
    assert theirs["days"] == [today[1]]
    assert report["totals"] == {"received": 6, "stored": 2, "duplicate": 2, "unknown": 1, "failed": 1}
    assert theirs["totals"] == {"received": 2, "stored": 0, "duplicate": 0, "unknown": 1, "failed": 1}
    assert report["waiting_to_be_published"] == 3
    assert (report["found"], theirs["found"]) == (None, None)


def test_of_nothing_the_report_tells_zeros(database: Database, account: Connected) -> None:
    store(database, message(account.entry_id, "old"), at=NOW - 3 * DAY)

    report = storage(database).report(2, Deadline(20))

    assert report["days"] == []
    assert report["totals"] == dict.fromkeys(("received", "stored", "duplicate", "unknown", "failed"), 0)


def test_of_more_days_than_it_has_room_for_the_report_shows_those_with_losses_and_the_totals_are_of_all(
    database: Database, account: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "REPORTED_DAYS", 3)
    stranger, unlucky = unique_id(), unique_id()
    storage(database, NOW - 9 * DAY).note_failed([message(unlucky, "f")], Deadline(20))
    store(database, message(stranger, "u"), at=NOW - 8 * DAY)
    for number in range(8):
        store(database, *(message(account.entry_id, f"{number}-{n}") for n in range(3)), at=NOW - number * DAY)

    report = storage(database).report(9, Deadline(20))

    assert [(day["entry_id"], day["day"]) for day in report["days"]] == [
        (account.entry_id, "2020-06-01"),
        (stranger, "2020-05-24"),
        (unlucky, "2020-05-23"),
    ]
    assert report["totals"] == {"received": 26, "stored": 24, "duplicate": 0, "unknown": 1, "failed": 1}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("1", ["msg:1"]),
        ("2", ["msg:2", "del:2"]),
        ("c", ["cmt:c"]),
        ("b", ["pb:b"]),
        ("edit:1:1", ["edit:1:1"]),
        ("nothing", []),
    ],
)
def test_the_report_finds_an_event_whether_its_account_is_known_or_not(
    database: Database, account: Connected, wanted: str, found: list[str]
) -> None:
    stranger = unique_id()
    store(database, *a_talk(account.entry_id))
    store(database, *a_talk(stranger), at=NOW + HOUR)

    rows = storage(database, NOW + DAY).report(9, Deadline(20), event_id=wanted)["found"]

    owners = [(row["business_account_id"], row["entry_id"], row["event_key"]) for row in rows]
    of_account = [(account.id, account.entry_id, key) for key in found]
    assert sorted(owners, key=str) == sorted([*of_account, *((None, stranger, key) for key in found)], key=str)
    assert {row["event_key"] for row in rows if row["is_erased"]} == {key for key in found if key == "msg:2"}
    assert {datetime.fromisoformat(row["received_at"]) for row in rows} == ({NOW, NOW + HOUR} if found else set())


def test_the_report_finds_an_event_of_the_account_that_is_asked_for_only(
    database: Database, account: Connected
) -> None:
    assert account.page_id is not None
    stranger, other = unique_id(), connect(database, account.user_id)
    same = another(database, account)
    store(database, *(message(entry, "1") for entry in (account.entry_id, other.entry_id, stranger, unique_id())))

    asked = (account.entry_id, account.page_id, other.entry_id, stranger, "1")
    reports = [storage(database).report(9, Deadline(20), entry_id=entry, event_id="1") for entry in asked]

    owners = [sorted((row["business_account_id"] for row in one["found"]), key=str) for one in reports]
    of_account = sorted([account.id, same.id])
    assert owners == [of_account, of_account, [other.id], [None], []]
    assert [row["entry_id"] for row in reports[3]["found"]] == [stranger]
