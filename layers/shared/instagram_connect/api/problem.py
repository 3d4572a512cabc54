"""The body of every error that a route returns. Imports nothing that is slow to load: `webhook` starts with it."""

from typing import Any

from instagram_connect.errors import InstagramConnectError

# Left out when null; every other field is always there.
OPTIONAL = ("reason", "retryAfterSeconds")


def problem(error: InstagramConnectError, request_id: str) -> dict[str, Any]:
    """The error in the shape of `schemas.Problem`, camelCase."""
    body = {
        "success": False,
        "error": error.message,
        "details": error.details,
        "code": error.code,
        "reason": error.reason,
        "actor": error.actor.value,
        "recoverable": error.recoverable,
        "retryAfterSeconds": error.retry_after_s,
        "hint": error.hint,
        "requestId": request_id,
    }
    return {name: value for name, value in body.items() if value is not None or name not in OPTIONAL}
