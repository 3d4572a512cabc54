"""Malformed bodies: wrong types, unknown shapes and invalid JSON are kept, never lost."""

import json
from typing import Any

import pytest

from instagram_connect.webhooks.events import EventKind
from instagram_connect.webhooks.parser import parse, unreadable
from tests.support.deliveries import (
    ACCOUNT,
    MID,
    SENT_MS,
    Json,
    assert_can_be_stored,
    assert_parsed_again_is_the_same,
    body,
    change,
    item,
    keys,
    message,
    only,
    talk,
)


@pytest.mark.parametrize("field", ["comments", "live_comments", "mentions", "story_insights", "messages"])
@pytest.mark.parametrize("value", [None, True, 0, "text", [], [{"id": "c1"}]])
def test_known_field_with_a_wrong_type_is_kept(field: str, value: Any) -> None:
    event = only(change(field, value))

    assert (event.kind, event.field) == (EventKind.OTHER, field)
    assert event.payload == json.loads(body(change(field, value)))


WRONG: list[Any] = [None, True, 0, -1.5, "text", "", [], ["x"], {}, {"id": None}, {"id": {}}, {"id": True}, {"mid": 7}]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_types_in_a_direct_message_lose_nothing(wrong: Any) -> None:
    names = ["message", "message_edit", "reaction", "read", "postback", "referral", "optin", "sender", "recipient"]
    sent = [{**message(), name: wrong} for name in names]

    events = parse(body(talk(*sent)))

    assert [event.payload["entry"][0]["messaging"] for event in events] == [[one] for one in sent]
    for event in events:
        assert_can_be_stored(event)
        assert_parsed_again_is_the_same(event)


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_types_inside_a_message_lose_nothing(wrong: Any) -> None:
    names = ["mid", "text", "attachments", "reply_to", "quick_reply", "referral", "app_id"]
    sent = [message(**{name: wrong}) for name in names]

    events = parse(body(talk(*sent)))

    assert [event.payload["entry"][0]["messaging"] for event in events] == [[one] for one in sent]
    assert {event.kind for event in events} == {EventKind.MESSAGE}
    for event in events:
        assert_can_be_stored(event)
        assert_parsed_again_is_the_same(event)


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("field", ["comments", "live_comments", "mentions", "story_insights"])
def test_wrong_types_inside_a_change_lose_nothing(field: str, wrong: Any) -> None:
    names = ["id", "comment_id", "media_id", "from", "media", "text"]
    values: list[Json] = [{"id": "c1", "media_id": "m1", name: wrong} for name in names]

    events = parse(body(*(change(field, value) for value in values)))

    assert [event.payload["entry"][0]["changes"][0]["value"] for event in events] == values
    assert EventKind.UNPARSED not in {event.kind for event in events}
    for event in events:
        assert_can_be_stored(event)
        assert_parsed_again_is_the_same(event)


@pytest.mark.parametrize("wrong", [None, True, 1, "text", [], [message(2)]])
@pytest.mark.parametrize("place", ["messaging", "standby", "changes"])
def test_non_object_in_a_list_of_events_is_kept_beside_the_others(place: str, wrong: Any) -> None:
    first, second = (message(1), message(3)) if place != "changes" else ({"field": "a"}, {"field": "b"})

    events = parse(body({"id": ACCOUNT, "time": SENT_MS, place: [first, wrong, second]}))

    assert [event.kind is EventKind.UNPARSED for event in events] == [False, True, False]
    assert [event.entry_id for event in events] == [ACCOUNT] * 3
    assert events[1].payload == {"unparsed": json.loads(body({"id": ACCOUNT, "time": SENT_MS, place: [wrong]}))}


@pytest.mark.parametrize("wrong", [None, True, 1, "text", {}, {"message": {"mid": "m"}}])
@pytest.mark.parametrize("place", ["standby", "changes"])
def test_entry_with_a_malformed_part_keeps_it_and_its_events(place: str, wrong: Any) -> None:
    entry = {**talk(message(1), message(2)), place: wrong}

    *events, strange = parse(body(entry))

    assert keys(events) == [f"msg:{MID}1", f"msg:{MID}2"]
    assert (strange.kind, strange.entry_id) == (EventKind.UNPARSED, ACCOUNT)
    assert strange.payload["unparsed"]["entry"][0][place] == wrong
    for event in [*events, strange]:
        assert_parsed_again_is_the_same(event)


