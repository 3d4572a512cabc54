"""The structure of a webhook entry, shared by the parser and the queue, which splits large bodies.

An entry has lists of events, or is a single event itself (`field` and `value`). All other members are common to them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

LISTS = ("messaging", "standby", "changes")
FLAT = ("field", "value")


def common(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members common to all events of an entry: account, time and unknown ones."""
    return {name: value for name, value in entry.items() if name not in (*LISTS, *FLAT)}


def lists(entry: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yield the entry's non-empty lists of events with their names."""
    for name in LISTS:
        if isinstance(entry.get(name), list) and entry[name]:
            yield name, entry[name]


def single_event(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the entry as a single event, or None if it is not one."""
    if "field" not in entry:
        return None
    return {**common(entry), **{name: entry[name] for name in FLAT if name in entry}}


def malformed(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the members that should be lists but are not, or None if there are none."""
    parts = {name: entry[name] for name in LISTS if name in entry and not isinstance(entry[name], list)}
    return {**common(entry), **parts} if parts else None
