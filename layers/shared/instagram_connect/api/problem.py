"""The body of every error response. Imports nothing slow to load, because `webhook` imports it at start-up."""

from typing import Any

from instagram_connect.errors import InstagramConnectError

# Omitted if null; all other fields are always present.
OPTIONAL = ("reason", "retryAfterSeconds")


def problem(error: InstagramConnectError, request_id: str) -> dict[str, Any]:
    """Convert an error to the JSON of `schemas.Problem`."""
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
