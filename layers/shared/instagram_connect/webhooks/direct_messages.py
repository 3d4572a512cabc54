"""Events from direct messages: their kind, content and deduplication key.

Source: Meta, "Instagram Platform Webhook Notification Examples". An unsend carries the id of the message that it takes
back, so ids alone do not identify events.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from instagram_connect.meta.json_values import digest, to_count, to_id, to_list, to_object, to_text
from instagram_connect.webhooks.events import EventKind, WebhookEvent
from instagram_connect.webhooks.parts import Parts

# Subscription fields whose events can arrive in `changes` instead of `messaging`.
DIRECT_MESSAGE_FIELDS = frozenset(
    {
        "messages",
        "message_echoes",
        "message_edit",
        "message_edits",
        "message_reactions",
        "messaging_seen",
        "messaging_postbacks",
        "messaging_referral",
        "messaging_referrals",
        "messaging_optins",
    }
)
MAX_EDIT_NUMBER = 2**31 - 1  # the column is a Postgres integer
DASHBOARD_ENTRY = "0"
# Real ids have at least fifteen digits, those of the dashboard's examples five.
MIN_ID_LENGTH = 10


@dataclass(frozen=True)
class _Conversation:
    """An item with its sender and the participant who is not the account."""

    item: Mapping[str, Any]
    sender: str | None
    participant: str | None
    is_from_us: bool


@dataclass(frozen=True)
class _Meaning:
    kind: EventKind
    field: str
    key: str | None
    message_id: str | None
    data: dict[str, Any]


def direct_message(
    parts: Parts, item: Mapping[str, Any], *, is_standby: bool = False, is_change: bool = False
) -> WebhookEvent:
    """Make an event of an item of `messaging` or `standby`, or of a change in a messaging field."""
    sender = to_id(to_object(item.get("sender")).get("id"))
    recipient = to_id(to_object(item.get("recipient")).get("id"))
    is_echo = to_object(item.get("message")).get("is_echo") is True
    is_from_us = is_echo or (sender is not None and sender == parts.entry_id)
    talk = _Conversation(item, sender, recipient if is_from_us else sender, is_from_us)
    name = next((name for name in _MEANINGS if name in item), None)
    meaning = _MEANINGS[name](talk, to_object(item[name])) if name else _other(item)
    kind = meaning.kind
    has_made_up_people = parts.entry_id not in (sender, recipient) and _is_made_up(sender) and _is_made_up(recipient)
    if parts.entry_id == DASHBOARD_ENTRY or (is_change and has_made_up_people):
        # The dashboard's examples name an account, or people, that do not exist.
        kind = EventKind.TEST
    return parts.event(
        kind,
        "standby" if is_standby else meaning.field,
        meaning.key or f"{meaning.kind}:{digest(item)}",
        at=item.get("timestamp"),
        message_id=meaning.message_id,
        participant_id=talk.participant,
        other_end_id=sender if is_from_us else recipient,
        is_from_us=is_from_us,
        data=meaning.data,
    )


def _is_made_up(person: str | None) -> bool:
    return person is None or len(person) < MIN_ID_LENGTH


def _message(_: _Conversation, message: Mapping[str, Any]) -> _Meaning:
    mid = to_id(message.get("mid"))
    if message.get("is_deleted") is True:
        return _Meaning(EventKind.MESSAGE_UNSENT, "messages", mid and f"del:{mid}", mid, {})
    kind = EventKind.MESSAGE_ECHO if message.get("is_echo") is True else EventKind.MESSAGE
    data = {
        "text": to_text(message.get("text")),
        "attachments": [_attachment(entry) for entry in to_list(message.get("attachments"))] or None,
        "replyTo": _reply(to_object(message.get("reply_to"))),
        "quickReplyPayload": to_text(to_object(message.get("quick_reply")).get("payload")),
        "referral": message.get("referral"),
        "isUnsupported": True if message.get("is_unsupported") is True else None,
        "isSelf": True if message.get("is_self") is True else None,
        "appId": to_id(message.get("app_id")),
    }
    field = "message_echoes" if kind is EventKind.MESSAGE_ECHO else "messages"
    return _Meaning(kind, field, mid and f"msg:{mid}", mid, data)


def _attachment(entry: Any) -> dict[str, Any]:
    known, payload = to_object(entry), to_object(to_object(entry).get("payload"))
    described = {
        "type": to_text(known.get("type")) or "unknown",
        "url": to_text(payload.get("url")),  # expires at Meta
        "mediaId": to_id(payload.get("ig_post_media_id")) or to_id(payload.get("reel_video_id")),
        "title": to_text(payload.get("title")),
    }
    return {name: value for name, value in described.items() if value is not None}


def _reply(reply: Mapping[str, Any]) -> dict[str, Any] | None:
    story = to_object(reply.get("story"))
    described = {
        "messageId": to_id(reply.get("mid")),
        "storyId": to_id(story.get("id")),
        "storyUrl": to_text(story.get("url")),
        "linkStickerUrl": to_text(story.get("link_sticker_url")),
    }
    return {name: value for name, value in described.items() if value is not None} or None


def _edit(_: _Conversation, edit: Mapping[str, Any]) -> _Meaning:
    mid, number = to_id(edit.get("mid")), to_count(edit.get("num_edit"), MAX_EDIT_NUMBER)
    key = f"edit:{mid}:{number}" if mid and number is not None else None
    return _Meaning(
        EventKind.MESSAGE_EDITED, "message_edit", key, mid, {"text": to_text(edit.get("text")), "editNumber": number}
    )


def _reaction(talk: _Conversation, reaction: Mapping[str, Any]) -> _Meaning:
    mid, action = to_id(reaction.get("mid")), to_text(reaction.get("action"))
    at = to_id(talk.item.get("timestamp"))
    key = f"react:{mid}:{talk.sender}:{action}:{at}" if mid and talk.sender and action and at else None
    data = {
        "action": action,
        "reaction": to_text(reaction.get("reaction")),
        "emoji": to_text(reaction.get("emoji")),
        "senderId": talk.sender,
    }
    return _Meaning(EventKind.REACTION, "message_reactions", key, mid, data)


def _read(talk: _Conversation, read: Mapping[str, Any]) -> _Meaning:
    mid = to_id(read.get("mid"))
    return _Meaning(
        EventKind.READ, "messaging_seen", f"read:{mid}:{talk.sender}" if mid and talk.sender else None, mid, {}
    )


def _postback(_: _Conversation, postback: Mapping[str, Any]) -> _Meaning:
    mid = to_id(postback.get("mid"))
    data = {
        "title": to_text(postback.get("title")),
        "payload": to_text(postback.get("payload")),
        "referral": postback.get("referral"),
        "messageId": mid,
    }
    return _Meaning(EventKind.POSTBACK, "messaging_postbacks", mid and f"pb:{mid}", None, data)


def _referral(_: _Conversation, referral: Mapping[str, Any]) -> _Meaning:
    return _Meaning(EventKind.REFERRAL, "messaging_referral", None, None, {"referral": dict(referral)})


def _optin(_: _Conversation, optin: Mapping[str, Any]) -> _Meaning:
    return _Meaning(EventKind.OPTIN, "messaging_optins", None, None, {"optin": dict(optin)})


def _other(item: Mapping[str, Any]) -> _Meaning:
    names = sorted(set(item) - {"sender", "recipient", "timestamp"})
    return _Meaning(EventKind.OTHER, (names and names[0]) or "messaging", None, None, {"value": dict(item)})


# The order matters: a message can contain a referral, which is then part of the message.
_MEANINGS: Mapping[str, Callable[[_Conversation, Mapping[str, Any]], _Meaning]] = {
    "message": _message,
    "message_edit": _edit,
    "reaction": _reaction,
    "read": _read,
    "postback": _postback,
    "referral": _referral,
    "optin": _optin,
}
