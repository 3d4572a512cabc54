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


def test_an_echo_and_the_message_that_it_echoes_have_the_same_key() -> None:
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
def test_what_has_no_id_of_its_own_is_known_by_sender_time_and_content(
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
def test_two_events_about_the_same_message_are_told_apart(first: Json, second: Json) -> None:
    assert only(talk(item(**first))).key != only(talk(item(**second))).key


def test_a_reaction_that_is_made_again_later_is_another_one() -> None:
    reaction = {"reaction": {"mid": MID, "action": "react", "reaction": "love"}}

    assert only(talk(item(**reaction))).key != only(talk(item(**reaction, timestamp=HAPPENED_MS + 1))).key


def test_two_values_of_an_unknown_field_are_two_events_and_the_same_one_is_one() -> None:
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
def test_two_changes_that_differ_outside_of_their_value_are_two_events(changes: list[Json]) -> None:
    """The second one would be taken for the first one that came again, and dropped."""
    events = parse(body({"id": ACCOUNT, "time": SENT_S, "changes": changes}))

    assert len(set(keys(events))) == 2


def test_a_strange_part_is_known_again_whatever_the_entry_brings_along() -> None:
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
def test_ids_and_names_of_whatever_length_give_keys_and_columns_of_a_bounded_one(entry: Json) -> None:
    assert_can_be_stored(only(entry))


def test_messages_whose_ids_are_too_long_for_a_key_are_told_apart() -> None:
    first, second = (only(talk(item(message={"mid": "m" * 1000 + end}))) for end in "ab")

    assert first.key != second.key
