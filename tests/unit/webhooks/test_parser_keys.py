"""Deduplication keys: the same event always gets the same key, and different events get different ones."""

import pytest

from instagram_connect.webhooks.events import EventKind
from instagram_connect.webhooks.parser import parse
from tests.support.deliveries import (
    ACCOUNT,
    CUSTOMER,
    HAPPENED_MS,
    MID,
    SENT_MS,
    SENT_S,
    Json,
    assert_can_be_stored,
    body,
    change,
    item,
    keys,
    message,
    only,
    sent_by_account,
    talk,
)
from tests.support.webhook_shapes import OPTIN, REFERRAL


def test_echo_has_the_key_of_its_message() -> None:
    echo = only(talk(sent_by_account(message={"mid": MID, "text": "Yes", "is_echo": True})))
    sent = only(talk(sent_by_account(message={"mid": MID, "text": "Yes"})))

    assert (echo.key, echo.is_from_us) == (sent.key, sent.is_from_us)


@pytest.mark.parametrize(
    ("content", "kind", "field", "data"),
    [
        ({"referral": REFERRAL}, EventKind.REFERRAL, "messaging_referral", {"referral": REFERRAL}),
        ({"optin": OPTIN}, EventKind.OPTIN, "messaging_optins", {"optin": OPTIN}),
        ({"postback": {"title": "t", "payload": "p"}}, EventKind.POSTBACK, "messaging_postbacks", None),
        ({"message": {"text": "without an id"}}, EventKind.MESSAGE, "messages", {"text": "without an id"}),
        ({"message_edit": {"mid": MID, "num_edit": "many"}}, EventKind.MESSAGE_EDITED, "message_edit", {}),
        ({"reaction": {"mid": MID}}, EventKind.REACTION, "message_reactions", {"senderId": CUSTOMER}),
        ({"read": {"watermark": 5}}, EventKind.READ, "messaging_seen", {}),
    ],
)
def test_events_without_an_id_are_keyed_by_sender_time_and_content(
    content: Json, kind: EventKind, field: str, data: Json | None
) -> None:
    event = only(talk(item(**content)))
    same = only({**talk(dict(reversed(item(**content).items()))), "time": SENT_MS + 5000})
    others = [
        only(talk(item(**content, timestamp=HAPPENED_MS + 1))),
        only(talk(item(**content, sender="900101"))),
        only(talk(item(**{name: {**value, "more": 1} for name, value in content.items()}))),
    ]

    assert (event.kind, event.field, event.key) == (kind, field, same.key)
    assert len({event.key, *keys(others)}) == 4
    assert data is None or event.data == data


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"message": {"mid": MID}}, {"message": {"mid": MID, "is_deleted": True}}),
        ({"message": {"mid": MID}}, {"read": {"mid": MID}}),
        ({"message": {"mid": MID}}, {"postback": {"mid": MID}}),
        ({"message_edit": {"mid": MID, "num_edit": 1}}, {"message_edit": {"mid": MID, "num_edit": 2}}),
        ({"reaction": {"mid": MID, "action": "react"}}, {"reaction": {"mid": MID, "action": "unreact"}}),
    ],
)
def test_different_events_about_one_message_have_different_keys(first: Json, second: Json) -> None:
    assert only(talk(item(**first))).key != only(talk(item(**second))).key


def test_repeated_reaction_has_a_new_key() -> None:
    reaction = {"reaction": {"mid": MID, "action": "react", "reaction": "love"}}

    assert only(talk(item(**reaction))).key != only(talk(item(**reaction, timestamp=HAPPENED_MS + 1))).key


def test_unknown_fields_are_keyed_by_value() -> None:
    first, second = change("follow", {"from": "1"}), change("follow", {"from": "2"})

    assert only(first).key != only(second).key
    assert only(first).key == only({**first, "time": SENT_S + 60}).key


@pytest.mark.parametrize(
    "changes",
    [
        [{"a": 1}, {"a": 2}],
        [{"field": "follow", "from": "1"}, {"field": "follow", "from": "2"}],
        [{"field": None, "value": 1}, {"field": ["comments"], "value": 1}],
        [{"field": "comments", "value": None, "id": "c1"}, {"field": "comments", "value": None, "id": "c2"}],
    ],
)
def test_changes_that_differ_outside_their_value_have_different_keys(changes: list[Json]) -> None:
    """Otherwise the second would be dropped as a duplicate."""
    events = parse(body({"id": ACCOUNT, "time": SENT_S, "changes": changes}))

    assert len(set(keys(events))) == 2


def test_malformed_part_has_the_same_key_in_any_entry() -> None:
    *_, first = parse(body({**talk(message(1)), "changes": "strange"}))
    *_, second = parse(body({**talk(message(2), message(3)), "changes": "strange"}))

    assert first.key == second.key


@pytest.mark.parametrize(
    "entry",
    [
        talk(item(message={"mid": "m" * 501})),
        talk(item(message={"mid": "m" * 100_000})),
        talk(item(reaction={"mid": "m" * 500, "action": "a" * 5000}, sender="s" * 500)),
        talk(item(**{"x" * 5000: 1})),
        talk(item(**{"": 1})),
        change("f" * 5000, {"a": 1}),
        change("comments", {"id": "c" * 5000}),
        change("mentions", {"media_id": "c" * 5000}),
        {**talk(message()), "id": "1" * 5000},
    ],
)
def test_keys_and_columns_have_bounded_length(entry: Json) -> None:
    assert_can_be_stored(only(entry))


def test_overlong_message_ids_have_different_keys() -> None:
    first, second = (only(talk(item(message={"mid": "m" * 1000 + end}))) for end in "ab")

    assert first.key != second.key
