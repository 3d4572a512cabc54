"""How an entry of a webhook holds its events, for those who take it apart: the parser, and the queue for large bodies.

Events are in lists, or the entry itself is one (`field` and `value`). Whatever else is in it goes along with each.
"""

from collections.abc import Iterator, Mapping
from typing import Any

LISTS = ("messaging", "standby", "changes")
FLAT = ("field", "value")


def common(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What all events of an entry have in common: whose it is, when it was sent, and what nobody knows."""
    return {name: value for name, value in entry.items() if name not in (*LISTS, *FLAT)}


def lists(entry: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """The entry's lists of events, with their names."""
    for name in LISTS:
        if isinstance(entry.get(name), list) and entry[name]:
            yield name, entry[name]


def single_event(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """The entry as the event that it is itself; None when it is none."""
    if "field" not in entry:
        return None
    return {**common(entry), **{name: entry[name] for name in FLAT if name in entry}}


def malformed(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """The parts of an entry that have the name of a list and are none; None when there are none."""
    parts = {name: entry[name] for name in LISTS if name in entry and not isinstance(entry[name], list)}
    return {**common(entry), **parts} if parts else None
