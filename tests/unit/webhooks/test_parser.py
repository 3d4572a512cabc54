"""Each shape of a webhook body, and the events that the parser makes of it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from instagram_connect.webhooks.events import EventKind
from instagram_connect.webhooks.parser import parse
from tests.support.deliveries import (
    ACCOUNT,
    CUSTOMER,
    MID,
    SENT_MS,
    SENT_S,
    Json,
    assert_parsed_again_is_the_same,
    body,
    change,
    item,
    keys,
    message,
    only,
    sent_by_account,
    talk,
)
from tests.support.webhook_shapes import CHANGES, TALKS

HAPPENED = datetime(2026, 1, 21, 12, 53, 20, 1000, tzinfo=UTC)


@pytest.mark.parametrize(("content", "kind", "field", "key", "message_id", "data"), TALKS.values(), ids=TALKS.keys())
def test_each_direct_message_shape_becomes_its_event(
    content: Json, kind: EventKind, field: str, key: str, message_id: str | None, data: Json
) -> None:
    event = only(talk(item(**content)))

    assert (event.kind, event.field, event.key, event.message_id) == (kind, field, key, message_id)
    assert event.data == data
    assert (event.entry_id, event.participant_id, event.is_from_us) == (ACCOUNT, CUSTOMER, False)
    assert event.occurred_at == HAPPENED
    assert event.payload == json.loads(body(talk(item(**content))))


@pytest.mark.parametrize(("field", "value", "kind", "key", "data"), CHANGES.values(), ids=CHANGES.keys())
def test_each_change_shape_becomes_its_event(field: str, value: Json, kind: EventKind, key: str, data: Json) -> None:
    event = only(change(field, value))

    assert (event.kind, event.field, event.key, event.data) == (kind, field, key, data)
    assert (event.entry_id, event.message_id, event.participant_id, event.is_from_us) == (ACCOUNT, None, None, False)
    assert event.occurred_at == datetime.fromtimestamp(SENT_S, UTC)
    assert event.payload == json.loads(body(change(field, value)))


@pytest.mark.parametrize(("field", "value", "kind", "key", "data"), CHANGES.values(), ids=CHANGES.keys())
def test_entry_may_itself_be_a_change(field: str, value: Json, kind: EventKind, key: str, data: Json) -> None:
    """Meta documents this shape for apps with Instagram Login."""
    event = only({"id": ACCOUNT, "time": SENT_S, "field": field, "value": value})

    assert (event.kind, event.field, event.key, event.data) == (kind, field, key, data)
    assert (event.entry_id, event.occurred_at) == (ACCOUNT, datetime.fromtimestamp(SENT_S, UTC))


def test_echo_is_from_the_account_to_its_recipient() -> None:
    event = only(talk(sent_by_account(message={"mid": MID, "text": "Yes", "is_echo": True, "app_id": 123})))

    assert (event.kind, event.field, event.key) == (EventKind.MESSAGE_ECHO, "message_echoes", f"msg:{MID}")
    assert (event.is_from_us, event.participant_id, event.message_id) == (True, CUSTOMER, MID)
    assert event.data == {"text": "Yes", "appId": "123"}


@pytest.mark.parametrize(
    "content",
    [{"message_edit": {"mid": MID, "num_edit": 1}}, {"read": {"mid": MID}}, {"message": {"mid": MID}}],
)
def test_events_sent_by_the_account_are_recognized(content: Json) -> None:
    event = only(talk(sent_by_account(**content)))

    assert (event.is_from_us, event.participant_id) == (True, CUSTOMER)


def test_unsent_echo_is_an_unsend_by_the_account() -> None:
    event = only(talk(sent_by_account(message={"mid": MID, "is_deleted": True, "is_echo": True})))

    assert (event.kind, event.key, event.is_from_us) == (EventKind.MESSAGE_UNSENT, f"del:{MID}", True)


def test_comment_by_the_account_is_recognized() -> None:
    event = only(change("comments", {"id": "c1", "from": {"id": ACCOUNT, "username": "cafe.azul"}}))

    assert event.is_from_us


@pytest.mark.parametrize(
    ("at", "occurred_at"),
    [
        (1_769_000_000, datetime(2026, 1, 21, 12, 53, 20, tzinfo=UTC)),
        (1_769_000_000_001, HAPPENED),
        ("1769000000", datetime(2026, 1, 21, 12, 53, 20, tzinfo=UTC)),
        ("1769000000001", HAPPENED),
        (1_769_000_000.5, datetime(2026, 1, 21, 12, 53, 20, 500_000, tzinfo=UTC)),
    ],
)
def test_timestamps_in_seconds_milliseconds_or_text_are_parsed(at: Any, occurred_at: datetime) -> None:
    (talked,) = parse(body(talk(item(read={"mid": MID}, timestamp=at))))
    (changed,) = parse(body({**change("mentions", {"media_id": "m"}), "time": at}))

    assert [talked.occurred_at, changed.occurred_at] == [occurred_at, occurred_at]


@pytest.mark.parametrize(
    "at",
    [
        None,
        True,
        0,
        -1,
        "",
        "yesterday",
        "2026-01-21T12:53:20+0000",
        [],
        {},
        1e30,
        "nan",
        "inf",
        "-1",
        10**40,
        "9" * 400,
    ],
)
def test_unusable_timestamp_falls_back_to_the_entry_time(at: Any) -> None:
    event = only(talk(item(read={"mid": MID}, timestamp=at)))

    assert event.occurred_at is not None
    assert round(event.occurred_at.timestamp() * 1000) == SENT_MS


def test_missing_times_stay_missing() -> None:
    event = only({"id": ACCOUNT, "messaging": [{"read": {"mid": MID}}]})

    assert event.occurred_at is None


@pytest.mark.parametrize("content", [content for content, *_ in TALKS.values()], ids=TALKS.keys())
def test_standby_event_differs_only_in_its_field(content: Json) -> None:
    standby = only(talk(item(**content), place="standby"))
    event = only(talk(item(**content)))

    assert standby.field == "standby"
    assert (standby.kind, standby.key, standby.data) == (event.kind, event.key, event.data)
    assert standby.payload["entry"][0]["standby"] == [item(**content)]


@pytest.mark.parametrize("wrap", [lambda one: [one], lambda one: [[one]]])
def test_list_of_bodies_is_parsed(wrap: Callable[[Any], Any]) -> None:
    first, second = json.loads(body(talk(message(1)))), json.loads(body(change("mentions", {"media_id": "m"})))

    events = parse(json.dumps([*wrap(first), second]).encode())

    assert keys(events) == [f"msg:{MID}1", "men:m"]
    assert [event.payload for event in events] == [first, second]


@pytest.mark.parametrize(
    ("entry", "key"),
    [(talk(message(1)), f"msg:{MID}1"), (talk(message(1), place="standby"), f"msg:{MID}1"), ({"field": "a"}, None)],
)
def test_entry_without_its_wrapper_is_parsed(entry: Json, key: str | None) -> None:
    (event,) = parse(json.dumps(entry).encode())

    assert event.kind is not EventKind.UNPARSED
    assert event.payload == {"object": "instagram", "entry": [entry]}
    assert key is None or event.key == key


@pytest.mark.parametrize("place", ["messaging", "standby"])
def test_unknown_direct_message_is_passed_on_whole(place: str) -> None:
    handover = item(pass_thread_control={"new_owner_app_id": "123", "metadata": "m"})

    event = only(talk(handover, place=place))

    assert (event.kind, event.participant_id) == (EventKind.OTHER, CUSTOMER)
    assert event.field == ("pass_thread_control" if place == "messaging" else "standby")
    assert event.data == {"value": handover}


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "text", [], [1], {}, {"a": {"b": [1]}}])
def test_unknown_field_is_passed_on_with_its_value(value: Any) -> None:
    event = only(change("share_to_story", value))

    assert (event.kind, event.field) == (EventKind.OTHER, "share_to_story")
    assert event.data == ({} if value is None else {"value": value})


def test_entry_that_is_an_event_and_contains_events_yields_each_once() -> None:
    comment = {"field": "comments", "value": {"id": "c1"}}

    events = parse(body({**talk(message(1)), **comment}))

    assert sorted(keys(events)) == ["cmt:c1", f"msg:{MID}1"]
    for event in events:
        assert_parsed_again_is_the_same(event)


@pytest.mark.parametrize("number", [900100, 900100.0, "900100"])
def test_numeric_ids_are_accepted(number: Any) -> None:
    event = only(talk({**message(), "sender": {"id": number}, "recipient": {"id": int(ACCOUNT)}}))

    assert (event.participant_id, event.is_from_us) == (CUSTOMER, False)


def test_page_object_events_are_kept_as_other() -> None:
    entries = [talk(message(1)), talk(message(2), place="standby"), change("comments", {"id": "c1"})]

    events = parse(json.dumps({"object": "page", "entry": entries}).encode())

    assert [event.kind for event in events] == [EventKind.OTHER] * 3
    assert [event.payload for event in events] == [{"object": "page", "entry": [entry]} for entry in entries]
    assert len(set(keys(events))) == 3


def test_full_batch_keeps_every_event_in_order() -> None:
    """Meta puts up to a thousand updates into one POST."""
    entries = [{**talk(*(message(number * 25 + one) for one in range(25))), "id": str(number)} for number in range(40)]

    events = parse(body(*entries))

    assert keys(events) == [f"msg:{MID}{number}" for number in range(1000)]
    assert [event.entry_id for event in events] == [str(number // 25) for number in range(1000)]
    assert {len(event.payload["entry"][0]["messaging"]) for event in events} == {1}


def test_entry_with_several_lists_yields_all_events() -> None:
    entry = {
        **talk(message(1), message(2)),
        "standby": [message(3)],
        "changes": change("mentions", {"media_id": "m"})["changes"],
    }

    events = parse(body(entry))

    assert keys(events) == [f"msg:{MID}1", f"msg:{MID}2", f"msg:{MID}3", "men:m"]
    assert [list(event.payload["entry"][0]) for event in events] == [
        ["id", "time", "messaging"],
        ["id", "time", "messaging"],
        ["id", "time", "standby"],
        ["id", "time", "changes"],
    ]


def test_repr_of_an_event_has_no_message_text() -> None:
    assert "open?" not in repr(only(talk(item(message={"mid": MID, "text": "café open?"}))))