@pytest.mark.parametrize(
    "entry", [None, True, 1, "text", [], [talk(message())], {}, {"id": ACCOUNT}, {"id": ACCOUNT, "messaging": []}]
)
def test_entry_without_events_is_kept_beside_the_others(entry: Any) -> None:
    events = parse(body(talk(message(1)), entry, talk(message(2))))

    assert [event.kind for event in events] == [EventKind.MESSAGE, EventKind.UNPARSED, EventKind.MESSAGE]
    assert events[1].payload == {"unparsed": {"object": "instagram", "entry": [entry]}}


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        "text",
        [],
        {},
        {"object": "instagram"},
        {"object": "instagram", "entry": []},
        {"object": "instagram", "entry": talk(message())},
        {"unparsed": 1, "unparsed_text": 2},
    ],
)
def test_unknown_json_becomes_one_unparsed_event(value: Any) -> None:
    (event,) = parse(json.dumps(value).encode())

    assert (event.kind, event.entry_id, event.field) == (EventKind.UNPARSED, "", "unparsed")
    assert event.payload == {"unparsed": value}
    assert_parsed_again_is_the_same(event)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b"no json", {"unparsed_text": "no json"}),
        (b"{", {"unparsed_text": "{"}),
        (b" \n", {"unparsed_text": " \n"}),
        (b'{"a":NaN}', {"unparsed_text": '{"a":NaN}'}),
        (b'{"a":-Infinity}', {"unparsed_text": '{"a":-Infinity}'}),
        (b'{"a":1e999}', {"unparsed_text": '{"a":1e999}'}),
        ("{é".encode(), {"unparsed_text": "{é"}),
        (b"\xff\xfe", {"unparsed_base64": "//4="}),
        (b"a\x00b", {"unparsed_base64": "YQBi"}),
        (b'{"a":' + b"9" * 5000 + b"}", {"unparsed_text": '{"a":' + "9" * 5000 + "}"}),
        (b"[" * 200 + b"]" * 200, {"unparsed_text": "[" * 200 + "]" * 200}),
        (b"[" * 100_000, {"unparsed_text": "[" * 100_000}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_invalid_json_becomes_one_event_with_the_raw_body(raw: bytes, kept: Json) -> None:
    (event,) = parse(raw)

    assert (event.kind, event.payload) == (EventKind.UNPARSED, kept)
    assert event == unreadable(raw)
    assert_can_be_stored(event)
    assert_parsed_again_is_the_same(event)


@pytest.mark.parametrize("depth", [30, 57, 58, 59, 60, 61, 62, 63, 64, 70])
def test_deeply_nested_json_can_be_stored_and_parsed_again(depth: int) -> None:
    nested: Any = {}
    for _ in range(depth):
        nested = {"deeper": nested}

    for entry in ({"field": "follow", "value": nested}, nested):
        for event in [*parse(body(entry)), *parse(json.dumps(entry).encode())]:
            assert_can_be_stored(event)
            assert_parsed_again_is_the_same(event)


@pytest.mark.parametrize(
    ("sent", "kept"), [(r"\u0000", "�"), (r"\ud83d", "�"), (r"\ude00", "�"), (r"\ud83d\ude00", "😀"), (r"\u00e9", "é")]
)
def test_only_characters_that_jsonb_rejects_are_replaced(sent: str, kept: str) -> None:
    """A message cut in the middle of an emoji contains half a surrogate pair."""
    raw = body(talk(item(message={"mid": "MID", "text": "TEXT"}))).replace(b"TEXT", f"a{sent}b".encode())

    (event,) = parse(raw.replace(b"MID", f"m{sent}".encode()))

    assert event.data["text"] == f"a{kept}b"
    assert event.key == f"msg:m{kept}"
    assert_can_be_stored(event)
