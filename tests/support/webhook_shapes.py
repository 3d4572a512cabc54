"""Every shape of a webhook that Meta documents, with the event expected from it."""

from instagram_connect.webhooks.events import EventKind
from tests.support.deliveries import (
    AUTHOR,
    CUSTOMER,
    HAPPENED_MS,
    MID,
    Json,
)

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
