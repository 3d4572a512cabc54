"""A stored payload is parsed into the same event again, also after PostgreSQL has rewritten its JSON."""

import json

import pytest

from instagram_connect.webhooks.parser import parse, parse_again
from tests.support.deliveries import (
    ACCOUNT,
    MID,
    SENT_S,
    Json,
    as_jsonb_gives_back,
    body,
    change,
    item,
    keys,
    message,
    only,
    talk,
)
from tests.support.webhook_shapes import CHANGES, TALKS


@pytest.mark.parametrize(
    ("sent", "back"), [("1.0", "1.0"), ("1e2", "100"), ("1E2", "100.0"), ("-0.0", "0"), ("1.50", "1.5")]
)
def test_payload_parses_alike_after_postgres_rewrites_numbers(sent: str, back: str) -> None:
    """jsonb keeps 1.0 as it is and writes 1e2 as 100; Meta's ids and times may be numbers."""
    raw = body(change("follow", {"n": 12321})).replace(b"12321", sent.encode())
    (event,) = parse(raw)
    kept = json.dumps(event.payload)

    (again,) = parse_again(json.loads(kept.replace(f'"n": {event.data["value"]["n"]}', f'"n": {back}')))

    assert again == event


@pytest.mark.parametrize("content", [content for content, *_ in TALKS.values()], ids=TALKS.keys())
@pytest.mark.parametrize("place", ["messaging", "standby"])
def test_stored_direct_message_parses_to_the_same_event(content: Json, place: str) -> None:
    event = only(talk(item(**content), place=place))

    assert parse_again(json.loads(json.dumps(event.payload))) == [event]
    assert parse_again(as_jsonb_gives_back(event.payload)) == [event]


@pytest.mark.parametrize(("field", "value"), [one[:2] for one in CHANGES.values()], ids=CHANGES.keys())
def test_stored_change_parses_to_the_same_event(field: str, value: Json) -> None:
    event = only(change(field, value))
    flat = only({"id": ACCOUNT, "time": SENT_S, "field": field, "value": value})

    assert parse_again(as_jsonb_gives_back(event.payload)) == [event]
    assert parse_again(as_jsonb_gives_back(flat.payload)) == [flat]


def test_unparsed_payload_is_parsed_again() -> None:
    """These hold whatever an earlier parser could not read."""
    known = json.loads(body(talk(message(1))))

    assert keys(parse_again({"unparsed": known})) == [f"msg:{MID}1"]
    assert keys(parse_again({"unparsed_text": json.dumps(known)})) == [f"msg:{MID}1"]
