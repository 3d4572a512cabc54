"""Parses webhook bodies into events. Never rejects anything: unreadable parts become events of their own kind.

A body is an object or a list of objects. Events are in `messaging`, `standby` or `changes` of an entry, or the entry is
an event itself. Source: Meta, "Instagram Platform Webhook Notification Examples", and real deliveries that differ.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

from instagram_connect.meta.json_values import (
    UnreadableJsonError,
    digest,
    read_json,
    storable,
    to_id,
    to_object,
    to_text,
)
from instagram_connect.webhooks import entries
from instagram_connect.webhooks.changes import CHANGES, other_change
from instagram_connect.webhooks.direct_messages import DIRECT_MESSAGE_FIELDS, direct_message
from instagram_connect.webhooks.events import EventKind, WebhookEvent
from instagram_connect.webhooks.parts import Parts

OBJECT = "instagram"
# Levels of nesting that a stored payload adds to an event: body and entry.
_WRAPPING = 4
# Payload keys of unparsed input, by type: JSON, text or bytes.
UNPARSED, UNPARSED_TEXT, UNPARSED_BYTES = "unparsed", "unparsed_text", "unparsed_base64"


def parse(body: bytes) -> list[WebhookEvent]:
    """Parse a body into events."""
    return _parse(body, room=0)


def parse_again(payload: Mapping[str, Any]) -> list[WebhookEvent]:
    """Parse a stored payload again, including those that an earlier parser could not read."""
    is_raw = UNPARSED_TEXT in payload or UNPARSED_BYTES in payload
    return _parse(original(payload), room=0 if is_raw else _WRAPPING)


def original(payload: Mapping[str, Any]) -> bytes:
    """Return the body that a stored payload was made from."""
    if UNPARSED_TEXT in payload:
        return str(payload[UNPARSED_TEXT]).encode()
    if UNPARSED_BYTES in payload:
        return base64.b64decode(payload[UNPARSED_BYTES])
    return json.dumps(payload.get(UNPARSED, payload)).encode()


def unreadable(body: bytes) -> WebhookEvent:
    """Make an event that keeps an unreadable body unchanged."""
    try:
        as_text = body.decode()
    except UnicodeDecodeError:
        as_text = None
    if as_text is not None and storable(as_text) == as_text:
        kept = {UNPARSED_TEXT: as_text}
    else:
        kept = {UNPARSED_BYTES: base64.b64encode(body).decode()}
    return WebhookEvent("", f"raw:{digest(kept)}", UNPARSED, EventKind.UNPARSED, kept)


def _parse(body: bytes, room: int) -> list[WebhookEvent]:
    try:
        value = read_json(body, room)
    except UnreadableJsonError:
        return [unreadable(body)]
    return list(_body_events(value))


def _body_events(body: Any) -> Iterator[WebhookEvent]:
    if isinstance(body, list) and body:
        for one in body:
            yield from _body_events(one)
        return
    known = to_object(body)
    if isinstance(known.get("entry"), list) and known["entry"]:
        for entry in known["entry"]:
            yield from _entry_events(known.get("object", OBJECT), entry)
    elif any(name in known for name in (*entries.LISTS, "field")):
        # An entry without its wrapper, as in Meta's examples.
        yield from _entry_events(OBJECT, known)
    else:
        yield _unparsed(body)


def _entry_events(object_name: Any, entry: Any) -> Iterator[WebhookEvent]:
    known = to_object(entry)
    entry_id = to_id(known.get("id")) or ""
    found = False
    for name, listed in entries.lists(known):
        for item in listed:
            found = True
            yield _event(object_name, {**entries.common(known), name: [item]}, name, item)
    if flat := entries.single_event(known):
        found = True
        # The account and the time of sending are not part of the event.
        yield _event(object_name, flat, "changes", {name: flat[name] for name in flat if name not in ("id", "time")})
    if malformed := entries.malformed(known):
        yield _unparsed({"object": object_name, "entry": [malformed]}, entry_id)
    elif not found:
        yield _unparsed({"object": object_name, "entry": [entry]}, entry_id)


def _event(object_name: Any, entry: dict[str, Any], place: str, item: Any) -> WebhookEvent:
    payload = {"object": object_name, "entry": [entry]}
    parts = Parts(to_id(entry.get("id")) or "", payload, entry.get("time"))
    if not isinstance(item, dict):
        return _unparsed(payload, parts.entry_id)
    if place == "changes":
        field, value = to_text(item.get("field")) or place, item.get("value")
        known_change = CHANGES.get(field)
        if object_name != OBJECT or not isinstance(value, dict):
            return other_change(parts, field, item)
        if field in DIRECT_MESSAGE_FIELDS:
            return direct_message(parts, value, is_change=True)
        return known_change(parts, field, value) if known_change else other_change(parts, field, item)
    if object_name != OBJECT:  # a Page's messages are not Instagram's
        return parts.event(EventKind.OTHER, place, f"{place}:{digest(item)}")
    return direct_message(parts, item, is_standby=place == "standby")


def _unparsed(piece: Any, entry_id: str = "") -> WebhookEvent:
    return WebhookEvent(entry_id, f"raw:{digest(piece)}", UNPARSED, EventKind.UNPARSED, {UNPARSED: piece})
