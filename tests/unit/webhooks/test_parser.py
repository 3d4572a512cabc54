"""What each shape of a webhook is read as, by which key it is known again, and that nothing of a body is lost."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from instagram_connect.webhooks.events import EventKind
from instagram_connect.webhooks.parser import parse, parse_again, unreadable
from tests.support.deliveries import (
    ACCOUNT,
    AUTHOR,
    CUSTOMER,
    HAPPENED_MS,
    MID,
    SENT_MS,
    SENT_S,
    Json,
    as_jsonb_gives_back,
    assert_can_be_stored,
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

HAPPENED = datetime(2026, 1, 21, 12, 53, 20, 1000, tzinfo=UTC)
URL = "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=1813"
AD = {
    "ref": "promo",
    "ad_id": "238001",
    "source": "ADS",
    "type": "OPEN_THREAD",
    "ads_context_data": {"ad_title": "Sale", "photo_url": URL},
}
REFERRAL = {"ref": "summer", "source": "https://ig.me/m/cafe.azul?ref=summer", "type": "OPEN_THREAD"}
OPTIN = {"type": "notification_messages", "payload": "NEWS", "notification_messages_token": "12345"}
METRICS = {"impressions": 444, "reach": 396, "taps_forward": 200, "taps_back": 100, "exits": 40, "replies": -1}

# Content of an item of `messaging`: kind, Meta's field, key, message id, data.
TALKS: dict[str, tuple[Json, EventKind, str, str, str | None, Json]] = {
    "message": (
        {"message": {"mid": MID, "text": "café open?"}},
        EventKind.MESSAGE,
        "messages",
        f"msg:{MID}",
        MID,
        {"text": "café open?"},
    ),
    "unsend": (
        {"message": {"mid": MID, "is_deleted": True}},
        EventKind.MESSAGE_UNSENT,
        "messages",
        f"del:{MID}",
        MID,
        {},
    ),
    "attachment": (
        {"message": {"mid": MID, "attachments": [{"type": "image", "payload": {"url": URL}}]}},
        EventKind.MESSAGE,
        "messages",
        f"msg:{MID}",
        MID,
        {"attachments": [{"type": "image", "url": URL}]},
    ),
    "post": (
        {
            "message": {
                "mid": MID,
                "attachments": [
                    {"type": "ig_post", "payload": {"ig_post_media_id": "1813", "title": "caption", "url": URL}}
                ],
            }
        },
        EventKind.MESSAGE,
        "messages",
        f"msg:{MID}",
        MID,
        {"attachments": [{"type": "ig_post", "url": URL, "mediaId": "1813", "title": "caption"}]},
    ),
    "story reply": (
        {
            "message": {
                "mid": MID,
                "text": "nice",
                "reply_to": {"story": {"id": "1790", "url": URL, "link_sticker_url": "https://shop.example"}},
            }
        },
        EventKind.MESSAGE,
        "messages",
        f"msg:{MID}",
        MID,
        {"text": "nice", "replyTo": {"storyId": "1790", "storyUrl": URL, "linkStickerUrl": "https://shop.example"}},
    ),
    "reply": (
        {"message": {"mid": MID, "text": "?", "reply_to": {"mid": "earlier"}}},
        EventKind.MESSAGE,
        "messages",
        f"msg:{MID}",
        MID,
        {"text": "?", "replyTo": {"messageId": "earlier"}},
    ),
    "quick reply": (
        {"message": {"mid": MID, "text": "Size M", "quick_reply": {"payload": "SIZE_M"}}},
        EventKind.MESSAGE,
        "messages",
        f"msg:{MID}",
        MID,
        {"text": "Size M", "quickReplyPayload": "SIZE_M"},
    ),
    "ad referral": (
        {"message": {"mid": MID, "text": "hi", "referral": AD}},
        EventKind.MESSAGE,
        "messages",
        f"msg:{MID}",
        MID,
        {"text": "hi", "referral": AD},
    ),
    "unsupported": (
        {"message": {"mid": MID, "is_unsupported": True}},
        EventKind.MESSAGE,
        "messages",
        f"msg:{MID}",
        MID,
        {"isUnsupported": True},
    ),
    "to oneself": (
        {"message": {"mid": MID, "text": "hi", "is_self": True}},
        EventKind.MESSAGE,
        "messages",
        f"msg:{MID}",
        MID,
        {"text": "hi", "isSelf": True},
    ),
    "edit": (
        {"message_edit": {"mid": MID, "text": "cafe open today?", "num_edit": 1}},
        EventKind.MESSAGE_EDITED,
        "message_edit",
        f"edit:{MID}:1",
        MID,
        {"text": "cafe open today?", "editNumber": 1},
    ),
    "edit with its number as text": (
        {"message_edit": {"mid": MID, "text": "again", "num_edit": "2"}},
        EventKind.MESSAGE_EDITED,
        "message_edit",
        f"edit:{MID}:2",
        MID,
        {"text": "again", "editNumber": 2},
    ),
    "reaction": (
        {"reaction": {"mid": MID, "action": "react", "reaction": "love", "emoji": "❤️"}},
        EventKind.REACTION,
        "message_reactions",
        f"react:{MID}:{CUSTOMER}:react:{HAPPENED_MS}",
        MID,
        {"action": "react", "reaction": "love", "emoji": "❤️", "senderId": CUSTOMER},
    ),
    "reaction taken back": (
        {"reaction": {"mid": MID, "action": "unreact"}},
        EventKind.REACTION,
        "message_reactions",
        f"react:{MID}:{CUSTOMER}:unreact:{HAPPENED_MS}",
        MID,
        {"action": "unreact", "senderId": CUSTOMER},
    ),
    "read": (
        {"read": {"mid": MID}},
        EventKind.READ,
        "messaging_seen",
        f"read:{MID}:{CUSTOMER}",
        MID,
        {},
    ),
    "postback": (
        {"postback": {"mid": MID, "title": "Opening hours", "payload": "HOURS"}},
        EventKind.POSTBACK,
        "messaging_postbacks",
        f"pb:{MID}",
        None,
        {"title": "Opening hours", "payload": "HOURS", "messageId": MID},
    ),
    "postback of an ad": (
        {"postback": {"mid": MID, "title": "Start", "payload": "START", "referral": AD}},
        EventKind.POSTBACK,
        "messaging_postbacks",
        f"pb:{MID}",
        None,
        {"title": "Start", "payload": "START", "messageId": MID, "referral": AD},
    ),
}

# The value of a change: kind, key, data.
CHANGES: dict[str, tuple[str, Json, EventKind, str, Json]] = {
    "comment": (
        "comments",
        {
            "id": "c1",
            "parent_id": "c0",
            "text": "love it",
            "from": AUTHOR,
            "media": {
                "id": "m1",
                "media_product_type": "FEED",
                "ad_id": "238",
                "ad_title": "Sale",
                "original_media_id": "m0",
            },
        },
        EventKind.COMMENT,
        "cmt:c1",
        {
            "commentId": "c1",
            "parentId": "c0",
            "text": "love it",
            "authorId": CUSTOMER,
            "authorUsername": "anna",
            "mediaId": "m1",
            "mediaProductType": "FEED",
            "adId": "238",
        },
    ),
    "comment by its other name": (
        "comments",
        {"comment_id": "c1", "text": "hi", "from": AUTHOR, "media": {"id": "m1", "media_product_type": "REELS"}},
        EventKind.COMMENT,
        "cmt:c1",
        {
            "commentId": "c1",
            "text": "hi",
            "authorId": CUSTOMER,
            "authorUsername": "anna",
            "mediaId": "m1",
            "mediaProductType": "REELS",
        },
    ),
    "live comment": (
        "live_comments",
        {"id": "l1", "text": "hello", "from": AUTHOR, "media": {"id": "m2", "media_product_type": "LIVE"}},
        EventKind.LIVE_COMMENT,
        "cmt:l1",
        {
            "commentId": "l1",
            "text": "hello",
            "authorId": CUSTOMER,
            "authorUsername": "anna",
            "mediaId": "m2",
            "mediaProductType": "LIVE",
        },
    ),
    "mention in a comment": (
        "mentions",
        {"media_id": "m1", "comment_id": "c1"},
        EventKind.MENTION,
        "men:c1",
        {"mediaId": "m1", "commentId": "c1"},
    ),
    "mention in a caption": ("mentions", {"media_id": "m1"}, EventKind.MENTION, "men:m1", {"mediaId": "m1"}),
    "insights of a story": (
        "story_insights",
        {"media_id": "s1", **METRICS},
        EventKind.STORY_INSIGHTS,
        "si:s1",
        {"mediaId": "s1", "metrics": METRICS},
    ),
}


@pytest.mark.parametrize(("content", "kind", "field", "key", "message_id", "data"), TALKS.values(), ids=TALKS.keys())
def test_each_kind_of_direct_message_is_read_with_its_key(
    content: Json, kind: EventKind, field: str, key: str, message_id: str | None, data: Json
) -> None:
    event = only(talk(item(**content)))

    assert (event.kind, event.field, event.key, event.message_id) == (kind, field, key, message_id)
    assert event.data == data
    assert (event.entry_id, event.participant_id, event.is_from_us) == (ACCOUNT, CUSTOMER, False)
    assert event.occurred_at == HAPPENED
    assert event.payload == json.loads(body(talk(item(**content))))


@pytest.mark.parametrize(("field", "value", "kind", "key", "data"), CHANGES.values(), ids=CHANGES.keys())
def test_each_kind_of_change_is_read_with_its_key(
    field: str, value: Json, kind: EventKind, key: str, data: Json
) -> None:
    event = only(change(field, value))

    assert (event.kind, event.field, event.key, event.data) == (kind, field, key, data)
    assert (event.entry_id, event.message_id, event.participant_id, event.is_from_us) == (ACCOUNT, None, None, False)
    assert event.occurred_at == datetime.fromtimestamp(SENT_S, UTC)
    assert event.payload == json.loads(body(change(field, value)))


@pytest.mark.parametrize(("field", "value", "kind", "key", "data"), CHANGES.values(), ids=CHANGES.keys())
def test_a_change_may_be_the_entry_itself(field: str, value: Json, kind: EventKind, key: str, data: Json) -> None:
    """Meta prints it so for apps with Instagram Login."""
    event = only({"id": ACCOUNT, "time": SENT_S, "field": field, "value": value})

    assert (event.kind, event.field, event.key, event.data) == (kind, field, key, data)
    assert (event.entry_id, event.occurred_at) == (ACCOUNT, datetime.fromtimestamp(SENT_S, UTC))


def test_an_echo_is_of_the_account_and_talks_to_its_recipient() -> None:
    event = only(talk(sent_by_account(message={"mid": MID, "text": "Yes", "is_echo": True, "app_id": 123})))

    assert (event.kind, event.field, event.key) == (EventKind.MESSAGE_ECHO, "message_echoes", f"msg:{MID}")
    assert (event.is_from_us, event.participant_id, event.message_id) == (True, CUSTOMER, MID)
    assert event.data == {"text": "Yes", "appId": "123"}


def test_an_echo_and_the_message_that_it_echoes_have_the_same_key() -> None:
    echo = only(talk(sent_by_account(message={"mid": MID, "text": "Yes", "is_echo": True})))
    sent = only(talk(sent_by_account(message={"mid": MID, "text": "Yes"})))

    assert (echo.key, echo.is_from_us) == (sent.key, sent.is_from_us)


@pytest.mark.parametrize(
    "content",
    [{"message_edit": {"mid": MID, "num_edit": 1}}, {"read": {"mid": MID}}, {"message": {"mid": MID}}],
)
def test_what_the_account_does_itself_is_known_by_its_sender(content: Json) -> None:
    event = only(talk(sent_by_account(**content)))

    assert (event.is_from_us, event.participant_id) == (True, CUSTOMER)


def test_an_unsent_echo_is_of_the_account_and_takes_a_message_back() -> None:
    event = only(talk(sent_by_account(message={"mid": MID, "is_deleted": True, "is_echo": True})))

    assert (event.kind, event.key, event.is_from_us) == (EventKind.MESSAGE_UNSENT, f"del:{MID}", True)


def test_a_comment_of_the_account_itself_is_told_apart() -> None:
    event = only(change("comments", {"id": "c1", "from": {"id": ACCOUNT, "username": "cafe.azul"}}))

    assert event.is_from_us


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
def test_a_time_may_be_in_seconds_or_milliseconds_and_a_text(at: Any, occurred_at: datetime) -> None:
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
def test_an_event_without_a_usable_time_happened_when_it_was_sent(at: Any) -> None:
    event = only(talk(item(read={"mid": MID}, timestamp=at)))

    assert event.occurred_at is not None
    assert round(event.occurred_at.timestamp() * 1000) == SENT_MS


def test_where_nothing_has_a_time_none_is_made_up() -> None:
    event = only({"id": ACCOUNT, "messaging": [{"read": {"mid": MID}}]})

    assert event.occurred_at is None


@pytest.mark.parametrize("content", [content for content, *_ in TALKS.values()], ids=TALKS.keys())
def test_an_event_in_standby_is_the_same_one_in_another_field(content: Json) -> None:
    standby = only(talk(item(**content), place="standby"))
    event = only(talk(item(**content)))

    assert standby.field == "standby"
    assert (standby.kind, standby.key, standby.data) == (event.kind, event.key, event.data)
    assert standby.payload["entry"][0]["standby"] == [item(**content)]


@pytest.mark.parametrize("wrap", [lambda one: [one], lambda one: [[one]]])
def test_bodies_may_come_as_a_list(wrap: Callable[[Any], Any]) -> None:
    first, second = json.loads(body(talk(message(1)))), json.loads(body(change("mentions", {"media_id": "m"})))

    events = parse(json.dumps([*wrap(first), second]).encode())

    assert keys(events) == [f"msg:{MID}1", "men:m"]
    assert [event.payload for event in events] == [first, second]


@pytest.mark.parametrize(
    ("entry", "key"),
    [(talk(message(1)), f"msg:{MID}1"), (talk(message(1), place="standby"), f"msg:{MID}1"), ({"field": "a"}, None)],
)
def test_an_entry_may_come_without_its_wrapper(entry: Json, key: str | None) -> None:
    (event,) = parse(json.dumps(entry).encode())

    assert event.kind is not EventKind.UNPARSED
    assert event.payload == {"object": "instagram", "entry": [entry]}
    assert key is None or event.key == key


DASHBOARD_ENDS = {"sender": {"id": "12334"}, "recipient": {"id": "23245"}, "timestamp": "1527459824"}
DASHBOARD = [
    ("messages", {"message": {"mid": "random_mid", "text": "random_text"}}),
    ("message_reactions", {"reaction": {"mid": "random_mid", "action": "react", "reaction": "love"}}),
    ("messaging_seen", {"read": {"mid": "random_mid"}}),
    ("messaging_postbacks", {"postback": {"mid": "random_mid", "title": "t", "payload": "p"}}),
    ("messaging_referral", {"referral": REFERRAL}),
    ("messaging_optins", {"optin": OPTIN}),
    ("message_edit", {"message_edit": {"mid": "random_mid", "text": "t", "num_edit": 1}}),
    ("message_echoes", {"message": {"mid": "random_mid", "is_echo": True}}),
]


@pytest.mark.parametrize(("field", "content"), DASHBOARD)
@pytest.mark.parametrize("entry_id", ["0", ACCOUNT])
def test_a_test_of_metas_dashboard_is_kept_as_one(field: str, content: Json, entry_id: str) -> None:
    event = only(
        {"id": entry_id, "time": SENT_S, "changes": [{"field": field, "value": {**DASHBOARD_ENDS, **content}}]}
    )

    assert event.kind is EventKind.TEST
    assert event.payload["entry"][0]["changes"][0]["value"] == {**DASHBOARD_ENDS, **content}
    assert event.occurred_at == datetime.fromtimestamp(1_527_459_824, UTC)


@pytest.mark.parametrize(("field", "content"), DASHBOARD)
@pytest.mark.parametrize("ends", [(CUSTOMER, ACCOUNT), (ACCOUNT, CUSTOMER)])
def test_a_direct_message_of_the_account_counts_also_as_a_change(
    field: str, content: Json, ends: tuple[str, str]
) -> None:
    changed = only(change(field, item(*ends, **content)))
    talked = only(talk(item(*ends, **content)))

    assert changed.kind is not EventKind.TEST
    assert (changed.kind, changed.key, changed.data, changed.participant_id, changed.is_from_us) == (
        talked.kind,
        talked.key,
        talked.data,
        talked.participant_id,
        talked.is_from_us,
    )


@pytest.mark.parametrize("place", ["messaging", "standby"])
def test_of_direct_messages_that_nobody_knows_the_whole_is_passed_on(place: str) -> None:
    handover = item(pass_thread_control={"new_owner_app_id": "123", "metadata": "m"})

    event = only(talk(handover, place=place))

    assert (event.kind, event.participant_id) == (EventKind.OTHER, CUSTOMER)
    assert event.field == ("pass_thread_control" if place == "messaging" else "standby")
    assert event.data == {"value": handover}


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "text", [], [1], {}, {"a": {"b": [1]}}])
def test_a_field_that_nobody_knows_is_passed_on_with_its_value(value: Any) -> None:
    event = only(change("share_to_story", value))

    assert (event.kind, event.field) == (EventKind.OTHER, "share_to_story")
    assert event.data == ({} if value is None else {"value": value})


@pytest.mark.parametrize("field", ["comments", "live_comments", "mentions", "story_insights", "messages"])
@pytest.mark.parametrize("value", [None, True, 0, "text", [], [{"id": "c1"}]])
def test_a_known_field_with_a_value_of_the_wrong_type_is_kept(field: str, value: Any) -> None:
    event = only(change(field, value))

    assert (event.kind, event.field) == (EventKind.OTHER, field)
    assert event.payload == json.loads(body(change(field, value)))


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


WRONG: list[Any] = [None, True, 0, -1.5, "text", "", [], ["x"], {}, {"id": None}, {"id": {}}, {"id": True}, {"mid": 7}]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_types_anywhere_in_a_direct_message_lose_nothing(wrong: Any) -> None:
    names = ["message", "message_edit", "reaction", "read", "postback", "referral", "optin", "sender", "recipient"]
    sent = [{**message(), name: wrong} for name in names]

    events = parse(body(talk(*sent)))

    assert [event.payload["entry"][0]["messaging"] for event in events] == [[one] for one in sent]
    for event in events:
        assert_can_be_stored(event)
        assert_parsed_again_is_the_same(event)


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_types_inside_of_a_message_lose_nothing(wrong: Any) -> None:
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
def test_wrong_types_inside_of_a_change_lose_nothing(field: str, wrong: Any) -> None:
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
def test_what_is_no_object_in_a_list_of_events_is_kept_beside_the_others(place: str, wrong: Any) -> None:
    first, second = (message(1), message(3)) if place != "changes" else ({"field": "a"}, {"field": "b"})

    events = parse(body({"id": ACCOUNT, "time": SENT_MS, place: [first, wrong, second]}))

    assert [event.kind is EventKind.UNPARSED for event in events] == [False, True, False]
    assert [event.entry_id for event in events] == [ACCOUNT] * 3
    assert events[1].payload == {"unparsed": json.loads(body({"id": ACCOUNT, "time": SENT_MS, place: [wrong]}))}


@pytest.mark.parametrize("wrong", [None, True, 1, "text", {}, {"message": {"mid": "m"}}])
@pytest.mark.parametrize("place", ["standby", "changes"])
def test_an_entry_with_a_strange_part_loses_neither_it_nor_its_events(place: str, wrong: Any) -> None:
    entry = {**talk(message(1), message(2)), place: wrong}

    *events, strange = parse(body(entry))

    assert keys(events) == [f"msg:{MID}1", f"msg:{MID}2"]
    assert (strange.kind, strange.entry_id) == (EventKind.UNPARSED, ACCOUNT)
    assert strange.payload["unparsed"]["entry"][0][place] == wrong
    for event in [*events, strange]:
        assert_parsed_again_is_the_same(event)


def test_a_strange_part_is_known_again_whatever_the_entry_brings_along() -> None:
    *_, first = parse(body({**talk(message(1)), "changes": "strange"}))
    *_, second = parse(body({**talk(message(2), message(3)), "changes": "strange"}))

    assert first.key == second.key


def test_an_entry_that_is_an_event_and_holds_others_gives_each_of_them_once() -> None:
    comment = {"field": "comments", "value": {"id": "c1"}}

    events = parse(body({**talk(message(1)), **comment}))

    assert sorted(keys(events)) == ["cmt:c1", f"msg:{MID}1"]
    for event in events:
        assert_parsed_again_is_the_same(event)


@pytest.mark.parametrize(
    "entry", [None, True, 1, "text", [], [talk(message())], {}, {"id": ACCOUNT}, {"id": ACCOUNT, "messaging": []}]
)
def test_an_entry_without_events_is_kept_beside_the_others(entry: Any) -> None:
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
def test_json_of_no_known_shape_is_one_event_that_holds_it(value: Any) -> None:
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
def test_what_is_no_json_that_can_be_kept_is_one_event_with_the_body_as_it_came(raw: bytes, kept: Json) -> None:
    (event,) = parse(raw)

    assert (event.kind, event.payload) == (EventKind.UNPARSED, kept)
    assert event == unreadable(raw)
    assert_can_be_stored(event)
    assert_parsed_again_is_the_same(event)


@pytest.mark.parametrize("depth", [30, 57, 58, 59, 60, 61, 62, 63, 64, 70])
def test_what_is_nested_is_kept_up_to_a_depth_at_which_it_can_also_be_read_again(depth: int) -> None:
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
def test_characters_that_jsonb_does_not_take_are_replaced_and_others_are_not(sent: str, kept: str) -> None:
    """A message that was cut in the middle of an emoji holds half of it."""
    raw = body(talk(item(message={"mid": "MID", "text": "TEXT"}))).replace(b"TEXT", f"a{sent}b".encode())

    (event,) = parse(raw.replace(b"MID", f"m{sent}".encode()))

    assert event.data["text"] == f"a{kept}b"
    assert event.key == f"msg:m{kept}"
    assert_can_be_stored(event)


@pytest.mark.parametrize(
    ("sent", "back"), [("1.0", "1.0"), ("1e2", "100"), ("1E2", "100.0"), ("-0.0", "0"), ("1.50", "1.5")]
)
def test_a_payload_is_read_the_same_after_postgres_has_written_its_numbers(sent: str, back: str) -> None:
    """jsonb keeps 1.0 as it is and writes 1e2 as 100; Meta's ids and times may be numbers."""
    raw = body(change("follow", {"n": 12321})).replace(b"12321", sent.encode())
    (event,) = parse(raw)
    kept = json.dumps(event.payload)

    (again,) = parse_again(json.loads(kept.replace(f'"n": {event.data["value"]["n"]}', f'"n": {back}')))

    assert again == event


