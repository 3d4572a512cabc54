"""Maps Meta's error answers to our taxonomy.

Sources: Meta's "Handling Errors" and "Rate Limits" guides; subcodes 36007 to 36009 and all texts from real answers.
Code and subcode decide. Meta's message is read only where one code has several causes, or where there is no code:
api.instagram.com returns {"error_type", "code", "error_message"}, and that `code` is the HTTP status. The message never
leaves this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from instagram_connect.errors import (
    InstagramConnectError,
    LoginCodeExpiredError,
    LoginCodeInvalidError,
    LoginCodeUsedError,
    LoginOutcomeUnknownError,
    MetaActionBlockedError,
    MetaAppMisconfiguredError,
    MetaRateLimitedError,
    MetaRequestRejectedError,
    MetaUnavailableError,
    PermissionMissingError,
    ReconnectRequiredError,
    RedirectUriMismatchError,
)
from instagram_connect.meta.usage import read_usage

# Platform limits cover a rolling hour; used if Meta gives no time.
DEFAULT_THROTTLE_S = 3600

TRANSIENT_CODES = frozenset({1, 2})
RATE_LIMIT_CODES = frozenset({4, 17, 32, 341, 613})
APP_LIMIT_CODES = frozenset({4, 341, 613})  # limits of the app; the others are a person's or a Page's
BUSINESS_USE_CASE_CODES = range(80000, 80015)

APP_ID_INVALID = "APP_ID_INVALID"
APP_SECRET_INVALID = "APP_SECRET_INVALID"  # noqa: S105 - a reason
APP_FAULTS = {
    3: "APP_CAPABILITY_MISSING",
    101: APP_ID_INVALID,
    104: "APP_SECRET_PROOF_INVALID",
    191: "REDIRECT_URI_UNREGISTERED",
}

TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105 - a reason
DEAD_TOKEN_SUBCODES = {
    458: "APP_REMOVED",
    459: "ACCOUNT_CHECKPOINT",
    460: "PASSWORD_CHANGED",
    463: TOKEN_EXPIRED,
    464: "ACCOUNT_UNCONFIRMED",
    467: "TOKEN_INVALID",
    492: "PAGE_ROLE_LOST",
}
RECONNECT_CODES = {
    102: TOKEN_EXPIRED,
    110: "ACCOUNT_UNAVAILABLE",
    190: "TOKEN_INVALID",
    483: "CONSENT_BLOCKED",
    9009: "ACCOUNT_UNAVAILABLE",
}

LOGIN_CODE_SUBCODES: dict[int, type[InstagramConnectError]] = {
    36007: LoginCodeExpiredError,
    36008: RedirectUriMismatchError,
    36009: LoginCodeUsedError,
}

# api.instagram.com differs by text only; the first one found decides, in lower case.
LOGIN_CODE_TEXTS: dict[str, type[InstagramConnectError]] = {
    "redirect": RedirectUriMismatchError,
    "used": LoginCodeUsedError,  # also "was not found or was already used"
    "expired": LoginCodeExpiredError,
}
APP_FAULT_TEXTS = {
    "client secret": APP_SECRET_INVALID,
    "client_secret": APP_SECRET_INVALID,
    "platform app": APP_ID_INVALID,
    "client id": APP_ID_INVALID,
    "client_id": APP_ID_INVALID,
}


@dataclass(frozen=True)
class GraphFailure:
    """The parts of an error answer that decide. `code` is None if the body was not a Graph API error object.

    `error_type` is set for the flat shape of api.instagram.com only.
    """

    http_status: int
    code: int | None
    subcode: int | None
    message: str
    is_transient: bool
    fbtrace_id: str | None
    regain_access_s: int
    error_type: str | None = None

    def log_context(self) -> dict[str, object]:
        """What an operator or Meta's support needs. Never the message: it may quote parameters."""
        return {
            "meta_http_status": self.http_status,
            "meta_code": self.code,
            "meta_subcode": self.subcode,
            "meta_fbtrace_id": self.fbtrace_id,
            "meta_error_type": self.error_type,
        }


def names_its_cause(error: InstagramConnectError) -> bool:
    """Whether a subcode says why the token is dead. Without one it may be our own mistake or a hiccup."""
    return error.log_context.get("meta_code") == 190 and error.log_context.get("meta_subcode") in DEAD_TOKEN_SUBCODES


