"""The `subscribed_fields` parameter of the subscribed_apps edges."""

import json
from json import JSONDecodeError

from meta_simulator import errors
from meta_simulator.graph.call import GraphCall


def subscribed_fields(call: GraphCall, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the fields of a call, given as a comma-separated or JSON list, without repeats.

    Raises GraphError 100 if there are none, or for the first one that is not allowed.
    """
    text = call.params.get("subscribed_fields", "")
    fields = _json_list(text) or [part.strip() for part in text.split(",") if part.strip()]
    if not fields:
        raise errors.invalid_parameter("The parameter subscribed_fields is required.")
    for position, name in enumerate(fields):
        if name not in allowed:
            raise errors.invalid_parameter(
                f'Param subscribed_fields[{position}] must be one of {{{", ".join(allowed)}}} - got "{name}".'
            )
    return tuple(dict.fromkeys(fields))


def _json_list(text: str) -> list[str]:
    try:
        content = json.loads(text)
    except JSONDecodeError:
        return []
    return [str(item) for item in content] if isinstance(content, list) else []