@pytest.mark.parametrize("number", [900100, 900100.0, "900100"])
def test_an_id_may_be_a_number(number: Any) -> None:
    event = only(talk({**message(), "sender": {"id": number}, "recipient": {"id": int(ACCOUNT)}}))

    assert (event.participant_id, event.is_from_us) == (CUSTOMER, False)


@pytest.mark.parametrize("content", [content for content, *_ in TALKS.values()], ids=TALKS.keys())
@pytest.mark.parametrize("place", ["messaging", "standby"])
def test_a_direct_message_that_was_kept_is_read_the_same_again(content: Json, place: str) -> None:
    event = only(talk(item(**content), place=place))

    assert parse_again(json.loads(json.dumps(event.payload))) == [event]
    assert parse_again(as_jsonb_gives_back(event.payload)) == [event]


@pytest.mark.parametrize(("field", "value"), [one[:2] for one in CHANGES.values()], ids=CHANGES.keys())
def test_a_change_that_was_kept_is_read_the_same_again(field: str, value: Json) -> None:
    event = only(change(field, value))
    flat = only({"id": ACCOUNT, "time": SENT_S, "field": field, "value": value})

    assert parse_again(as_jsonb_gives_back(event.payload)) == [event]
    assert parse_again(as_jsonb_gives_back(flat.payload)) == [flat]


