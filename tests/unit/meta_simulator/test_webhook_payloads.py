"""The payload of each event type in the webhook that an app receives."""

import time
from typing import Any

import pytest

from meta_simulator.meta_apps import MetaApp
from meta_simulator.seed import ANA_CAFE
from meta_simulator.webhooks.batches import BatchWriter, expand_events
from meta_simulator.webhooks.events import EventType, WebhookEvent
from tests.support.app_endpoint import AppEndpoint
from tests.support.instagram_client import CAFE
from tests.support.meta_client import NOON
from tests.support.webhook_sender import WebhookSender, message

NOW_S = int(NOON.timestamp())
NOW_MS = NOW_S * 1000
URL = "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=18130000000000001&signature=AbC"
AD = {
    "ref": "promo",
    "ad_id": "23800000000000001",
    "source": "ADS",
    "type": "OPEN_THREAD",
    "ads_context_data": {"ad_title": "Sale", "photo_url": URL},
}
STORY = {"id": "17900000000000001", "url": URL, "link_sticker_url": "https://cafe-azul.example/menu"}
IG_POST = {"ig_post_media_id": "18130000000000001", "title": "Pão de queijo 🧀", "url": URL}
AUTHOR = {"id": "42", "username": "anna"}
MEDIA = "18000000000000001"

DIRECT_MESSAGES: dict[str, dict[str, Any]] = {
    "message": {"message": {"mid": "m", "text": "é"}},
    "echo": {"message": {"mid": "m", "text": "é", "is_echo": True, "app_id": 7777}},
    "unsend": {"message": {"mid": "m", "is_deleted": True}},
    "attachment": {"message": {"mid": "m", "attachments": [{"type": "image", "payload": {"url": URL}}]}},
    "ig_post": {"message": {"mid": "m", "attachments": [{"type": "ig_post", "payload": IG_POST}]}},
    "story_reply": {"message": {"mid": "m", "text": "é", "reply_to": {"story": STORY}}},
    "message_reply": {"message": {"mid": "m", "text": "é", "reply_to": {"mid": "aWdfZAG1AnEarlierMessage"}}},
    "quick_reply": {"message": {"mid": "m", "text": "é", "quick_reply": {"payload": "SIZE_M"}}},
    "ad_referral": {"message": {"mid": "m", "text": "é", "referral": AD}},
    "unsupported": {"message": {"mid": "m", "is_unsupported": True}},
    "message_edit": {"message_edit": {"mid": "m", "text": "é", "num_edit": 1}},
    "reaction": {"reaction": {"mid": "m", "action": "react", "reaction": "love", "emoji": "❤️"}},
    "unreact": {"reaction": {"mid": "m", "action": "unreact"}},
    "read": {"read": {"mid": "m"}},
    "postback": {"postback": {"mid": "m", "title": "Opening hours", "payload": "HOURS"}},
    "referral": {
        "referral": {"ref": "summer", "source": "https://ig.me/m/cafe.azul?ref=summer", "type": "OPEN_THREAD"}
    },
    "optin": {
        "optin": {
            "type": "notification_messages",
            "payload": "NEWS",
            "notification_messages_token": "1234567890",
            "title": "News",
        }
    },
}
METRICS = {"impressions": 444, "reach": 396, "taps_forward": 200, "taps_back": 100, "exits": 40, "replies": -1}
CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "comment": (
        "comments",
        {"id": "m", "text": "é", "from": AUTHOR, "media": {"id": MEDIA, "media_product_type": "FEED"}},
    ),
    "live_comment": (
        "live_comments",
        {"id": "m", "text": "é", "from": AUTHOR, "media": {"id": MEDIA, "media_product_type": "LIVE"}},
    ),
    "mention": ("mentions", {"media_id": "17910000000000001", "comment_id": "m"}),
    "story_insights": ("story_insights", {"media_id": "m", **METRICS}),
}
DUMMY_ENDS = {"sender": {"id": "12334"}, "recipient": {"id": "23245"}, "timestamp": "1527459824"}
DASHBOARD: dict[str, tuple[str, dict[str, Any]]] = {
    "dashboard_message": (
        "messages",
        {**DUMMY_ENDS, "message": {"mid": "random_mid", "text": "random_text"}},
    ),
    "dashboard_reaction": (
        "message_reactions",
        {**DUMMY_ENDS, "reaction": {"mid": "random_mid", "action": "react", "reaction": "love"}},
    ),
}


def about_cafe(kind: str, **more: object) -> dict[str, object]:
    return {"type": kind, "account": CAFE, "id": "m", "text": "é", "customer": "42", **more}


