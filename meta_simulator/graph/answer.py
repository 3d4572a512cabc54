"""Answers of a Graph API host: JSON as Meta writes it, with the headers that go along."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from meta_simulator.errors import GraphError


class GraphJSONResponse(Response):
    """Compact JSON in which everything beyond ASCII is written as \\uXXXX."""

    media_type = "application/json; charset=UTF-8"

    def render(self, content: Any) -> bytes:
        """Return the bytes of the body."""
        return json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def data_answer(content: object, version: str) -> Response:
    """Return a 200; `version` is the Graph version that answered."""
    return GraphJSONResponse(content, headers=_headers(version))


def error_answer(error: GraphError, version: str) -> Response:
    """Return an error with its status, body and headers."""
    return GraphJSONResponse(error.body(), status_code=error.status, headers={**_headers(version), **error.headers()})


@dataclass(frozen=True)
class ErrorShape:
    """How a host writes errors; `worded` holds its own version of errors that faults name."""

    write: Callable[[GraphError, str], Response]
    worded: Mapping[str, Callable[[], GraphError]] = field(default_factory=dict)


GRAPH_ERRORS = ErrorShape(error_answer)


def _headers(version: str) -> Mapping[str, str]:
    return {
        "facebook-api-version": version,
        "Cache-Control": "private, no-cache, no-store, must-revalidate",
        "Pragma": "no-cache",
        "Access-Control-Allow-Origin": "*",
    }
