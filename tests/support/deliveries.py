"""Webhook bodies in Meta's shapes with invented ids, and checks that events can be stored."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from instagram_connect.webhooks.events import WebhookEvent
from instagram_connect.webhooks.parser import parse, parse_again

ACCOUNT = "17841400000000001"
CUSTOMER = "900100"
# The same moment twice, and one a little earlier: entries of messages are in milliseconds, those of changes in seconds.
SENT_MS, SENT_S = 1_769_000_000_123, 1_769_000_000
HAPPENED_MS = 1_769_000_000_001
MID = "aWdfZAG1faXRlbTox"
AUTHOR = {"id": CUSTOMER, "username": "anna"}

Json = dict[str, Any]

_NOT_FOR_JSONB = re.compile("[\x00\ud800-\udfff]")


def item(sender: Any = CUSTOMER, recipient: Any = ACCOUNT, timestamp: Any = HAPPENED_MS, **content: Any) -> Json:
    """One direct message event, sent by the customer by default."""
    return {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": timestamp, **content}


def sent_by_account(**content: Any) -> Json:
    """One direct message event, sent by the account."""
    return item(ACCOUNT, CUSTOMER, **content)


def message(number: int = 1, **content: Any) -> Json:
    return item(message={"mid": f"{MID}{number}", "text": f"message {number}", **content})


def talk(*items: Any, place: str = "messaging") -> Json:
    """An entry of direct messages."""
    return {"id": ACCOUNT, "time": SENT_MS, place: list(items)}


def change(field: str, value: Any) -> Json:
    """An entry with one change."""
    return {"id": ACCOUNT, "time": SENT_S, "changes": [{"field": field, "value": value}]}


def body(*entries: Any) -> bytes:
    """The raw body, compact and with everything beyond ASCII as \\uXXXX."""
    return json.dumps({"object": "instagram", "entry": list(entries)}, separators=(",", ":")).encode()


def only(*entries: Any) -> WebhookEvent:
    """The only event in the entries."""
    (event,) = parse(body(*entries))
    return event


def keys(events: list[WebhookEvent]) -> list[str]:
    return [event.key for event in events]


def as_jsonb_gives_back(value: Any) -> Any:
    """A value as jsonb returns it: no exponents, member names sorted by length."""
    return json.loads(json.dumps(_stored(value)), parse_float=_number)


def _stored(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _stored(value[name]) for name in sorted(value, key=lambda name: (len(name.encode()), name))}
    return [_stored(one) for one in value] if isinstance(value, list) else value


def _number(text: str) -> Any:
    return json.loads(f"{Decimal(text):f}")


def assert_can_be_stored(event: WebhookEvent) -> None:
    """Checks that an event fits PostgreSQL's columns and jsonb."""
    assert 0 < len(event.key) <= 1000
    assert 0 < len(event.field) <= 500
    ids = [event.entry_id, event.message_id or "", event.participant_id or ""]
    assert max(len(one) for one in ids) <= 500
    for text in texts([event.key, event.field, *ids, event.payload, event.data]):
        assert not _NOT_FOR_JSONB.search(text)
    for value in (event.payload, event.data):
        json.dumps(value, allow_nan=False)
        assert depth_of(value) <= 70
    assert as_jsonb_gives_back(event.payload) == event.payload
    assert as_jsonb_gives_back(event.data) == event.data


def assert_parsed_again_is_the_same(event: WebhookEvent) -> None:
    assert parse_again(as_jsonb_gives_back(event.payload)) == [event]


def texts(value: Any) -> Iterator[str]:
    """All strings in a value, including member names."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif isinstance(value, dict):
        yield from value
        yield from texts(list(value.values()))


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0
