"""Takes a webhook's body apart into events. Never refuses: what it cannot read is an event of its own.

Bodies come as an object or a list of them, their events in `messaging`, `standby` or `changes` of an entry, or as the
entry itself. Source: Meta, "Instagram Platform Webhook Notification Examples", and deliveries that differ from it.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

from . import received_json
from .changes import CHANGES, other_change
from .direct_messages import DIRECT_MESSAGE_FIELDS, direct_message
from .events import Kind, WebhookEvent
from .parts import Parts, text, text_id
from .received_json import UnreadableJsonError, digest, items, mapping

OBJECT = "instagram"
LISTS = ("messaging", "standby", "changes")
# Whatever it is that could not be read: JSON, text, or bytes.
UNPARSED, UNPARSED_TEXT, UNPARSED_BYTES = "unparsed", "unparsed_text", "unparsed_base64"


def parse(body: bytes) -> list[WebhookEvent]:
    """All events of a body."""
    try:
        value = received_json.read(body)
    except UnreadableJsonError:
        return [unreadable(body)]
    return list(_body_events(value))


def parse_again(payload: Mapping[str, Any]) -> list[WebhookEvent]:
    """The events of a payload that was kept earlier, also by a parser that could not read it."""
    if UNPARSED_TEXT in payload:
        return parse(payload[UNPARSED_TEXT].encode())
    if UNPARSED_BYTES in payload:
        return parse(base64.b64decode(payload[UNPARSED_BYTES]))
    return parse(json.dumps(payload.get(UNPARSED, payload)).encode())


def _body_events(body: Any) -> Iterator[WebhookEvent]:
    if isinstance(body, list) and body:
        for one in body:
            yield from _body_events(one)
        return
    entries = mapping(body).get("entry")
    if isinstance(entries, list) and entries:
        for entry in entries:
            yield from _entry_events(body.get("object", OBJECT), entry)
    elif any(name in mapping(body) for name in (*LISTS, "field")):
        # An entry without its wrapper, as Meta prints its examples.
        yield from _entry_events(OBJECT, body)
    else:
        yield _unparsed(body)


def _entry_events(object_name: Any, entry: Any) -> Iterator[WebhookEvent]:
    known = mapping(entry)
    around = {name: value for name, value in known.items() if name not in LISTS}
    found = False
    for name in LISTS:
        for item in items(known.get(name)):
            found = True
            yield _event(object_name, {**around, name: [item]}, name, item)
    if "field" in known:
        found = True
        yield _event(object_name, around, "changes", known)
    leftover = {name: known[name] for name in LISTS if name in known and not isinstance(known[name], list)}
    if leftover or not found:
        yield _unparsed({"object": object_name, "entry": [entry]}, text_id(known.get("id")) or "")


def _event(object_name: Any, entry: dict[str, Any], place: str, item: Any) -> WebhookEvent:
    payload = {"object": object_name, "entry": [entry]}
    parts = Parts(text_id(entry.get("id")) or "", payload, entry.get("time"))
    if not isinstance(item, dict):
        return _unparsed(payload, parts.entry_id)
    if place == "changes":
        field, value = text(item.get("field")) or place, item.get("value")
        if object_name != OBJECT or not isinstance(value, dict):
            return other_change(parts, field, value)
        if field in DIRECT_MESSAGE_FIELDS:
            return direct_message(parts, value, is_change=True)
        known_change = CHANGES.get(field)
        return known_change(parts, field, value) if known_change else other_change(parts, field, value)
    if object_name != OBJECT:  # a Page's messages are not Instagram's
        return parts.event(Kind.OTHER, place, f"{place}:{digest(item)}")
    return direct_message(parts, item, is_standby=place == "standby")


def _unparsed(piece: Any, entry_id: str = "") -> WebhookEvent:
    return WebhookEvent(entry_id, f"raw:{digest(piece)}", UNPARSED, Kind.UNPARSED, {UNPARSED: piece})


def unreadable(body: bytes) -> WebhookEvent:
    """A body that is kept as it came, because nothing could be made of it."""
    try:
        as_text = body.decode()
    except UnicodeDecodeError:
        as_text = None
    if as_text is not None and received_json.keepable(as_text) == as_text:
        kept = {UNPARSED_TEXT: as_text}
    else:
        kept = {UNPARSED_BYTES: base64.b64encode(body).decode()}
    return WebhookEvent("", f"raw:{digest(kept)}", UNPARSED, Kind.UNPARSED, kept)