def test_an_unparsed_payload_is_read_with_what_the_parser_knows_by_then() -> None:
    """What an earlier parser could not read is kept inside of these."""
    known = json.loads(body(talk(message(1))))

    assert keys(parse_again({"unparsed": known})) == [f"msg:{MID}1"]
    assert keys(parse_again({"unparsed_text": json.dumps(known)})) == [f"msg:{MID}1"]


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


def test_the_messages_of_a_page_are_kept_and_are_none_of_instagram() -> None:
    entries = [talk(message(1)), talk(message(2), place="standby"), change("comments", {"id": "c1"})]

    events = parse(json.dumps({"object": "page", "entry": entries}).encode())

    assert [event.kind for event in events] == [EventKind.OTHER] * 3
    assert [event.payload for event in events] == [{"object": "page", "entry": [entry]} for entry in entries]
    assert len(set(keys(events))) == 3


def test_every_event_of_a_full_batch_is_found_in_its_order() -> None:
    """Meta puts up to a thousand updates into one POST."""
    entries = [{**talk(*(message(number * 25 + one) for one in range(25))), "id": str(number)} for number in range(40)]

    events = parse(body(*entries))

    assert keys(events) == [f"msg:{MID}{number}" for number in range(1000)]
    assert [event.entry_id for event in events] == [str(number // 25) for number in range(1000)]
    assert {len(event.payload["entry"][0]["messaging"]) for event in events} == {1}


def test_an_entry_may_hold_all_kinds_of_lists() -> None:
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


def test_what_people_wrote_is_no_part_of_what_an_event_prints() -> None:
    assert "open?" not in repr(only(talk(item(message={"mid": MID, "text": "café open?"}))))


@pytest.mark.parametrize(("sender", "recipient"), [("12334", "23245"), ("12334", None), (None, None)])
def test_a_change_between_people_who_do_not_exist_is_the_dashboards_test(
    sender: str | None, recipient: str | None
) -> None:
    value = {"sender": {"id": sender}, "recipient": {"id": recipient}, "message": {"mid": "random_mid", "text": "x"}}

    (event,) = parse(body({"id": ACCOUNT, "changes": [{"field": "messages", "value": value}]}))

    assert event.kind is EventKind.TEST


def test_a_change_that_names_the_account_beside_its_page_is_a_message() -> None:
    """Meta prints Page ids as entry.id for linked Pages."""
    value = {"sender": {"id": "900100"}, "recipient": {"id": ACCOUNT}, "message": {"mid": MID, "text": "x"}}

    (event,) = parse(body({"id": "104857600000001", "changes": [{"field": "messages", "value": value}]}))

    assert (event.kind, event.participant_id, event.other_end_id) == (EventKind.MESSAGE, "900100", ACCOUNT)
