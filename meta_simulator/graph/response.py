"""Responses of a Graph API host: JSON as Meta formats it, with Meta's headers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from meta_simulator.errors import GraphError


class GraphJSONResponse(Response):
    """Compact JSON in which non-ASCII characters are escaped as \\uXXXX."""

    media_type = "application/json; charset=UTF-8"

    def render(self, content: Any) -> bytes:
        """Return the encoded body."""
        return json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def data_response(content: object, version: str) -> Response:
    """Return a 200. `version` is the Graph API version that served the call."""
    return GraphJSONResponse(content, headers=_headers(version))


def error_response(error: GraphError, version: str) -> Response:
    """Return an error with its status, body and headers."""
    return GraphJSONResponse(error.body(), status_code=error.status, headers={**_headers(version), **error.headers()})


@dataclass(frozen=True)
class ErrorFormat:
    """How a host formats errors. `overrides` are its own versions of errors that faults can name."""

    render: Callable[[GraphError, str], Response]
    overrides: Mapping[str, Callable[[], GraphError]] = field(default_factory=dict)


GRAPH_ERRORS = ErrorFormat(error_response)


def _headers(version: str) -> Mapping[str, str]:
    return {
        "facebook-api-version": version,
        "Cache-Control": "private, no-cache, no-store, must-revalidate",
        "Pragma": "no-cache",
        "Access-Control-Allow-Origin": "*",
    }
