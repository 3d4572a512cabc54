"""API Gateway requests and responses without a router, for the functions that Meta calls.

Signatures cover raw bytes, and Meta waits while a function starts, so this module imports nothing slow to load.
Source: API Gateway, "Lambda proxy integrations".
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from instagram_connect.api.problem import problem
from instagram_connect.errors import InstagramConnectError, InvalidRequestError


@dataclass(frozen=True)
class ProxyRequest:
    """One request. Header names are in lower case; `body` holds the raw bytes."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    url: str

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "ProxyRequest":
        """Read an event. Raises InvalidRequestError if the body is declared as base64 and is not."""
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        context = event.get("requestContext") or {}
        return cls(
            method=event["httpMethod"],
            path=event["path"],
            headers=headers,
            query=event.get("queryStringParameters") or {},
            body=_body(event),
            url=_url(context, headers),
        )


def request_id(event: Mapping[str, Any]) -> str:
    """Return API Gateway's request id, the correlation id of the logs."""
    return (event.get("requestContext") or {}).get("requestId") or ""


def text(body: str, *, status: HTTPStatus = HTTPStatus.OK, content_type: str = "text/plain") -> dict[str, Any]:
    """Build a response with this text as its body."""
    return {
        "statusCode": status.value,
        "headers": {
            "Content-Type": f"{content_type}; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
        "body": body,
        "isBase64Encoded": False,
    }


def failure(error: InstagramConnectError, request_id: str) -> dict[str, Any]:
    """Build an error response in the shape all routes use."""
    return text(json.dumps(problem(error, request_id)), status=error.status, content_type="application/json")


def _body(event: Mapping[str, Any]) -> bytes:
    body: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        # HTTP cannot carry a lone surrogate; the signature of an event with one does not match anyway.
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise InvalidRequestError("The body is not base64.") from None


def _url(context: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """Return the requested URL without its query. API Gateway's path includes the stage or base path."""
    scheme = headers.get("x-forwarded-proto", "https")
    host = headers.get("host") or context.get("domainName", "")
    return f"{scheme}://{host}{context.get('path', '')}"
