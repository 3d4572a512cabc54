"""The error taxonomy: everything that can go wrong in a connection, and who can do something about it.

InstagramConnectError
├── RequestError                     the caller sent something we refuse
│   ├── InvalidRequestError
│   ├── RedirectUriNotAllowedError
│   ├── OAuthStateError
│   ├── LoginInProgressError
│   ├── AccountNotFoundError
│   ├── AccountDisconnectedError
│   ├── TokenTooYoungError
│   ├── RefreshInProgressError
│   ├── SignatureInvalidError
│   ├── VerifyTokenInvalidError
│   ├── RouteNotFoundError
│   └── TooManyRequestsError
├── IdentityError                    we do not know who is calling
│   ├── UnauthenticatedError
│   └── IdentityUnavailableError
├── LoginError                       Meta did not take the authorization code or access token
│   ├── LoginCodeExpiredError
│   ├── LoginCodeUsedError
│   ├── LoginCodeInvalidError
│   ├── RedirectUriMismatchError
│   ├── LoginOutcomeUnknownError
│   ├── AccessTokenInvalidError
│   └── AccessTokenForeignError
├── NoAccountError                   the login worked, and there is nothing to connect
│   ├── ScopesDeclinedError
│   ├── ScopesNotRequestedError
│   ├── NoFacebookPageError
│   ├── BusinessPortfolioNotGrantedError
│   ├── NoInstagramAccountError
│   └── AccountNotProfessionalError
├── MetaError                        Meta refused or failed a call after the login
│   ├── MetaUnavailableError
│   ├── MetaRateLimitedError
│   ├── MetaAppMisconfiguredError
│   ├── MetaActionBlockedError
│   ├── MetaRequestRejectedError
│   ├── PermissionMissingError
│   └── ReconnectRequiredError
└── BackendError                     our own side failed
    ├── StorageError
    ├── TokenEncryptionError
    ├── ConfigurationError
    ├── LoginRecordsUnavailableError
    ├── LateStartError
    ├── CallbackNotKeptError
    └── InternalError

`code`, `status`, `actor`, `recoverable`, `message` and `hint` are public and documented in docs/errors.md, which a
test compares with this module. `details` is written by us for people and must never quote Meta, PostgREST or the
caller's own secrets; `log_context` is for operators and must never hold a token, code, secret or row.
"""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any, ClassVar

# What a person does about a connection that ended, or will end, for each reason.
RECONNECT_HINTS: Mapping[str, str] = {
    "TOKEN_EXPIRED": "The login has run out. Connect the account again.",
    "TOKEN_INVALID": "Instagram or Facebook has ended the login. Connect the account again.",
    "APP_REMOVED": "This app was removed in Instagram's or Facebook's settings. Connect again to allow it.",
    "PASSWORD_CHANGED": "The password was changed. Connect the account again.",
    "ACCOUNT_CHECKPOINT": "Open facebook.com, confirm what it asks for, then connect again.",
    "ACCOUNT_UNCONFIRMED": "Open facebook.com, confirm the account there, then connect again.",
    "PAGE_ROLE_LOST": "Somebody with full control of the Facebook Page has to connect it, or give the role back.",
    "CONSENT_BLOCKED": "Open Facebook or Instagram, answer what it asks for, then connect again.",
    "ACCOUNT_UNAVAILABLE": "Check that the Instagram account exists and is a professional account, then connect again.",
    "PERMISSION_MISSING": "A permission was taken back. Connect again and leave all permissions ticked.",
    "LOGIN_ENDS": "The login ends soon. Connect again to keep the account working.",
    "DATA_ACCESS_ENDS": "Facebook's access to the data ends soon. Connect again to renew it.",
}


class Actor(StrEnum):
    """Who must act before the same request can succeed."""

    USER = "user"
    PAGE_ADMIN = "page_admin"
    OPERATOR = "operator"
    META = "meta"
    NOBODY = "nobody"


