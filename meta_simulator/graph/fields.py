"""The `fields` parameter: parsing nested braces, and limiting nodes to the requested fields.

Source: Meta, "Field Expansion". Modifiers such as `.limit(5)` are not supported.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from meta_simulator import errors
from meta_simulator.errors import GraphError

MAX_DEPTH = 10
_TOKEN = re.compile(r"\s*([A-Za-z0-9_]+|[{},])\s*")


@dataclass(frozen=True)
class FieldRequest:
    """One requested field, with the fields requested of the node it refers to."""

    name: str
    subfields: tuple["FieldRequest", ...] = ()


@dataclass(frozen=True)
class NodeType:
    """A type of node: its fields, and the types of nodes that some of them refer to."""

    name: str
    fields: frozenset[str]
    nested: Mapping[str, "NodeType"] = field(default_factory=dict)

    def check(self, requested: tuple[FieldRequest, ...]) -> None:
        """Raise GraphError 100 for the first field that this type or a nested one does not have."""
        for item in requested:
            if item.name not in self.fields:
                raise errors.nonexisting_field(item.name, self.name)
            nested = self.nested.get(item.name)
            if nested is not None:
                nested.check(item.subfields)
            elif item.subfields:
                raise errors.invalid_parameter(f"Subfields are not supported by {item.name}")


Resolve = Callable[[FieldRequest], object]


def select_fields(requested: tuple[FieldRequest, ...], resolve: Mapping[str, Resolve]) -> dict[str, object]:
    """Return the requested fields in the requested order, plus `id`, which Meta always sends.

    A field without a value (None or empty text) is left out instead of null, as at Meta.
    """
    node: dict[str, object] = {}
    for item in requested:
        value = resolve[item.name](item)
        if value is not None and value != "":
            node[item.name] = value
    if "id" not in node:
        node["id"] = resolve["id"](FieldRequest("id"))
    return node


def parse_fields(text: str) -> tuple[FieldRequest, ...]:
    """Parse `a,b{c,d{e}}`. Raises GraphError 2500 for a syntax error."""
    parser = _Parser(text)
    requested = parser.read_list(depth=1)
    parser.expect_end()
    return requested


class _Parser:
    """A recursive descent parser for names, commas and braces."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def read_list(self, depth: int) -> tuple[FieldRequest, ...]:
        if depth > MAX_DEPTH:
            raise self._syntax_error("fewer nested fields")
        requested = [self._read_field(depth)]
        while self._take(","):
            requested.append(self._read_field(depth))
        return tuple(requested)

    def expect_end(self) -> None:
        if self._position != len(self._text):
            raise self._syntax_error("end of string")

    def _read_field(self, depth: int) -> FieldRequest:
        match = _TOKEN.match(self._text, self._position)
        if match is None or match[1] in "{},":
            raise self._syntax_error("name")
        self._position = match.end()
        if not self._take("{"):
            return FieldRequest(match[1])
        subfields = self.read_list(depth + 1)
        if not self._take("}"):
            raise self._syntax_error('"}"')
        return FieldRequest(match[1], subfields)

    def _take(self, symbol: str) -> bool:
        match = _TOKEN.match(self._text, self._position)
        if match is None or match[1] != symbol:
            return False
        self._position = match.end()
        return True

    def _syntax_error(self, expected: str) -> GraphError:
        return GraphError(
            f'Syntax error "Expected {expected}." at character {self._position}: {self._text}',
            errors.QUERY_ERROR,
        )