def read_failure(response: httpx.Response, body: Any) -> GraphFailure:
    """Read an error answer; `body` is the parsed JSON, or None if it was not JSON."""
    body = body if isinstance(body, Mapping) else {}
    regain_access_s = max((usage.regain_access_s for usage in read_usage(response.headers)), default=0)
    if "error_type" in body:
        return GraphFailure(
            http_status=response.status_code,
            code=None,
            subcode=None,
            message=str(body.get("error_message") or "").lower(),
            is_transient=False,
            fbtrace_id=None,
            regain_access_s=regain_access_s,
            error_type=str(body["error_type"])[:64],
        )
    error = body.get("error")
    error = error if isinstance(error, Mapping) else {}
    return GraphFailure(
        http_status=response.status_code,
        code=_integer(error.get("code")),
        subcode=_integer(error.get("error_subcode")),
        message=str(error.get("message") or ""),
        is_transient=error.get("is_transient") is True,
        fbtrace_id=str(error["fbtrace_id"])[:64] if error.get("fbtrace_id") else None,
        regain_access_s=regain_access_s,
    )


def error_for(failure: GraphFailure) -> InstagramConnectError:
    """The error of any call except the code exchange."""
    if failure.error_type is not None and failure.http_status < 500:
        return _error_by_text(failure, MetaRequestRejectedError)
    context = failure.log_context()
    code = failure.code
    if (app_fault := _app_fault(failure)) is not None:
        return MetaAppMisconfiguredError(reason=app_fault, log_context=context)
    if code in RATE_LIMIT_CODES or code in BUSINESS_USE_CASE_CODES:
        return MetaRateLimitedError(retry_after_s=failure.regain_access_s or DEFAULT_THROTTLE_S, log_context=context)
    if code == 368:
        return MetaActionBlockedError(log_context=context)
    if code in RECONNECT_CODES:
        reason = DEAD_TOKEN_SUBCODES.get(failure.subcode or 0, RECONNECT_CODES[code])
        return ReconnectRequiredError(reason=reason, log_context=context)
    if code == 100 and failure.message.startswith(
        "Unsupported request"
    ):  # how graph.instagram.com rejects a dead token
        return ReconnectRequiredError(reason="TOKEN_INVALID", log_context=context)
    if (code, failure.subcode) == (100, 33):  # the object is gone, or the token lost access to it
        return ReconnectRequiredError(reason="ACCOUNT_UNAVAILABLE", log_context=context)
    if code == 10 or code in range(200, 300):
        return PermissionMissingError(log_context=context)
    if code in TRANSIENT_CODES or failure.is_transient or failure.http_status >= 500 or code is None:
        return MetaUnavailableError(log_context=context)
    return MetaRequestRejectedError(log_context=context)


def error_for_code_exchange(failure: GraphFailure) -> InstagramConnectError:
    """The error of a code exchange: 100 is about the code, and after a 5xx nobody knows whether the code is spent."""
    context = failure.log_context()
    if failure.error_type is not None and failure.http_status < 500:
        kinds = (kind for text, kind in LOGIN_CODE_TEXTS.items() if text in failure.message)
        return _error_by_text(failure, next(kinds, LoginCodeInvalidError))
    if failure.subcode in LOGIN_CODE_SUBCODES:
        return LOGIN_CODE_SUBCODES[failure.subcode](log_context=context)
    if failure.code == 100 and "redirect_uri" in failure.message:  # seen without a subcode too
        return RedirectUriMismatchError(log_context=context)
    if failure.code in (100, 190):
        return LoginCodeInvalidError(log_context=context)
    general = error_for(failure)
    if isinstance(general, MetaUnavailableError):
        return LoginOutcomeUnknownError(log_context=context)
    return general


def _error_by_text(failure: GraphFailure, otherwise: type[InstagramConnectError]) -> InstagramConnectError:
    context = failure.log_context()
    if failure.http_status == 429 or "ratelimit" in (failure.error_type or "").lower():
        return MetaRateLimitedError(retry_after_s=failure.regain_access_s or DEFAULT_THROTTLE_S, log_context=context)
    fault = next((reason for text, reason in APP_FAULT_TEXTS.items() if text in failure.message), None)
    if fault is not None:
        return MetaAppMisconfiguredError(reason=fault, log_context=context)
    return otherwise(log_context=context)


def _app_fault(failure: GraphFailure) -> str | None:
    # Codes with other meanings too: 1 is "unknown error", 100 any bad parameter.
    if failure.code == 1 and "client secret" in failure.message:
        return APP_SECRET_INVALID
    if failure.code == 100 and "appsecret_proof" in failure.message:
        return "APP_SECRET_PROOF_INVALID"
    return APP_FAULTS.get(failure.code or 0)


def _integer(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None