class InstagramConnectError(Exception):
    """Base of every error that this product raises on purpose.

    `recoverable` answers the frontend's question "may this person simply try again?", by logging in again or later.
    """

    code: ClassVar[str]
    status: ClassVar[HTTPStatus]
    message: ClassVar[str]
    hint: str
    actor: Actor
    recoverable: bool
    # Of an earlier request: it was logged and counted then.
    is_repeated: bool = False

    def __init__(
        self,
        details: str | None = None,
        *,
        reason: str | None = None,
        retry_after_s: int | None = None,
        log_context: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(self.code if reason is None else f"{self.code}/{reason}")
        self.details = details or self.message
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.log_context = dict(log_context or {})

    def to_record(self) -> dict[str, object]:
        """The public part of the error as JSON, for `error_from_record`."""
        return {
            "code": self.code,
            "details": self.details,
            "reason": self.reason,
            "retry_after_s": self.retry_after_s,
            "hint": self.hint,
            "actor": self.actor,
            "recoverable": self.recoverable,
        }


class RequestError(InstagramConnectError):
    """The request itself is wrong; repeating it unchanged cannot succeed."""

    status = HTTPStatus.BAD_REQUEST
    actor = Actor.OPERATOR
    recoverable = False


class InvalidRequestError(RequestError):
    """The body is not the JSON that this route takes; correct the frontend's call."""

    code = "INVALID_REQUEST"
    message = "The request is not in the expected form."
    hint = "Compare the request with docs/api.md; `details` names the fields."


class RedirectUriNotAllowedError(RequestError):
    """The redirect URI is not on this deployment's allow-list; add it to OAuthRedirectUris or correct the frontend."""

    code = "REDIRECT_URI_NOT_ALLOWED"
    message = "This page may not receive Instagram logins."
    hint = "Add the redirect URI to the stack parameter OAuthRedirectUris, exactly as the frontend sends it."


class OAuthStateError(RequestError):
    """The `state` is not one that `authorize` gave this user for this login; the code was not sent, log in again.

    `reason` is STATE_MISSING, STATE_INVALID, STATE_EXPIRED, STATE_USED, STATE_OF_ANOTHER_USER or STATE_MISMATCH
    (another provider or redirect URI).
    """

    code = "OAUTH_STATE_INVALID"
    actor = Actor.USER
    recoverable = True
    message = "This login was not started here, or too long ago."
    hint = "Start the Instagram connection again from this app, signed in as the same user."


class LoginInProgressError(RequestError):
    """Another request is completing the same login; repeat this one to learn its outcome."""

    code = "LOGIN_IN_PROGRESS"
    status = HTTPStatus.CONFLICT
    actor = Actor.NOBODY
    recoverable = True
    message = "This login is being completed at this moment."
    hint = "Wait a few seconds, then repeat the same request: it will tell how the login ended."


class AccountNotFoundError(RequestError):
    """The caller has no account with this id; somebody else's is not told apart from one that never was."""

    code = "ACCOUNT_NOT_FOUND"
    status = HTTPStatus.NOT_FOUND
    actor = Actor.USER
    message = "There is no such account among yours."
    hint = "Reload the list of accounts."


class AccountDisconnectedError(RequestError):
    """The accounts of this login were disconnected after it; a new login brings them back."""

    code = "ACCOUNT_DISCONNECTED"
    status = HTTPStatus.CONFLICT
    actor = Actor.USER
    recoverable = True
    message = "This account was disconnected after the login."
    hint = "Start the Instagram connection again if you want it back."


class TokenTooYoungError(RequestError):
    """Meta extends no token in its first 24 hours; there is nothing to do before `retry_after_s`."""

    code = "TOKEN_TOO_YOUNG"
    status = HTTPStatus.CONFLICT
    actor = Actor.NOBODY
    message = "The connection is fresh: it was made or refreshed within the last day."
    hint = "Nothing to do: connections are refreshed by themselves, long before they end."


class RefreshInProgressError(RequestError):
    """The account is being refreshed at this moment; repeat to learn how it ended."""

    code = "REFRESH_IN_PROGRESS"
    status = HTTPStatus.CONFLICT
    actor = Actor.NOBODY
    recoverable = True
    message = "This connection is being refreshed at this moment."
    hint = "Wait a few seconds, then look at the account again."


class SignatureInvalidError(RequestError):
    """What claims to come from Meta is not signed with a secret of this deployment; nothing of it was used.

    `reason` is SIGNATURE_MISSING, SIGNATURE_MALFORMED or SIGNATURE_MISMATCH. Where Meta itself gets it the deployment's
    app secrets are wrong.
    """

    code = "SIGNATURE_INVALID"
    status = HTTPStatus.FORBIDDEN
    message = "The request is not signed by Meta for this app."
    hint = "Copy the app secret of each product from Meta's App Dashboard into the secret named …/meta."


class VerifyTokenInvalidError(RequestError):
    """The handshake of a webhook came with another verify token; give Meta's App Dashboard the deployment's."""

    code = "VERIFY_TOKEN_INVALID"
    status = HTTPStatus.FORBIDDEN
    message = "The verify token is not the one of this deployment."
    hint = "Copy webhook_verify_token from the secret named …/meta into Meta's App Dashboard."


class RouteNotFoundError(RequestError):
    """No route has this path and method; correct the frontend's URL."""

    code = "NOT_FOUND"
    status = HTTPStatus.NOT_FOUND
    message = "There is nothing at this address."
    hint = "Compare the path and method with docs/api.md."


class TooManyRequestsError(RequestError):
    """API Gateway's throttle refused the call before any function saw it; wait and repeat."""

    code = "TOO_MANY_REQUESTS"
    status = HTTPStatus.TOO_MANY_REQUESTS
    actor = Actor.NOBODY
    recoverable = True
    message = "Too many people are connecting at this moment."
    hint = "Try again in a few seconds: nothing is lost."


class IdentityError(InstagramConnectError):
    """The caller could not be identified."""


class UnauthenticatedError(IdentityError):
    """The bearer token is absent or not a valid access token of a signed-in Supabase user; sign in again.

    `reason` is TOKEN_MISSING, TOKEN_EXPIRED or TOKEN_INVALID.
    """

    code = "UNAUTHENTICATED"
    status = HTTPStatus.UNAUTHORIZED
    actor = Actor.USER
    recoverable = True
    message = "You are not signed in."
    hint = "Sign in again, then connect Instagram."


class IdentityUnavailableError(IdentityError):
    """The keys that sign access tokens could not be fetched, so nobody can be identified; wait and repeat."""

    code = "IDENTITY_UNAVAILABLE"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    actor = Actor.NOBODY
    recoverable = True
    message = "Your sign-in cannot be checked right now."
    hint = "Try again in a few seconds: nothing is lost."


class LoginError(InstagramConnectError):
    """Meta did not exchange the authorization code for a token; a new login makes a new code."""

    status = HTTPStatus.BAD_REQUEST
    actor = Actor.USER
    recoverable = True
    hint = "Start the Instagram connection again and finish it without a long pause."


class LoginCodeExpiredError(LoginError):
    """The code was older than Meta accepts; log in again."""

    code = "OAUTH_CODE_EXPIRED"
    message = "The login took too long and is no longer valid."


class LoginCodeUsedError(LoginError):
    """The code had been exchanged before; if the accounts are not connected, log in again."""

    code = "OAUTH_CODE_USED"
    message = "This login was already used."
    hint = "Look whether your accounts are connected already; if not, start the connection again."


class LoginCodeInvalidError(LoginError):
    """Meta does not know the code; log in again."""

    code = "OAUTH_CODE_INVALID"
    message = "Meta did not accept this login."


class RedirectUriMismatchError(LoginError):
    """The redirect URI differs from the one that the login dialog was opened with; the frontend must send the same."""

    code = "REDIRECT_URI_MISMATCH"
    actor = Actor.OPERATOR
    recoverable = False
    message = "The login was made for another address of this app."
    hint = "Send the redirect URI of the login dialog, character by character: scheme, slashes and query too."


class LoginOutcomeUnknownError(LoginError):
    """Meta did not answer the code exchange, so the code may be spent; never repeat it, log in again."""

    code = "OAUTH_OUTCOME_UNKNOWN"
    status = HTTPStatus.BAD_GATEWAY
    message = "Meta did not answer while the login was being completed."
    hint = "Start the Instagram connection again; this login cannot be reused."


class AccessTokenInvalidError(LoginError):
    """The access token is dead or not a person's; sign in at Facebook again for a new one.

    `reason` is TOKEN_EXPIRED, TOKEN_INVALID or NOT_A_USER_TOKEN.
    """

    code = "ACCESS_TOKEN_INVALID"
    message = "Meta does not accept this Facebook login."
    hint = "Sign in with Facebook again, then connect Instagram."


class AccessTokenForeignError(LoginError):
    """The access token was issued to another Meta app; use one app for the sign-in and for this deployment."""

    code = "ACCESS_TOKEN_FOREIGN"
    status = HTTPStatus.FORBIDDEN
    actor = Actor.OPERATOR
    recoverable = False
    message = "This Facebook login belongs to another app."
    hint = "Give Supabase Auth's Facebook provider the same app id as the stack parameter FacebookAppId."


class NoAccountError(InstagramConnectError):
    """The login worked, but it gave us no Instagram business account."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    actor = Actor.USER
    recoverable = True


class ScopesDeclinedError(NoAccountError):
    """A permission that the connection needs was unticked; log in again and leave it ticked."""

    code = "SCOPES_DECLINED"
    status = HTTPStatus.FORBIDDEN
    message = "A permission that the connection needs was declined."
    hint = "Connect again and leave the listed permissions ticked."


class ScopesNotRequestedError(NoAccountError):
    """The login dialog was opened without a permission that the connection needs; the frontend must ask for it."""

    code = "SCOPES_NOT_REQUESTED"
    status = HTTPStatus.BAD_REQUEST
    actor = Actor.OPERATOR
    recoverable = False
    message = "The login did not ask for a permission that the connection needs."
    hint = "Add the listed permissions to the `scope` of the login dialog, or to its Login for Business configuration."


class NoFacebookPageError(NoAccountError):
    """The person has, or shared, no Facebook Page; choose one in the dialog or create it.

    With `reason` BUSINESS_MANAGEMENT_NOT_REQUESTED, Pages of a business portfolio could not be seen either: the login
    did not ask for that permission.
    """

    code = "NO_FACEBOOK_PAGE"
    message = "No Facebook Page was shared."
    hint = "Connect again and choose the Facebook Page that your Instagram account is linked to."


class BusinessPortfolioNotGrantedError(NoAccountError):
    """No Page was shared outside a business portfolio, and access to the portfolio was declined; grant it."""

    code = "BUSINESS_PORTFOLIO_NOT_GRANTED"
    message = "The Facebook Page seems to belong to a business portfolio, and access to that was declined."
    hint = "Connect again, choose the Page, and allow access to the business portfolio (business_management)."


class NoInstagramAccountError(NoAccountError):
    """Pages were shared, and none has an Instagram business account; link one, or choose it in the dialog."""

    code = "NO_INSTAGRAM_ACCOUNT"
    actor = Actor.PAGE_ADMIN
    message = "None of the shared Facebook Pages has an Instagram business account."
    hint = (
        "Make the Instagram account a professional account, link it to the Page in the Page's settings, "
        "and choose both when you connect again."
    )


class AccountNotProfessionalError(NoAccountError):
    """The Instagram account is a personal one, for which Meta has no API; switch it to a professional account."""

    code = "ACCOUNT_NOT_PROFESSIONAL"
    message = "This is a personal Instagram account."
    hint = "In Instagram, open Settings, Account type, switch to a professional account, then connect again."


class MetaError(InstagramConnectError):
    """A call to Meta other than the code exchange did not succeed."""

    status = HTTPStatus.BAD_GATEWAY


class MetaUnavailableError(MetaError):
    """Meta failed or did not answer, also when asked again; wait, then repeat: an accepted login goes on from there."""

    code = "META_UNAVAILABLE"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    actor = Actor.META
    recoverable = True
    message = "Meta is not answering right now."
    hint = "Wait a few minutes, then try again."


class MetaRateLimitedError(MetaError):
    """Meta refuses further calls for a while; calling before `retry_after_s` lengthens the block."""

    code = "META_RATE_LIMITED"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    actor = Actor.NOBODY
    recoverable = True
    message = "Meta allows no more calls for the moment."
    hint = "Wait for the time given, then start the Instagram connection again."


class MetaAppMisconfiguredError(MetaError):
    """Meta rejects the app itself: id, secret, mode or capability; nobody can connect until it is corrected.

    `reason` is APP_ID_INVALID, APP_SECRET_INVALID, APP_SECRET_PROOF_INVALID, APP_CAPABILITY_MISSING or
    REDIRECT_URI_UNREGISTERED.
    """

    code = "META_APP_MISCONFIGURED"
    actor = Actor.OPERATOR
    recoverable = False
    message = "The connection to Meta is not set up correctly."
    hint = "Compare the app id, the app secret and the app's settings in Meta's App Dashboard with the deployment."


class MetaActionBlockedError(MetaError):
    """Meta blocked the app or person for policy reasons; stop calling for hours and look at the App Dashboard."""

    code = "META_ACTION_BLOCKED"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    actor = Actor.OPERATOR
    recoverable = False
    message = "Meta is blocking this action."
    hint = "Look for a notice in Meta's App Dashboard and in the person's account before trying again."


class MetaRequestRejectedError(MetaError):
    """Meta refused a call as malformed or unknown: our defect; the log has Meta's code and fbtrace_id."""

    code = "META_REQUEST_REJECTED"
    actor = Actor.OPERATOR
    recoverable = False
    message = "Meta did not accept a request of this app."
    hint = "Search the log for the request id; it holds Meta's error code and fbtrace_id."


class PermissionMissingError(MetaError):
    """A call needs a permission that the person did not grant or withdrew; log in again with all permissions."""

    code = "PERMISSION_MISSING"
    status = HTTPStatus.FORBIDDEN
    actor = Actor.USER
    recoverable = True
    message = "A permission is missing."
    hint = "Connect again and leave all permissions ticked."


class ReconnectRequiredError(MetaError):
    """The person's token is dead, and only a new login replaces it.

    `reason` is TOKEN_EXPIRED, TOKEN_INVALID, APP_REMOVED, ACCOUNT_CHECKPOINT, PASSWORD_CHANGED, ACCOUNT_UNCONFIRMED,
    PAGE_ROLE_LOST, CONSENT_BLOCKED or ACCOUNT_UNAVAILABLE.
    """

    code = "RECONNECT_REQUIRED"
    status = HTTPStatus.CONFLICT
    actor = Actor.USER
    recoverable = True
    message = "Meta no longer accepts the login."
    hint = "Open Facebook or Instagram, settle what it asks for, then connect again."

    def __init__(
        self,
        details: str | None = None,
        *,
        reason: str | None = None,
        log_context: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(details, reason=reason, log_context=log_context)
        self.hint = RECONNECT_HINTS.get(reason or "", self.hint)


class BackendError(InstagramConnectError):
    """Something on our side of the connection failed."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    actor = Actor.OPERATOR
    recoverable = False


class StorageError(BackendError):
    """Supabase did not store or return what it should; `reason` says why, `actor` who must act.

    The reasons are those of `storage_health`. `recoverable` is true only where waiting helps. A new connection that
    cannot be stored is parked and does not end like this, unless parking fails too; even then its token is kept, and
    for an hour the same login can be repeated.
    """

    code = "STORAGE_FAILED"
    message = "Failed to store credentials"
    hint = (
        "Try the same again in a minute: the login is kept for an hour. Operators find cause and command in the log, "
        "by the request id."
    )

    def __init__(
        self,
        details: str | None = None,
        *,
        reason: str,
        actor: Actor = Actor.OPERATOR,
        recoverable: bool = False,
        log_context: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(details, reason=reason, log_context=log_context)
        self.actor = actor
        self.recoverable = recoverable


class TokenEncryptionError(BackendError):
    """KMS did not encrypt or decrypt a token; look at the key's state and the function's permissions."""

    code = "TOKEN_ENCRYPTION_FAILED"
    message = "The credentials could not be protected, so they were not stored."
    hint = "Check that the KMS key is enabled and that the function's role may use it."


class ConfigurationError(BackendError):
    """A setting or secret of the deployment is missing or unusable; `log_context` names it."""

    code = "CONFIGURATION_INVALID"
    message = "The service is not set up completely."
    hint = "Search the log for the request id: it names the missing setting."


class LoginRecordsUnavailableError(BackendError):
    """DynamoDB did not answer before the code was sent, so a repeated login could not be told; repeat."""

    code = "LOGIN_RECORDS_UNAVAILABLE"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    actor = Actor.NOBODY
    recoverable = True
    message = "The login cannot be completed at this moment."
    hint = "Try again in a few seconds: nothing is lost."


class LateStartError(BackendError):
    """Starting took so long that a login could not have been finished, so the code was not sent; repeat."""

    code = "SERVICE_STARTING"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    actor = Actor.NOBODY
    recoverable = True
    message = "The service was not ready in time."
    hint = "Try again in a few seconds: nothing is lost."


class CallbackNotKeptError(BackendError):
    """The queue did not take what Meta sent, so Meta was not told that it arrived: it sends the same again."""

    code = "CALLBACK_NOT_KEPT"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    actor = Actor.NOBODY
    recoverable = True
    message = "This cannot be taken at this moment."
    hint = "Send the same again: nothing of it was lost."


class InternalError(BackendError):
    """A defect of ours: something happened that no other class describes; the log has the traceback."""

    code = "INTERNAL_ERROR"
    message = "Something went wrong on our side."
    hint = "Try again; if it happens again, report the request id."


def error_of(code: str) -> InstagramConnectError:
    """An error with this public code and its default texts; InternalError for an unknown code."""
    return _class_of(code)()


def error_from_record(record: Mapping[str, Any], *, retry_after_s: int | None = None) -> InstagramConnectError:
    """The error that `to_record` described. `retry_after_s` is what is left of its wait, if it has one."""
    kind = _class_of(record["code"])
    error = kind.__new__(kind)
    wait_s = record["retry_after_s"]
    if wait_s is not None and retry_after_s is not None:
        wait_s = max(1, retry_after_s)
    # The base class: subclasses take other arguments, and what they make of them is in the record.
    InstagramConnectError.__init__(error, record["details"], reason=record["reason"], retry_after_s=wait_s)
    error.hint, error.actor, error.recoverable = record["hint"], Actor(record["actor"]), record["recoverable"]
    error.is_repeated = True
    return error


def _class_of(code: str) -> type[InstagramConnectError]:
    classes = [InstagramConnectError]
    for each in classes:  # grows meanwhile
        classes += each.__subclasses__()
    return next((each for each in classes if getattr(each, "code", None) == code), InternalError)
