"""The errors that a fault can name, in Meta's format."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

from starlette.responses import HTMLResponse, Response

from meta_simulator import errors
from meta_simulator.errors import GraphError, RevocationReason, revoked_token
from meta_simulator.graph.call import GraphCall
from meta_simulator.graph.response import ErrorFormat

APP_USAGE_AT_LIMIT = {"X-App-Usage": '{"call_count":100,"total_time":25,"total_cputime":25}'}
_BLOCKED = "The action attempted has been deemed abusive or is otherwise disallowed"
_BUSY = "An unexpected error has occurred. Please retry your request later."
_EDGE_ERROR_PAGE = (
    "<!DOCTYPE html><html><head><title>Facebook | Error</title></head>"
    "<body><h1>Sorry, something went wrong.</h1></body></html>"
)


def _throttled(code: int, message: str, *, app_usage: bool = False) -> Callable[[], GraphError]:
    headers = APP_USAGE_AT_LIMIT if app_usage else {}
    return lambda: GraphError(f"(#{code}) {message}", code, is_transient=True, headers=headers)


def _revoked(reason: RevocationReason) -> Callable[[], GraphError]:
    return lambda: revoked_token(reason, "0")


_GRAPH_ERRORS: dict[str, Callable[[], GraphError]] = {
    "server_error": lambda: GraphError(_BUSY, 2, status=500, is_transient=True),
    "unknown_error": lambda: GraphError("An unknown error has occurred.", 1, status=500),
    "app_rate_limit": lambda: errors.app_limit_reached(APP_USAGE_AT_LIMIT),
    "user_rate_limit": _throttled(17, "User request limit reached", app_usage=True),
    "page_rate_limit": _throttled(32, "Page request limit reached"),
    "custom_rate_limit": _throttled(613, "Calls to this api have exceeded the rate limit."),
    "blocked": lambda: GraphError(_BLOCKED, 368),
    "capability_missing": lambda: GraphError("(#3) Application does not have the capability to make this API call.", 3),
    "permission_denied": errors.permission_denied,
    "permission_error": lambda: GraphError("(#200) Permissions error", errors.PERMISSION_ERROR),
    "invalid_token": errors.unparseable_token,
    "app_removed": _revoked(RevocationReason.APP_REMOVED),
    "checkpoint": _revoked(RevocationReason.CHECKPOINT),
    "password_changed": _revoked(RevocationReason.PASSWORD_CHANGED),
    "unconfirmed_user": _revoked(RevocationReason.UNCONFIRMED_USER),
    "logged_out": _revoked(RevocationReason.LOGGED_OUT),
    "lost_page_role": _revoked(RevocationReason.LOST_PAGE_ROLE),
    "session_invalid": lambda: GraphError("Session key invalid or no longer valid", 102),
    "consent_blocked": lambda: GraphError("(#483) The user is blocked by a consent gate.", 483),
    "wrong_secret": errors.wrong_secret,
    "unknown_application": errors.unknown_application,
    "code_used": errors.code_used,
    "code_expired": errors.code_expired,
    "redirect_uri_mismatch": lambda: errors.redirect_uri_mismatch(36008),
    "invalid_proof": errors.invalid_proof,
    "missing_proof": errors.missing_proof,
}
_OTHER_NAMES = ("html_502", "empty_500", "buc_rate_limit", "expired_token", "object_missing")
ERROR_NAMES = (*_GRAPH_ERRORS, *_OTHER_NAMES)


def named_response(
    name: str, call: GraphCall, now: datetime, regain_minutes: int, error_format: ErrorFormat
) -> Response:
    """Return the response for a name in ERROR_NAMES, in the host's error format.

    `regain_minutes` is the estimated_time_to_regain_access of `buc_rate_limit`.
    """
    if name == "html_502":
        return HTMLResponse(_EDGE_ERROR_PAGE, status_code=502)
    if name == "empty_500":
        return Response(status_code=500)
    return error_format.render(_named_error(name, call, now, regain_minutes, error_format), call.version)


def _named_error(
    name: str, call: GraphCall, now: datetime, regain_minutes: int, error_format: ErrorFormat
) -> GraphError:
    if name in error_format.overrides:
        return error_format.overrides[name]()
    if name == "buc_rate_limit":
        return _business_limit(call, regain_minutes)
    if name == "expired_token":
        return errors.expired_token(now - timedelta(hours=1), now)
    if name == "object_missing":
        return errors.object_missing(_object_of(call), call.method)
    return _GRAPH_ERRORS[name]()


def _object_of(call: GraphCall) -> str:
    return call.segments[0] if call.segments and call.segments[0].isdecimal() else "0"


def _business_limit(call: GraphCall, regain_minutes: int) -> GraphError:
    usage = {
        "type": "instagram",
        "call_count": 100,
        "total_cputime": 20,
        "total_time": 20,
        "estimated_time_to_regain_access": regain_minutes,
    }
    header = json.dumps({_object_of(call): [usage]}, separators=(",", ":"))
    return errors.account_limit_reached({"X-Business-Use-Case-Usage": header})
