"""Graph API errors in Meta's format, and constructors for those that several modules raise.

Sources: Meta, "Handle Errors" and "Access Token Debugging and Error Handling". Where Meta gives no message, it is the
one that clients report. Clients should rely on `code` and `error_subcode`, never on the message.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from enum import Enum

MISSING_PERMISSION = 10
INVALID_PARAMETER = 100
UNKNOWN_APPLICATION = 101
NO_TOKEN = 104
INVALID_TOKEN = 190
PERMISSION_ERROR = 200
PAGE_TOKEN_REQUIRED = 210
QUERY_ERROR = 2500
APP_LIMIT = 4
ACCOUNT_LIMIT = 80002

_PACIFIC = timezone(timedelta(hours=-8), "PST")  # Meta words its dates in Californian time


class GraphError(Exception):
    """An error response of the Graph API.

    `challenge` is the error named in the WWW-Authenticate header, which Meta adds to every OAuthException. `headers`
    are sent in addition.
    """

    def __init__(
        self,
        message: str,
        code: int,
        *,
        type: str = "OAuthException",
        subcode: int | None = None,
        status: int = 400,
        is_transient: bool | None = None,
        challenge: str = "invalid_request",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.type = type
        self.subcode = subcode
        self.status = status
        self.is_transient = is_transient
        self._challenge = challenge
        self._headers = dict(headers or {})

    def body(self) -> dict[str, object]:
        """Return {"error": {message, type, code, error_subcode?, is_transient?, fbtrace_id}}, with a new trace id."""
        error: dict[str, object] = {"message": self.message, "type": self.type, "code": self.code}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.is_transient is not None:
            error["is_transient"] = self.is_transient
        error["fbtrace_id"] = "A" + secrets.token_urlsafe(16)
        return {"error": error}

    def headers(self) -> dict[str, str]:
        """Return the headers that accompany the body."""
        if self.type != "OAuthException":
            return dict(self._headers)
        # A message may quote what the caller sent, and a header must stay one line of ASCII.
        text = json.dumps(self.message)
        return {**self._headers, "WWW-Authenticate": f'OAuth "Facebook Platform" "{self._challenge}" {text}'}


class RevocationReason(Enum):
    """Why a token stopped working early. The values are those of the control API."""

    APP_REMOVED = "app_removed"
    CHECKPOINT = "checkpoint"
    PASSWORD_CHANGED = "password_changed"
    EXPIRED = "expired"
    UNCONFIRMED_USER = "unconfirmed_user"
    LOGGED_OUT = "logged_out"
    LOST_PAGE_ROLE = "lost_page_role"


_REVOCATION_ERRORS: dict[RevocationReason, tuple[int, str]] = {
    RevocationReason.APP_REMOVED: (458, "The user has not authorized application {app_id}."),
    RevocationReason.CHECKPOINT: (
        459,
        "You cannot access the app till you log in to www.facebook.com and follow the instructions given.",
    ),
    RevocationReason.PASSWORD_CHANGED: (
        460,
        "The session has been invalidated because the user changed their password or Facebook has"
        " changed the session for security reasons.",
    ),
    RevocationReason.EXPIRED: (463, "Session has expired."),
    RevocationReason.UNCONFIRMED_USER: (
        464,
        "Sessions for the user are not allowed because the user is not a confirmed user.",
    ),
    RevocationReason.LOGGED_OUT: (467, "The session is invalid because the user logged out."),
    RevocationReason.LOST_PAGE_ROLE: (
        492,
        "The user must be an administrator, editor, or moderator of the page in order to impersonate it.",
    ),
}


def revoked_token(reason: RevocationReason, app_id: str) -> GraphError:
    """Return the 190 of a revoked token, with the subcode of the reason."""
    subcode, text = _REVOCATION_ERRORS[reason]
    return _token_error(f"Error validating access token: {text.format(app_id=app_id)}", subcode)


def expired_token(expired_at: datetime, now: datetime) -> GraphError:
    """Return 190/463, with both times in the message, as at Meta."""
    ended, current = (moment.astimezone(_PACIFIC).strftime("%A, %d-%b-%y %H:%M:%S %Z") for moment in (expired_at, now))
    return _token_error(
        f"Error validating access token: Session has expired on {ended}. The current time is {current}.", 463
    )


def missing_token() -> GraphError:
    """Return the 104 for a call without an access token."""
    return GraphError("An access token is required to request this resource.", NO_TOKEN)


def unparseable_token() -> GraphError:
    """Return the 190 without a subcode for a string that is not a token of this product."""
    return _token_error("Invalid OAuth access token - Cannot parse access token", None)


def foreign_token(app_id: str) -> GraphError:
    """Return the 190 for a token that was issued to another app."""
    return _token_error(f"The access token does not belong to application {app_id}", None)


def _token_error(message: str, subcode: int | None) -> GraphError:
    return GraphError(message, INVALID_TOKEN, subcode=subcode, challenge="invalid_token")


def unknown_application() -> GraphError:
    """Return the 101 for an unknown app id."""
    return GraphError("Error validating application. Invalid application ID.", UNKNOWN_APPLICATION)


def wrong_secret() -> GraphError:
    """Return code 1 for a wrong app secret. It is not an outage, although Meta uses 1 for those too."""
    return GraphError("Error validating client secret.", 1)


def code_unknown() -> GraphError:
    """Return the 100 for an authorization code that was never issued."""
    return _code_error("Invalid verification code format.", None)


def code_used() -> GraphError:
    """Return 100/36009: the authorization code was redeemed before."""
    return _code_error("This authorization code has been used.", 36009)


def code_expired() -> GraphError:
    """Return 100/36007: the authorization code has expired."""
    return _code_error("This authorization code has expired.", 36007)


def redirect_uri_mismatch(subcode: int | None) -> GraphError:
    """Return the 100 for a redirect URI that differs from the one used in the dialog."""
    return _code_error(
        "Error validating verification code. Please make sure your redirect_uri is identical to the one"
        " you used in the OAuth dialog request",
        subcode,
    )


def _code_error(message: str, subcode: int | None) -> GraphError:
    return GraphError(message, INVALID_PARAMETER, subcode=subcode, challenge="invalid_code")


def invalid_parameter(message: str) -> GraphError:
    """Return a plain 100, "(#100) …"."""
    return GraphError(f"(#100) {message}", INVALID_PARAMETER)


def nonexisting_field(name: str, node_type: str) -> GraphError:
    """Return the 100 for a field that the node type does not have."""
    return invalid_parameter(f"Tried accessing nonexisting field ({name}) on node type ({node_type})")


def permission_denied() -> GraphError:
    """Return code 10: the app lacks a permission for this object."""
    return GraphError("(#10) Application does not have permission for this action", MISSING_PERMISSION)


def object_missing(object_id: str, method: str) -> GraphError:
    """Return 100/33, which covers objects that are absent, not visible, or do not support the call."""
    return GraphError(
        f"Unsupported {method.lower()} request. Object with ID '{object_id}' does not exist, cannot be loaded"
        " due to missing permissions, or does not support this operation. Please read the Graph API"
        " documentation at https://developers.facebook.com/docs/graph-api",
        INVALID_PARAMETER,
        type="GraphMethodException",
        subcode=33,
    )


def unsupported_method(method: str) -> GraphError:
    """Return the 100 for a path that exists, but not for this method."""
    return GraphError(
        f"Unsupported {method.lower()} request. Please read the Graph API documentation at"
        " https://developers.facebook.com/docs/graph-api",
        INVALID_PARAMETER,
        type="GraphMethodException",
    )


def unknown_path(segments: Sequence[str]) -> GraphError:
    """Return the 2500 for a path that no node has. `segments` are those after the node."""
    return GraphError(f"Unknown path components: /{'/'.join(segments)}", QUERY_ERROR)


def app_limit_reached(headers: Mapping[str, str] | None = None) -> GraphError:
    """Return code 4: the app's rate limit is reached."""
    return GraphError("(#4) Application request limit reached", APP_LIMIT, is_transient=True, headers=headers)


def account_limit_reached(headers: Mapping[str, str] | None = None) -> GraphError:
    """Return 80002: the rate limit of one Instagram account is reached."""
    return GraphError(
        "(#80002) There have been too many calls to this Instagram account. Wait a bit and try again.",
        ACCOUNT_LIMIT,
        headers=headers,
    )


def invalid_proof() -> GraphError:
    """Return the 100 for an appsecret_proof that does not match the token."""
    return _proof_error("Invalid appsecret_proof provided in the API argument")


def missing_proof() -> GraphError:
    """Return the 100 for a call without the appsecret_proof that the app requires."""
    return _proof_error("API calls from the server require an appsecret_proof argument")


def _proof_error(message: str) -> GraphError:
    return GraphError(message, INVALID_PARAMETER, type="GraphMethodException")