@pytest.mark.parametrize(("kind", "inner"), DIRECT_MESSAGES.items())
def test_direct_message_has_sender_recipient_and_milliseconds(
    webhooks: WebhookSender, endpoint: AppEndpoint, kind: str, inner: dict[str, Any]
) -> None:
    webhooks.send(about_cafe(kind))

    sender, recipient = (CAFE, "42") if kind == "echo" else ("42", CAFE)
    expected = {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": NOW_MS, **inner}
    assert endpoint.bodies == [
        {"object": "instagram", "entry": [{"id": CAFE, "time": NOW_MS, "messaging": [expected]}]}
    ]


@pytest.mark.parametrize(("kind", "change"), CHANGES.items())
def test_change_has_a_field_and_seconds(
    webhooks: WebhookSender, endpoint: AppEndpoint, kind: str, change: tuple[str, dict[str, Any]]
) -> None:
    webhooks.send(about_cafe(kind))

    field, value = change
    assert endpoint.bodies == [
        {
            "object": "instagram",
            "entry": [{"id": CAFE, "time": NOW_S, "changes": [{"field": field, "value": value}]}],
        }
    ]


@pytest.mark.parametrize(("kind", "change"), DASHBOARD.items())
def test_dashboard_test_has_no_account_and_needs_no_subscription(
    webhooks: WebhookSender, endpoint: AppEndpoint, kind: str, change: tuple[str, dict[str, Any]]
) -> None:
    webhooks.send({"type": kind})

    field, value = change
    assert endpoint.bodies == [
        {
            "object": "instagram",
            "entry": [{"id": "0", "time": NOW_S, "changes": [{"field": field, "value": value}]}],
        }
    ]


def test_flat_comment_is_an_entry_of_its_own(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    webhooks.send(about_cafe("flat_comment", count=2), updates_per_post=2)

    media = {"id": MEDIA, "media_product_type": "REELS"}
    assert endpoint.bodies[0]["entry"] == [
        {
            "id": CAFE,
            "time": NOW_S,
            "field": "comments",
            "value": {"id": id_, "text": "é", "from": AUTHOR, "media": media},
        }
        for id_ in ("m1", "m2")
    ]


def test_standby_is_a_separate_list(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    webhooks.send(about_cafe("standby"), about_cafe("message"), updates_per_post=2)

    standby, messaging = endpoint.bodies[0]["entry"]
    assert (set(standby), set(messaging)) == ({"id", "time", "standby"}, {"id", "time", "messaging"})
    assert standby["standby"][0]["message"] == {"mid": "m", "text": "é"}


def test_every_event_type_is_tested_here() -> None:
    tested = {*DIRECT_MESSAGES, *CHANGES, *DASHBOARD, "flat_comment", "standby"}

    assert tested == set(EventType)


def test_body_can_be_a_list(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    webhooks.send(message(), top_level="list")

    (body,) = endpoint.bodies
    assert isinstance(body, list)
    assert body[0]["object"] == "instagram"


def test_body_is_compact_with_non_ascii_escaped(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    webhooks.send(message(id="m", text="Café 🧀"))

    body = endpoint.received[0].body
    assert rb'"message":{"mid":"m","text":"Caf\u00e9 \ud83e\uddc0"}' in body
    assert body.isascii()
    assert b" " not in body.replace(rb"\u00e9 \ud83e", b"")


def test_overrides_replace_add_and_remove_keys(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    webhooks.send(message(id="m", overrides={"text": None, "mid": "other", "is_self": True}))

    assert endpoint.bodies[0]["entry"][0]["messaging"][0]["message"] == {"mid": "other", "is_self": True}


def test_timestamp_can_be_set(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    webhooks.send(message(timestamp=1_700_000_000_000))

    assert endpoint.bodies[0]["entry"][0]["messaging"][0]["timestamp"] == 1_700_000_000_000


def test_facebook_comment_has_comment_id(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    webhooks.send(about_cafe("comment"), product="facebook", even_if_not_subscribed=True)

    value = endpoint.bodies[0]["entry"][0]["changes"][0]["value"]
    assert (value["comment_id"], "id" in value) == ("m", False)


@pytest.mark.parametrize(
    ("account", "entry_id"),
    [("@Cafe.Azul", CAFE), (CAFE, CAFE), (ANA_CAFE.id, ANA_CAFE.id), ("17841499999999999", "17841499999999999")],
)
def test_entry_id_is_the_accounts_or_the_given_number(
    webhooks: WebhookSender, endpoint: AppEndpoint, account: str, entry_id: str
) -> None:
    webhooks.send({"type": "message", "account": account}, even_if_not_subscribed=True)

    entry = endpoint.bodies[0]["entry"][0]
    assert (entry["id"], entry["messaging"][0]["recipient"]["id"]) == (entry_id, entry_id)


@pytest.mark.parametrize("kind", ["message", "comment"])
def test_generated_ids_are_unique_and_timestamps_ascend(
    webhooks: WebhookSender, endpoint: AppEndpoint, kind: str
) -> None:
    for _ in range(2):
        webhooks.send({"type": kind, "account": CAFE, "count": 50})

    if kind == "message":
        items = [body["entry"][0]["messaging"][0] for body in endpoint.bodies]
        ids = [item["message"]["mid"] for item in items]
        times = [item["timestamp"] for item in items]
        assert times == [*range(NOW_MS - 49, NOW_MS + 1)] * 2
    else:
        ids = [body["entry"][0]["changes"][0]["value"]["id"] for body in endpoint.bodies]
        assert all(id_.isdecimal() for id_ in ids)
    assert len(set(ids)) == 100


def test_thousand_events_are_built_within_milliseconds() -> None:
    event = WebhookEvent.model_validate(message(count=1000))
    writer = BatchWriter("instagram", MetaApp("7777", "secret"), NOW_MS)
    started = time.process_time()

    writer.body(list(expand_events([event], {CAFE: CAFE}, NOW_MS)))

    assert time.process_time() - started < 0.2  # ten times what a slow machine needs
