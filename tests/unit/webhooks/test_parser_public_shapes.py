"""Webhook shapes reported by other public projects, with invented ids and texts.

Several of them are in no document of Meta's. Sources: nyaruka/courier and weni-ai/courier (handlers/*/testdata/ig),
chatwoot/chatwoot (spec/factories/instagram, pull request 15294), and tests and notes of smaller projects, of which
several tell of `message_edit` with the number 0.
"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from instagram_connect.webhooks.events import EventKind
from instagram_connect.webhooks.parser import parse
from tests.support.deliveries import assert_can_be_stored, assert_parsed_again_is_the_same, keys

US, THEM = "17841411111111111", "5550001"
AT = 1_771_000_000_456
CDN = "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=42&signature=xyz"


def envelope(*entries: dict[str, Any], name: str = "instagram") -> dict[str, Any]:
    return {"object": name, "entry": list(entries)}


def inbox(content: dict[str, Any], **around: Any) -> dict[str, Any]:
    """An entry with its members in another order than in Meta's documentation."""
    ends = {"recipient": {"id": US}, "sender": {"id": THEM}, "timestamp": AT}
    return {"id": US, "messaging": [{**content, **ends}], "time": AT, **around}


def post(*changes: tuple[str, Any], time: Any = AT // 1000, entry_id: str = US) -> dict[str, Any]:
    return {"id": entry_id, "time": time, "changes": [{"value": value, "field": field} for field, value in changes]}


SHAPES: dict[str, tuple[Any, list[EventKind]]] = {
    "a text before who sent it": (envelope(inbox({"message": {"text": "Olá", "mid": "m1"}})), [EventKind.MESSAGE]),
    "a message that says what it is not": (
        envelope(
            inbox(
                {
                    "message": {
                        "mid": "m1",
                        "text": "hi",
                        "is_deleted": False,
                        "is_self": False,
                        "is_unsupported": False,
                        "is_echo": False,
                    }
                }
            )
        ),
        [EventKind.MESSAGE],
    ),
    "a heart": (
        envelope(inbox({"message": {"mid": "m1", "attachments": [{"type": "like_heart"}]}})),
        [EventKind.MESSAGE],
    ),
    "a story that mentions the account": (
        envelope(
            inbox({"message": {"mid": "m1", "attachments": [{"type": "story_mention", "payload": {"url": CDN}}]}})
        ),
        [EventKind.MESSAGE],
    ),
    "an echo of a story that mentions the account": (
        envelope(
            inbox(
                {
                    "message": {
                        "mid": "m1",
                        "attachments": [{"type": "story_mention", "payload": {"url": CDN}}],
                        "is_echo": True,
                    }
                }
            )
        ),
        [EventKind.MESSAGE_ECHO],
    ),
    "an echo without a time of its sending": (
        envelope({"id": US, "messaging": inbox({"message": {"is_echo": True, "mid": "m1"}})["messaging"]}),
        [EventKind.MESSAGE_ECHO],
    ),
    "a reel that was shared": (
        envelope(
            inbox(
                {
                    "message": {
                        "mid": "m1",
                        "attachments": [
                            {"type": "ig_reel", "payload": {"reel_video_id": "99", "title": "Bread", "url": CDN}}
                        ],
                    }
                }
            )
        ),
        [EventKind.MESSAGE],
    ),
    "a post that was shared, in the old form and the new one": (
        envelope(
            inbox(
                {
                    "message": {
                        "mid": "m1",
                        "attachments": [
                            {"type": "share", "payload": {"url": CDN}},
                            {"type": "ig_post", "payload": {"ig_post_media_id": 98, "title": "Bread", "url": CDN}},
                        ],
                    }
                }
            )
        ),
        [EventKind.MESSAGE],
    ),
    "a sticker": (
        envelope(
            inbox(
                {
                    "message": {
                        "mid": "m1",
                        "sticker_id": 369,
                        "attachments": [{"type": "image", "payload": {"url": CDN, "sticker_id": 369}}],
                    }
                }
            )
        ),
        [EventKind.MESSAGE],
    ),
    "an answer to a story": (
        envelope(inbox({"message": {"text": "wow", "mid": "m1", "reply_to": {"story": {"url": CDN, "id": "s1"}}}})),
        [EventKind.MESSAGE],
    ),
    "an ad that was clicked": (
        envelope(
            inbox(
                {
                    "message": {
                        "mid": "m1",
                        "text": "price?",
                        "referral": {
                            "ad_id": "77",
                            "source": "ADS",
                            "ads_context_data": {
                                "ad_title": "Bread",
                                "video_url": CDN,
                                "post_id": "5",
                                "product_id": "6",
                                "flow_id": "7",
                            },
                        },
                    }
                }
            )
        ),
        [EventKind.MESSAGE],
    ),
    "an ad without a message": (
        envelope(inbox({"referral": {"ref": "bread", "source": "ADS", "is_guest_user": "true"}})),
        [EventKind.REFERRAL],
    ),
    "an ice breaker": (
        envelope(inbox({"postback": {"title": "Do you deliver?", "payload": "start"}})),
        [EventKind.POSTBACK],
    ),
    "notifications that are wanted and not wanted any more": (
        envelope(
            inbox(
                {
                    "optin": {
                        "type": "notification_messages",
                        "payload": "bread",
                        "notification_messages_token": "n1",
                        "notification_messages_frequency": "DAILY",
                        "token_expiry_timestamp": AT + 1,
                        "user_token_status": "NOT_REFRESHED",
                        "title": "Bread",
                    }
                }
            ),
            inbox(
                {
                    "optin": {
                        "type": "notification_messages",
                        "payload": "bread",
                        "notification_messages_token": "n1",
                        "notification_messages_status": "STOP_NOTIFICATIONS",
                    }
                }
            ),
        ),
        [EventKind.OPTIN, EventKind.OPTIN],
    ),
    "a message that was taken back": (
        envelope(inbox({"message": {"mid": "m1", "is_deleted": True}})),
        [EventKind.MESSAGE_UNSENT],
    ),
    "a message that was read": (envelope(inbox({"read": {"mid": "m1"}})), [EventKind.READ]),
    "an edit in the words of Messenger": (
        envelope(inbox({"message_edit": {"mid": "m1", "text": "Olá!", "num_edits": 1}})),
        [EventKind.MESSAGE_EDITED],
    ),
    "an edit that is none, of nobody": (
        envelope(
            {"id": US, "time": AT, "messaging": [{"timestamp": AT, "message_edit": {"mid": "m1", "num_edit": 0}}]}
        ),
        [EventKind.MESSAGE_EDITED],
    ),
    "somebody and nothing else": (envelope(inbox({}, time=None)), [EventKind.OTHER]),
    "a message to another account": (
        envelope(inbox({"message": {"text": "hi", "mid": "m1"}}, id="17841422222222222")),
        [EventKind.MESSAGE],
    ),
    "sender and times that are texts": (
        envelope(
            {
                "id": US,
                "time": "2026-02-13T16:26:40+0000",
                "messaging": [
                    {
                        "sender": {"id": "customer-1"},
                        "recipient": {"id": US},
                        "timestamp": "2026-02-13T16:26:40+0000",
                        "message": {"mid": "m1", "text": "hi"},
                    }
                ],
            }
        ),
        [EventKind.MESSAGE],
    ),
    "a message that another app answers, without an id": (
        envelope({"id": US, "time": AT, "standby": [{"sender": {"id": THEM}, "message": {"text": "hi"}}]}),
        [EventKind.MESSAGE],
    ),
    "the same message twice in one delivery": (
        envelope(inbox({"message": {"text": "hi", "mid": "m1"}}), inbox({"message": {"text": "hi", "mid": "m1"}})),
        [EventKind.MESSAGE, EventKind.MESSAGE],
    ),
    "a talk that is handed over, beside one that another app has": (
        envelope(
            {
                **inbox({"pass_thread_control": {"new_owner_app_id": "1", "previous_owner_app_id": "2"}}),
                "standby": [{"sender": {"id": THEM}, "recipient": {"id": US}, "message": {"mid": "m1"}}],
            },
            inbox({"take_thread_control": {"previous_owner_app_id": 1, "metadata": "back"}}),
            inbox({"request_thread_control": {"requested_owner_app_id": 1}}),
        ),
        [EventKind.OTHER, EventKind.MESSAGE, EventKind.OTHER, EventKind.OTHER],
    ),
    "a talk that is handed over, as a change": (
        envelope(
            post(
                (
                    "messaging_handover",
                    {
                        "sender": {"id": THEM},
                        "recipient": {"id": US},
                        "timestamp": str(AT // 1000),
                        "pass_thread_control": {"previous_owner_app_id": "1", "new_owner_app_id": "2"},
                    },
                )
            )
        ),
        [EventKind.OTHER],
    ),
    "a message and a button of the account, as changes": (
        envelope(
            {
                "id": US,
                "changes": [
                    {
                        "field": "messages",
                        "value": {
                            "sender": {"id": THEM},
                            "recipient": {"id": US},
                            "timestamp": str(AT // 1000),
                            "message": {"mid": "m1", "text": "hi"},
                        },
                    },
                    {
                        "field": "messaging_postbacks",
                        "value": {
                            "sender": {"id": THEM},
                            "recipient": {"id": US},
                            "timestamp": str(AT // 1000),
                            "postback": {"mid": "m2", "title": "Yes", "payload": "YES"},
                        },
                    },
                ],
            }
        ),
        [EventKind.MESSAGE, EventKind.POSTBACK],
    ),
    "the dashboard's test in the place of real messages": (
        envelope(
            {
                "time": AT,
                "id": "0",
                "messaging": [
                    {
                        "sender": {"id": "12334"},
                        "recipient": {"id": "23245"},
                        "timestamp": "1527459824",
                        "message": {"mid": "random_mid", "text": "random_text"},
                    }
                ],
            }
        ),
        [EventKind.TEST],
    ),
    "a comment on a story, sent in milliseconds": (
        envelope(
            post(
                (
                    "comments",
                    {
                        "from": {"id": THEM, "username": "bia"},
                        "id": "c1",
                        "media": {"id": "s1", "media_product_type": "STORY"},
                        "text": "wow",
                    },
                ),
                time=AT,
            )
        ),
        [EventKind.COMMENT],
    ),
    "a comment with the caption of what it is on": (
        envelope(
            post(
                (
                    "comments",
                    {
                        "from": {"id": THEM, "username": "bia", "self_ig_scoped_id": "8"},
                        "id": "c1",
                        "created_time": AT // 1000,
                        "media": {"ad_id": "77", "id": "p1", "original_media_id": "p0", "caption": "Bread"},
                        "text": "wow",
                    },
                )
            )
        ),
        [EventKind.COMMENT],
    ),
    "a comment without an id": (
        envelope(post(("comments", {"from": {"id": THEM}, "media": {"id": "p1"}, "text": "wow"}))),
        [EventKind.COMMENT],
    ),
    "a comment and one in a live video, of people without names": (
        envelope(
            post(
                ("comments", {"id": "c1", "text": "wow", "from": {"id": THEM}}),
                ("live_comments", {"id": "c2", "text": "hey", "from": {"id": THEM}, "media": {"id": "l1"}}),
            )
        ),
        [EventKind.COMMENT, EventKind.LIVE_COMMENT],
    ),
    "a comment that is the entry": (
        envelope({"id": US, "time": AT, "field": "comments", "value": {"id": "c1", "text": "w", "from": {"id": THEM}}}),
        [EventKind.COMMENT],
    ),
    "a mention with its author": (
        envelope(post(("mentions", {"id": "x1", "from": {"id": THEM, "username": "bia"}, "media_id": "s1"}))),
        [EventKind.MENTION],
    ),
    "changes without anything in them": (
        envelope(post(("mentions", {}), ("live_comments", {}), ("story_insights", {}), ("comments", {}))),
        [EventKind.MENTION, EventKind.LIVE_COMMENT, EventKind.STORY_INSIGHTS, EventKind.COMMENT],
    ),
    "fields that Meta lists and does not describe": (
        envelope(
            post(
                ("follow", {"from": {"id": THEM}}),
                ("share_to_story", {"media_id": "p1"}),
                ("story_reactions", {"media_id": "s1", "emoji": "x"}),
                ("story_poll_response", {"option": 1}),
                ("comment_poll_response", {"option": 1}),
                ("onboarding_welcome_message_series", {}),
                ("creator_marketplace_projects", {"project_id": "1"}),
                ("delta", {}),
            )
        ),
        [EventKind.OTHER] * 8,
    ),
    "a list of deliveries": (
        [envelope(inbox({"message": {"text": "hi", "mid": "m1"}})), envelope(post(("mentions", {"media_id": "p1"})))],
        [EventKind.MESSAGE, EventKind.MENTION],
    ),
    "what is sent to the endpoint of a Page": (
        envelope(
            inbox({"message": {"text": "hi", "mid": "m1"}}),
            inbox({"delivery": {"mids": ["m1"], "watermark": AT}}),
            post(("feed", {"item": "comment", "verb": "add", "comment_id": "c1"})),
            name="page",
        ),
        [EventKind.OTHER, EventKind.OTHER, EventKind.OTHER],
    ),
}


@pytest.mark.parametrize(("shape", "kinds"), SHAPES.values(), ids=SHAPES.keys())
def test_publicly_reported_shapes_are_parsed(shape: Any, kinds: list[EventKind]) -> None:
    events = parse(json.dumps(shape).encode())

    assert [event.kind for event in events] == kinds
    for event in events:
        assert_can_be_stored(event)
        assert_parsed_again_is_the_same(event)


@pytest.mark.parametrize("shape", [shape for shape, _ in SHAPES.values()], ids=SHAPES.keys())
def test_indentation_and_escaped_slashes_do_not_matter(shape: Any) -> None:
    indented = json.dumps(shape, indent=2).replace("/", r"\/")

    assert parse(indented.encode()) == parse(json.dumps(shape).encode())


def test_new_message_sent_as_an_edit_has_its_own_key() -> None:
    """Sent for new messages, without text and often without sender; the message itself may not follow."""
    shape, _ = SHAPES["an edit that is none, of nobody"]

    (edit,) = parse(json.dumps(shape).encode())

    assert (edit.key, edit.message_id, edit.participant_id) == ("edit:m1:0", "m1", None)
    assert (edit.entry_id, edit.is_from_us, edit.data) == (US, False, {"editNumber": 0})


def test_message_repeated_in_one_delivery_has_one_key() -> None:
    shape, _ = SHAPES["the same message twice in one delivery"]

    assert keys(parse(json.dumps(shape).encode())) == ["msg:m1", "msg:m1"]


def test_two_optins_to_one_topic_are_two_events() -> None:
    shape, _ = SHAPES["notifications that are wanted and not wanted any more"]

    assert len(set(keys(parse(json.dumps(shape).encode())))) == 2


def test_attachments_keep_type_and_media_only() -> None:
    heart, reel, both, sticker = (
        parse(json.dumps(SHAPES[name][0]).encode())[0].data["attachments"]
        for name in (
            "a heart",
            "a reel that was shared",
            "a post that was shared, in the old form and the new one",
            "a sticker",
        )
    )

    assert heart == [{"type": "like_heart"}]
    assert reel == [{"type": "ig_reel", "url": CDN, "mediaId": "99", "title": "Bread"}]
    assert both == [
        {"type": "share", "url": CDN},
        {"type": "ig_post", "url": CDN, "mediaId": "98", "title": "Bread"},
    ]
    assert sticker == [{"type": "image", "url": CDN}]


def test_change_times_in_milliseconds_are_recognized() -> None:
    shape, _ = SHAPES["a comment on a story, sent in milliseconds"]

    (comment,) = parse(json.dumps(shape).encode())

    assert comment.occurred_at == datetime(2026, 2, 13, 16, 26, 40, 456_000, tzinfo=UTC)
