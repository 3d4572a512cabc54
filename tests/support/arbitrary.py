"""Webhook bodies for property tests: valid ones and mutated ones."""

import copy
import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.support.deliveries import ACCOUNT, CUSTOMER, HAPPENED_MS, MID, SENT_MS, SENT_S, Json

# Also what JSON can say and jsonb cannot hold: U+0000 and halves of surrogate pairs.
any_text = st.text(st.characters(exclude_categories=()), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | any_text
    | st.sampled_from(["", "0", ACCOUNT, CUSTOMER, MID, 10**40, 1e300, -0.0, 1.0])
)
# Where events are looked for, in the order of their depth; then what is looked for in them.
BODY, ENTRY = ["object", "entry"], ["id", "time", "messaging", "standby", "changes", "field", "value"]
ITEM = [
    "sender",
    "recipient",
    "timestamp",
    "message",
    "message_edit",
    "reaction",
    "read",
    "postback",
    "referral",
    "optin",
]
INSIDE = ["mid", "text", "is_echo", "is_deleted", "attachments", "reply_to", "num_edit", "action", "payload", "url"]
VALUE = ["comment_id", "parent_id", "media_id", "media", "from", "username"]
KEPT = ["unparsed", "unparsed_text", "unparsed_base64"]
names = st.sampled_from([*BODY, *ENTRY, *ITEM, *INSIDE, *VALUE, *KEPT]) | any_text
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)

_mids = st.integers(0, 3).map(lambda number: f"{MID}{number}")
_times = st.sampled_from([HAPPENED_MS, HAPPENED_MS + 1, str(HAPPENED_MS), SENT_S, None])
_contents: st.SearchStrategy[Json] = st.one_of(
    st.builds(lambda mid, text: {"message": {"mid": mid, "text": text}}, _mids, any_text),
    st.builds(lambda mid, echo: {"message": {"mid": mid, "is_deleted": True, "is_echo": echo}}, _mids, st.booleans()),
    st.builds(lambda mid, number: {"message_edit": {"mid": mid, "num_edit": number}}, _mids, st.integers(0, 3)),
    st.builds(
        lambda mid, action: {"reaction": {"mid": mid, "action": action}}, _mids, st.sampled_from(["react", "unreact"])
    ),
    st.builds(lambda mid: {"read": {"mid": mid}}, _mids),
    st.builds(lambda mid: {"postback": {"mid": mid, "payload": "p"}}, _mids),
    st.builds(lambda ref: {"referral": {"ref": ref}}, any_text),
    st.builds(lambda mid, url: {"message": {"mid": mid, "attachments": [{"payload": {"url": url}}]}}, _mids, any_text),
)
_ends = st.sampled_from([(CUSTOMER, ACCOUNT), (ACCOUNT, CUSTOMER), ("12334", "23245")])
items: st.SearchStrategy[Json] = st.builds(
    lambda ends, at, content: {"sender": {"id": ends[0]}, "recipient": {"id": ends[1]}, "timestamp": at, **content},
    _ends,
    _times,
    _contents,
)
changes: st.SearchStrategy[Json] = st.one_of(
    st.builds(
        lambda field, number, text: {"field": field, "value": {"id": f"c{number}", "text": text}},
        st.sampled_from(["comments", "live_comments"]),
        st.integers(0, 3),
        any_text,
    ),
    st.builds(lambda number: {"field": "mentions", "value": {"media_id": f"m{number}"}}, st.integers(0, 3)),
    st.builds(lambda item: {"field": "messages", "value": item}, items),
    st.builds(lambda field, value: {"field": field, "value": value}, any_text, json_values),
)
_entry_ids = st.sampled_from([ACCOUNT, "0", "17841400000000002"])
entries: st.SearchStrategy[Json] = st.one_of(
    st.builds(
        lambda entry_id, place, events: {"id": entry_id, "time": SENT_MS, place: events},
        _entry_ids,
        st.sampled_from(["messaging", "standby"]),
        st.lists(items, min_size=1, max_size=4),
    ),
    st.builds(
        lambda entry_id, events: {"id": entry_id, "time": SENT_S, "changes": events},
        _entry_ids,
        st.lists(changes, min_size=1, max_size=4),
    ),
    st.builds(lambda entry_id, change: {"id": entry_id, "time": SENT_S, **change}, _entry_ids, changes),
    st.builds(
        lambda talked, changed: {"id": ACCOUNT, "time": SENT_MS, "messaging": talked, "changes": changed},
        st.lists(items, max_size=3),
        st.lists(changes, min_size=1, max_size=3),
    ),
)
batches: st.SearchStrategy[Json] = st.lists(entries, min_size=1, max_size=4).map(
    lambda several: {"object": "instagram", "entry": several}
)
bodies: st.SearchStrategy[Any] = batches | st.lists(batches, min_size=1, max_size=3)


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A valid body with up to three values replaced, removed or added."""
    value = [copy.deepcopy(draw(bodies))]
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        draw(st.sampled_from(places))(draw)
    return value[0]


def _places(value: Any) -> list[Callable[[st.DrawFn], None]]:
    """The mutations possible inside a list or an object."""
    found: list[Callable[[st.DrawFn], None]] = []
    if isinstance(value, dict):
        siblings = next((group for group in (BODY, ENTRY, ITEM) if set(group) & set(value)), KEPT)
        found.append(lambda draw: value.__setitem__(draw(st.sampled_from(siblings) | names), draw(json_values)))
    for place in list(value) if isinstance(value, dict) else range(len(value)):
        found.append(lambda draw, place=place: value.__setitem__(place, draw(json_values)))  # type: ignore[misc]
        found.append(lambda draw, place=place: value.__setitem__(place, [value[place]]))  # type: ignore[misc]
        if isinstance(value, dict):
            found.append(lambda draw, place=place: value.__delitem__(place))  # type: ignore[misc]
        if isinstance(value[place], dict | list):
            found += _places(value[place])
    return found


def raw(value: Any) -> bytes:
    return json.dumps(value).encode()
