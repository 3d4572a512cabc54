"""For any input the parser does not raise, loses nothing, and yields storable events with stable keys."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from instagram_connect.webhooks.parser import parse
from tests.support.arbitrary import batches, bodies, changes, items, json_values, mutated, raw
from tests.support.budget import examples
from tests.support.deliveries import (
    ACCOUNT,
    SENT_S,
    assert_can_be_stored,
    assert_parsed_again_is_the_same,
    body,
    keys,
    message,
    talk,
)

# Examples may take any time.
untimed = settings(max_examples=examples(60))


@untimed
@given(
    st.binary(min_size=1)
    | st.text(min_size=1).map(str.encode)
    | st.text('{}[]":,\\u0dnaN-1e', min_size=1).map(str.encode)
)
def test_arbitrary_bytes_yield_at_least_one_event(received: bytes) -> None:
    events = parse(received)

    assert events
    for event in events:
        assert_can_be_stored(event)
        assert_parsed_again_is_the_same(event)


@untimed
@given(json_values)
def test_arbitrary_json_yields_at_least_one_event(value: Any) -> None:
    events = parse(raw(value))

    assert events
    for event in events:
        assert_can_be_stored(event)
        assert_parsed_again_is_the_same(event)


@untimed
@given(mutated())
def test_almost_valid_body_yields_at_least_one_event(value: Any) -> None:
    events = parse(raw(value))

    assert events
    for event in events:
        assert_can_be_stored(event)
        assert_parsed_again_is_the_same(event)


@untimed
@given(bodies)
def test_batch_parses_like_its_events_sent_one_by_one(value: Any) -> None:
    events = parse(raw(value))

    one_by_one = [parse(raw(event.payload)) for event in events]

    assert one_by_one == [[event] for event in events]


@untimed
@given(batches)
def test_every_event_of_a_batch_is_found(batch: dict[str, Any]) -> None:
    expected = [
        *(talked for entry in batch["entry"] for name in ("messaging", "standby") for talked in entry.get(name, [])),
        *(changed for entry in batch["entry"] for changed in entry.get("changes", [])),
        *(entry for entry in batch["entry"] if "field" in entry),
    ]

    assert len(parse(raw(batch))) == len(expected)


@untimed
@given(items, st.lists(items, max_size=3), st.lists(items, max_size=3), st.sampled_from(["messaging", "standby"]))
def test_direct_message_key_does_not_depend_on_its_batch(
    item: dict[str, Any], before: list[dict[str, Any]], after: list[dict[str, Any]], place: str
) -> None:
    alone = parse(body(talk(item, place=place)))

    together = parse(body(talk(message()), {**talk(*before, item, *after, place=place), "time": SENT_S}))

    assert together[1 + len(before)].key == alone[0].key
    assert together[1 + len(before)].data == alone[0].data


@untimed
@given(changes, st.lists(changes, max_size=3), st.lists(changes, max_size=3))
def test_change_key_does_not_depend_on_its_batch(
    change: dict[str, Any], before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    alone = parse(body({"id": ACCOUNT, "time": SENT_S, **change}))

    together = parse(body({"id": ACCOUNT, "time": SENT_S + 60, "changes": [*before, change, *after]}))

    assert together[len(before)].key == alone[0].key
    assert together[len(before)].data == alone[0].data


@untimed
@given(json_values, json_values)
def test_keys_ignore_member_order_and_formatting(value: Any, other: Any) -> None:
    batch = {"object": "instagram", "entry": [{"id": ACCOUNT, "changes": [{"field": "x", "value": value}, other]}]}

    written = json.dumps(batch, indent=1, ensure_ascii=True)
    turned = json.dumps(batch, sort_keys=True, separators=(",", ":"))

    assert keys(parse(written.encode())) == keys(parse(turned.encode()))
