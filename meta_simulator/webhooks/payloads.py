"""The payload of each event type.

Source: Meta, "Instagram Platform Webhook Notification Examples" and "Instagram Post Shares: New Attachment Type". The
dashboard's test payloads and the flat comment follow client reports; `optin` follows the Messenger Platform.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from meta_simulator.meta_apps import Product
from meta_simulator.webhooks.events import EventType

# The key of an entry that holds the update; "entry" means that the update is the entry itself.
Place = Literal["messaging", "standby", "changes", "entry"]
Json = dict[str, Any]

_MEDIA_URL = "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=18130000000000001&signature=AbC"
_EARLIER_MID = "aWdfZAG1AnEarlierMessage"
_DASHBOARD_SECONDS = "1527459824"


@dataclass(frozen=True, slots=True)
class EventContext:
    """Who and what one event is about. `timestamp` is in Unix milliseconds."""

    account_id: str
    customer: str
    id: str
    text: str
    timestamp: int
    product: Product
    app_id: str


BuildInner = Callable[[EventContext], Json]


@dataclass(frozen=True, slots=True)
class Shape:
    """Where an event's payload goes, its name there (a `messaging` key or a `changes` field), and its content."""

    place: Place
    name: str
    inner: BuildInner


def render_update(event_type: EventType, context: EventContext, overrides: Json) -> tuple[Place, Json]:
    """Return the place of an update and its content, with the overrides merged into the inner object."""
    shape = SHAPES[event_type]
    inner = shape.inner(context)
    if overrides:
        inner = {name: value for name, value in {**inner, **overrides}.items() if value is not None}
    if shape.place in ("changes", "entry"):
        return shape.place, {"field": shape.name, "value": inner}
    participants = (context.customer, context.account_id)
    sender, recipient = reversed(participants) if event_type is EventType.ECHO else participants
    return shape.place, {
        "sender": {"id": sender},
        "recipient": {"id": recipient},
        "timestamp": context.timestamp,
        shape.name: inner,
    }


def is_direct_message(event_type: EventType) -> bool:
    """Return whether the stricter delivery rules of messaging apply to this type."""
    return SHAPES[event_type].place in ("messaging", "standby")


def _message(**more: object) -> BuildInner:
    return lambda event: {"mid": event.id, **more}


def _text_message(**more: object) -> BuildInner:
    return lambda event: {"mid": event.id, "text": event.text, **more}


def _attachment(kind: str, **payload: str) -> BuildInner:
    return _message(attachments=[{"type": kind, "payload": payload}])


def _comment(media_type: str) -> BuildInner:
    def inner(event: EventContext) -> Json:
        return {
            # Meta's examples differ between the products.
            "id" if event.product == "instagram" else "comment_id": event.id,
            "text": event.text,
            "from": {"id": event.customer, "username": "anna"},
            "media": {"id": "18000000000000001", "media_product_type": media_type},
        }

    return inner


def _dashboard(name: str, **inner: str) -> BuildInner:
    participants = {"sender": {"id": "12334"}, "recipient": {"id": "23245"}, "timestamp": _DASHBOARD_SECONDS}
    return lambda _: {**participants, name: {"mid": "random_mid", **inner}}


_STORY = {"id": "17900000000000001", "url": _MEDIA_URL, "link_sticker_url": "https://cafe-azul.example/menu"}
_AD = {
    "ref": "promo",
    "ad_id": "23800000000000001",
    "source": "ADS",
    "type": "OPEN_THREAD",
    "ads_context_data": {"ad_title": "Sale", "photo_url": _MEDIA_URL},
}
_OPTIN = {
    "type": "notification_messages",
    "payload": "NEWS",
    "notification_messages_token": "1234567890",
    "title": "News",
}
_METRICS = {"impressions": 444, "reach": 396, "taps_forward": 200, "taps_back": 100, "exits": 40, "replies": -1}

SHAPES: dict[EventType, Shape] = {
    EventType.MESSAGE: Shape("messaging", "message", _text_message()),
    EventType.ECHO: Shape(
        "messaging",
        "message",
        lambda event: {"mid": event.id, "text": event.text, "is_echo": True, "app_id": int(event.app_id)},
    ),
    EventType.UNSEND: Shape("messaging", "message", _message(is_deleted=True)),
    EventType.ATTACHMENT: Shape("messaging", "message", _attachment("image", url=_MEDIA_URL)),
    EventType.IG_POST: Shape(
        "messaging",
        "message",
        _attachment("ig_post", ig_post_media_id="18130000000000001", title="Pão de queijo 🧀", url=_MEDIA_URL),
    ),
    EventType.STORY_REPLY: Shape("messaging", "message", _text_message(reply_to={"story": _STORY})),
    EventType.MESSAGE_REPLY: Shape("messaging", "message", _text_message(reply_to={"mid": _EARLIER_MID})),
    EventType.QUICK_REPLY: Shape("messaging", "message", _text_message(quick_reply={"payload": "SIZE_M"})),
    EventType.AD_REFERRAL: Shape("messaging", "message", _text_message(referral=_AD)),
    EventType.UNSUPPORTED: Shape("messaging", "message", _message(is_unsupported=True)),
    EventType.MESSAGE_EDIT: Shape("messaging", "message_edit", _text_message(num_edit=1)),
    EventType.REACTION: Shape("messaging", "reaction", _message(action="react", reaction="love", emoji="❤️")),
    EventType.UNREACT: Shape("messaging", "reaction", _message(action="unreact")),
    EventType.READ: Shape("messaging", "read", _message()),
    EventType.POSTBACK: Shape("messaging", "postback", _message(title="Opening hours", payload="HOURS")),
    EventType.REFERRAL: Shape(
        "messaging",
        "referral",
        lambda _: {"ref": "summer", "source": "https://ig.me/m/cafe.azul?ref=summer", "type": "OPEN_THREAD"},
    ),
    EventType.OPTIN: Shape("messaging", "optin", lambda _: dict(_OPTIN)),
    EventType.STANDBY: Shape("standby", "message", _text_message()),
    EventType.COMMENT: Shape("changes", "comments", _comment("FEED")),
    EventType.FLAT_COMMENT: Shape("entry", "comments", _comment("REELS")),
    EventType.LIVE_COMMENT: Shape("changes", "live_comments", _comment("LIVE")),
    EventType.MENTION: Shape(
        "changes", "mentions", lambda event: {"media_id": "17910000000000001", "comment_id": event.id}
    ),
    EventType.STORY_INSIGHTS: Shape("changes", "story_insights", lambda event: {"media_id": event.id, **_METRICS}),
    EventType.DASHBOARD_MESSAGE: Shape("changes", "messages", _dashboard("message", text="random_text")),
    EventType.DASHBOARD_REACTION: Shape(
        "changes", "message_reactions", _dashboard("reaction", action="react", reaction="love")
    ),
}
