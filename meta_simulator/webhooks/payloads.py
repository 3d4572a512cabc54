"""What each kind of event looks like inside a webhook.

Source: Meta, "Instagram Platform Webhook Notification Examples" and "Instagram Post Shares: New Attachment Type"; the
shapes of the dashboard's tests and of the flat comment are as reported by clients, that of `optin` is the Messenger
Platform's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from meta_simulator.meta_apps import Product
from meta_simulator.webhooks.events import EventType

# Where an update stands in its entry; "entry" is the flat form, in which it is the entry.
Place = Literal["messaging", "standby", "changes", "entry"]
Json = dict[str, Any]

_MEDIA_URL = "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=18130000000000001&signature=AbC"
_EARLIER_MID = "aWdfZAG1AnEarlierMessage"
_DASHBOARD_SECONDS = "1527459824"


@dataclass(frozen=True, slots=True)
class Occasion:
    """Who and what one event is about; `timestamp` is in milliseconds."""

    account_id: str
    customer: str
    id: str
    text: str
    timestamp: int
    product: Product
    app_id: str


Inner = Callable[[Occasion], Json]


@dataclass(frozen=True, slots=True)
class Shape:
    """Where an event stands, under which name (a key of `messaging` or a field of `changes`), and what is inside."""

    place: Place
    name: str
    inner: Inner


def write(event_type: EventType, occasion: Occasion, overrides: Json) -> tuple[Place, Json]:
    """Return the update with the overrides laid over its inner object, and where it belongs."""
    shape = SHAPES[event_type]
    inner = shape.inner(occasion)
    if overrides:
        inner = {name: value for name, value in {**inner, **overrides}.items() if value is not None}
    if shape.place in ("changes", "entry"):
        return shape.place, {"field": shape.name, "value": inner}
    ends = (occasion.customer, occasion.account_id)
    sender, recipient = reversed(ends) if event_type is EventType.ECHO else ends
    return shape.place, {
        "sender": {"id": sender},
        "recipient": {"id": recipient},
        "timestamp": occasion.timestamp,
        shape.name: inner,
    }


def is_direct_message(event_type: EventType) -> bool:
    """Tell whether the stricter rules of messaging are about this kind."""
    return SHAPES[event_type].place in ("messaging", "standby")


def _message(**more: object) -> Inner:
    return lambda about: {"mid": about.id, **more}


def _text_message(**more: object) -> Inner:
    return lambda about: {"mid": about.id, "text": about.text, **more}


def _attachment(kind: str, **payload: str) -> Inner:
    return _message(attachments=[{"type": kind, "payload": payload}])


def _comment(media_type: str) -> Inner:
    def inner(about: Occasion) -> Json:
        return {
            # Both names are in Meta's examples, one with each product.
            "id" if about.product == "instagram" else "comment_id": about.id,
            "text": about.text,
            "from": {"id": about.customer, "username": "anna"},
            "media": {"id": "18000000000000001", "media_product_type": media_type},
        }

    return inner


def _dashboard(name: str, **inner: str) -> Inner:
    ends = {"sender": {"id": "12334"}, "recipient": {"id": "23245"}, "timestamp": _DASHBOARD_SECONDS}
    return lambda _: {**ends, name: {"mid": "random_mid", **inner}}


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
        lambda about: {"mid": about.id, "text": about.text, "is_echo": True, "app_id": int(about.app_id)},
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
        "changes", "mentions", lambda about: {"media_id": "17910000000000001", "comment_id": about.id}
    ),
    EventType.STORY_INSIGHTS: Shape("changes", "story_insights", lambda about: {"media_id": about.id, **_METRICS}),
    EventType.DASHBOARD_MESSAGE: Shape("changes", "messages", _dashboard("message", text="random_text")),
    EventType.DASHBOARD_REACTION: Shape(
        "changes", "message_reactions", _dashboard("reaction", action="react", reaction="love")
    ),
}
