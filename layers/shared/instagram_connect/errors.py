"""The error taxonomy: everything that can go wrong with a connection, and who can fix it.

InstagramConnectError
├── RequestError                     we reject what the caller sent
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
├── LoginError                       Meta rejected the authorization code or access token
│   ├── LoginCodeExpiredError
│   ├── LoginCodeUsedError
│   ├── LoginCodeInvalidError
│   ├── RedirectUriMismatchError
│   ├── LoginOutcomeUnknownError
│   ├── AccessTokenInvalidError
│   └── AccessTokenForeignError
├── NoAccountError                   the login worked, but there is nothing to connect
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

`code`, `status`, `actor`, `recoverable`, `message` and `hint` are public and documented in docs/errors.md; a test keeps
the two in step. `details` is our own text for people and must never quote Meta, PostgREST or the caller's secrets.
`log_context` is for operators and must never contain a token, code, secret or row.
"""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any, ClassVar

# What the user does about a connection that has ended or is about to, by reason.
RECONNECT_HINTS: Mapping[str, str] = {
    "TOKEN_EXPIRED": "The login has expired. Connect the account again.",
    "TOKEN_INVALID": "Instagram or Facebook ended the login. Connect the account again.",
    "APP_REMOVED": "This app was removed in the Instagram or Facebook settings. Connect again to allow it.",
    "PASSWORD_CHANGED": "The password was changed. Connect the account again.",
    "ACCOUNT_CHECKPOINT": "Open facebook.com, complete the check it asks for, then connect again.",
    "ACCOUNT_UNCONFIRMED": "Open facebook.com, confirm your account there, then connect again.",
    "PAGE_ROLE_LOST": "Someone with full control of the Facebook Page must connect it or give you your role back.",
    "CONSENT_BLOCKED": "Open Facebook or Instagram, respond to its request, then connect again.",
    "ACCOUNT_UNAVAILABLE": "Check that the Instagram account exists and is a professional account, then connect again.",
    "PERMISSION_MISSING": "A permission was withdrawn. Connect again and leave all permissions ticked.",
    "LOGIN_ENDS": "The login expires soon. Connect again to keep the account working.",
    "DATA_ACCESS_ENDS": "This app's access to your Facebook data expires soon. Connect again to renew it.",
}


class Actor(StrEnum):
    """Who must act before the same request can succeed."""

    USER = "user"
    PAGE_ADMIN = "page_admin"
    OPERATOR = "operator"
    META = "meta"
    NOBODY = "nobody"


class InstagramConnectError(Exception):
    """Base class of every error this product raises deliberately.

    `recoverable` means the person can simply try again, by logging in again or by waiting.
    """

    code: ClassVar[str]
    status: ClassVar[HTTPStatus]
    message: ClassVar[str]
    hint: str
    actor: Actor
    recoverable: bool
    # Replayed from an earlier request, which already logged and counted it.
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
        """Serialise the public part of the error for `error_from_record`."""
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
    """The body is not the JSON this route expects. Fix the frontend's call."""

    code = "INVALID_REQUEST"
    message = "The request is not in the expected format."
    hint = "Check the request against docs/api.md; `details` names the fields at fault."


class RedirectUriNotAllowedError(RequestError):
    """The redirect URI is not on this deployment's allow-list. Add it to OAuthRedirectUris or fix the frontend."""

    code = "REDIRECT_URI_NOT_ALLOWED"
    message = "Instagram logins may not return to this address."
    hint = "Add the redirect URI to the stack parameter OAuthRedirectUris, exactly as the frontend sends it."


class OAuthStateError(RequestError):
    """The `state` was not issued by `authorize` to this user for this login. The code was not sent; log in again.

    `reason` is STATE_MISSING, STATE_INVALID, STATE_EXPIRED, STATE_USED, STATE_OF_ANOTHER_USER or STATE_MISMATCH
    (another provider or redirect URI).
    """

    code = "OAUTH_STATE_INVALID"
    actor = Actor.USER
    recoverable = True
    message = "This login was not started in this app, or it has expired."
    hint = "Start the Instagram connection again from this app, signed in as the same user."


class LoginInProgressError(RequestError):
    """Another request is completing the same login. Repeat this one to get its result."""

    code = "LOGIN_IN_PROGRESS"
    status = HTTPStatus.CONFLICT
    actor = Actor.NOBODY
    recoverable = True
    message = "This login is still being completed."
    hint = "Wait a few seconds, then repeat the same request to get the result."


class AccountNotFoundError(RequestError):
    """The caller has no account with this id. Another user's account and a non-existent one look the same."""

    code = "ACCOUNT_NOT_FOUND"
    status = HTTPStatus.NOT_FOUND
    actor = Actor.USER
    message = "No account with this id is connected to you."
    hint = "Reload the list of accounts."


class AccountDisconnectedError(RequestError):
    """The accounts of this login have been disconnected since. A new login brings them back."""

    code = "ACCOUNT_DISCONNECTED"
    status = HTTPStatus.CONFLICT
    actor = Actor.USER
    recoverable = True
    message = "This account was disconnected after this login."
    hint = "Connect the account again if you want it back."


class TokenTooYoungError(RequestError):
    """Meta does not extend a token in its first 24 hours. There is nothing to do before `retry_after_s`."""

    code = "TOKEN_TOO_YOUNG"
    status = HTTPStatus.CONFLICT
    actor = Actor.NOBODY
    message = "This connection was made or refreshed less than a day ago."
    hint = "Nothing to do: connections are refreshed automatically, long before they expire."


class RefreshInProgressError(RequestError):
    """The account is being refreshed right now. Repeat the request to get the result."""

    code = "REFRESH_IN_PROGRESS"
    status = HTTPStatus.CONFLICT
    actor = Actor.NOBODY
    recoverable = True
    message = "This connection is being refreshed right now."
    hint = "Wait a few seconds, then check the account again."


class SignatureInvalidError(RequestError):
    """A request claims to come from Meta but is not signed with this deployment's app secrets. It was ignored.

    `reason` is SIGNATURE_MISSING, SIGNATURE_MALFORMED or SIGNATURE_MISMATCH. If Meta's genuine requests fail with it,
    the deployment's app secrets are wrong.
    """

    code = "SIGNATURE_INVALID"
    status = HTTPStatus.FORBIDDEN
    message = "This request was not signed by Meta for this app."
    hint = "Copy the app secrets from Meta's App Dashboard into the secret named …/meta; each product has its own."


class VerifyTokenInvalidError(RequestError):
    """The webhook handshake carried the wrong verify token. Enter this deployment's token in Meta's App Dashboard."""

    code = "VERIFY_TOKEN_INVALID"
    status = HTTPStatus.FORBIDDEN
    message = "The verify token does not match this deployment's."
    hint = "Copy webhook_verify_token from the secret named …/meta into Meta's App Dashboard."


class RouteNotFoundError(RequestError):
    """No route has this path and method. Fix the URL in the frontend."""

    code = "NOT_FOUND"
    status = HTTPStatus.NOT_FOUND
    message = "There is nothing at this address."
    hint = "Check the path and method against docs/api.md."


class TooManyRequestsError(RequestError):
    """API Gateway throttled the call before it reached a function. Wait and repeat it."""

    code = "TOO_MANY_REQUESTS"
    status = HTTPStatus.TOO_MANY_REQUESTS
    actor = Actor.NOBODY
    recoverable = True
    message = "Too many people are connecting right now."
    hint = "Try again in a few seconds; nothing has been lost."


class IdentityError(InstagramConnectError):
    """The caller could not be identified."""


class UnauthenticatedError(IdentityError):
    """The bearer token is missing or is not a valid access token of a signed-in Supabase user. Sign in again.

    `reason` is TOKEN_MISSING, TOKEN_EXPIRED or TOKEN_INVALID.
    """

    code = "UNAUTHENTICATED"
    status = HTTPStatus.UNAUTHORIZED
    actor = Actor.USER
    recoverable = True
    message = "You are not signed in."
    hint = "Sign in again, then connect Instagram."


class IdentityUnavailableError(IdentityError):
    """The keys for verifying access tokens could not be fetched, so nobody can be identified. Wait and repeat."""

    code = "IDENTITY_UNAVAILABLE"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    actor = Actor.NOBODY
    recoverable = True
    message = "We can't check your sign-in right now."
    hint = "Try again in a few seconds; nothing has been lost."


class LoginError(InstagramConnectError):
    """Meta did not exchange the authorization code for a token. A new login yields a new code."""

    status = HTTPStatus.BAD_REQUEST
    actor = Actor.USER
    recoverable = True
    hint = "Start the Instagram connection again and finish it without a long pause."


class LoginCodeExpiredError(LoginError):
    """The code is older than Meta accepts. Log in again."""

    code = "OAUTH_CODE_EXPIRED"
    message = "The login took too long and is no longer valid."


class LoginCodeUsedError(LoginError):
    """The code has already been exchanged. If the accounts are not connected, log in again."""

    code = "OAUTH_CODE_USED"
    message = "This login has already been used."
    hint = "Check whether your accounts are already connected; if not, start the connection again."


class LoginCodeInvalidError(LoginError):
    """Meta does not recognise the code. Log in again."""

    code = "OAUTH_CODE_INVALID"
    message = "Meta did not accept this login."


class RedirectUriMismatchError(LoginError):
    """The redirect URI differs from the one the login dialog was opened with. The frontend must send the same one."""

    code = "REDIRECT_URI_MISMATCH"
    actor = Actor.OPERATOR
    recoverable = False
    message = "The login was started for a different address of this app."
    hint = "Send exactly the redirect URI that the login dialog was opened with, including scheme, slashes and query."


class LoginOutcomeUnknownError(LoginError):
    """Meta did not respond to the code exchange, so the code may be spent. Never resend it; log in again."""

    code = "OAUTH_OUTCOME_UNKNOWN"
    status = HTTPStatus.BAD_GATEWAY
    message = "Meta did not respond while the login was being completed."
    hint = "Start the Instagram connection again; this login cannot be reused."


class AccessTokenInvalidError(LoginError):
    """The access token is dead or does not belong to a person. Sign in with Facebook again to get a new one.

    `reason` is TOKEN_EXPIRED, TOKEN_INVALID or NOT_A_USER_TOKEN.
    """

    code = "ACCESS_TOKEN_INVALID"
    message = "Meta does not accept this Facebook login."
    hint = "Sign in with Facebook again, then connect Instagram."


class AccessTokenForeignError(LoginError):
    """The access token was issued to another Meta app. Use the same app for sign-in and for this deployment."""

    code = "ACCESS_TOKEN_FOREIGN"
    status = HTTPStatus.FORBIDDEN
    actor = Actor.OPERATOR
    recoverable = False
    message = "This Facebook login belongs to another app."
    hint = "Use the same app id in Supabase Auth's Facebook provider and in the stack parameter FacebookAppId."


class NoAccountError(InstagramConnectError):
    """The login worked, but it gave access to no Instagram business account."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    actor = Actor.USER
    recoverable = True


class ScopesDeclinedError(NoAccountError):
    """A permission that the connection needs was unticked. Log in again and leave it ticked."""

    code = "SCOPES_DECLINED"
    status = HTTPStatus.FORBIDDEN
    message = "A permission that the connection needs was declined."
    hint = "Connect again and leave the listed permissions ticked."


class ScopesNotRequestedError(NoAccountError):
    """The login dialog did not ask for a permission that the connection needs. The frontend must request it."""

    code = "SCOPES_NOT_REQUESTED"
    status = HTTPStatus.BAD_REQUEST
    actor = Actor.OPERATOR
    recoverable = False
    message = "The login did not ask for a permission that the connection needs."
    hint = "Add the listed permissions to the `scope` of the login dialog, or to its Login for Business configuration."


class NoFacebookPageError(NoAccountError):
    """The person has no Facebook Page or shared none. Choose one in the dialog, or create one.

    With `reason` BUSINESS_MANAGEMENT_NOT_REQUESTED, Pages in a business portfolio were invisible too, because the login
    did not ask for `business_management`.
    """

    code = "NO_FACEBOOK_PAGE"
    message = "No Facebook Page was shared."
    hint = "Connect again and choose the Facebook Page that your Instagram account is linked to."


class BusinessPortfolioNotGrantedError(NoAccountError):
    """No Page outside a business portfolio was shared, and access to the portfolio was declined. Grant it."""

    code = "BUSINESS_PORTFOLIO_NOT_GRANTED"
    message = "The Facebook Page seems to belong to a business portfolio, and access to the portfolio was declined."
    hint = "Connect again, choose the Page, and allow access to the business portfolio (business_management)."


class NoInstagramAccountError(NoAccountError):
    """No shared Page has an Instagram business account. Link one, or choose it in the dialog."""

    code = "NO_INSTAGRAM_ACCOUNT"
    actor = Actor.PAGE_ADMIN
    message = "None of the shared Facebook Pages has an Instagram business account."
    hint = (
        "Switch the Instagram account to a professional account, link it to the Page in the Page's settings, "
        "then connect again and choose both."
    )


class AccountNotProfessionalError(NoAccountError):
    """Meta has no API for personal Instagram accounts. Switch the account to a professional one."""

    code = "ACCOUNT_NOT_PROFESSIONAL"
    message = "This is a personal Instagram account."
    hint = "In Instagram, open Settings, then Account type, switch to a professional account, and connect again."


class MetaError(InstagramConnectError):
    """A call to Meta other than the code exchange failed."""

    status = HTTPStatus.BAD_GATEWAY


class MetaUnavailableError(MetaError):
    """Meta failed or did not respond, even after retries. Wait, then repeat: an accepted login continues from there."""

    code = "META_UNAVAILABLE"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    actor = Actor.META
    recoverable = True
    message = "Meta is not responding right now."
    hint = "Wait a few minutes, then try again."


class MetaRateLimitedError(MetaError):
    """Meta is refusing calls for a while. Calling before `retry_after_s` prolongs the block."""

    code = "META_RATE_LIMITED"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    actor = Actor.NOBODY
    recoverable = True
    message = "Meta is temporarily refusing further calls."
    hint = "Wait for the time shown, then start the Instagram connection again."


class MetaAppMisconfiguredError(MetaError):
    """Meta rejects the app itself: its id, secret, mode or capability. Nobody can connect until that is fixed.

    `reason` is APP_ID_INVALID, APP_SECRET_INVALID, APP_SECRET_PROOF_INVALID, APP_CAPABILITY_MISSING or
    REDIRECT_URI_UNREGISTERED.
    """

    code = "META_APP_MISCONFIGURED"
    actor = Actor.OPERATOR
    recoverable = False
    message = "This app's connection to Meta is not set up correctly."
    hint = "Compare the app id, app secret and settings in Meta's App Dashboard with those of the deployment."


class MetaActionBlockedError(MetaError):
    """Meta blocked the app or person for policy reasons. Stop calling for hours and check the App Dashboard."""

    code = "META_ACTION_BLOCKED"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    actor = Actor.OPERATOR
    recoverable = False
    message = "Meta is blocking this action."
    hint = "Before trying again, look for a notice in Meta's App Dashboard and in the person's account."


class MetaRequestRejectedError(MetaError):
    """Meta rejected a call as malformed or unknown: a bug of ours. The log has Meta's code and fbtrace_id."""

    code = "META_REQUEST_REJECTED"
    actor = Actor.OPERATOR
    recoverable = False
    message = "Meta rejected a request from this app."
    hint = "Search the log for the request id; the entry has Meta's error code and fbtrace_id."


class PermissionMissingError(MetaError):
    """A call needs a permission that the person did not grant or has withdrawn. Log in again with all permissions."""

    code = "PERMISSION_MISSING"
    status = HTTPStatus.FORBIDDEN
    actor = Actor.USER
    recoverable = True
    message = "A permission is missing."
    hint = "Connect again and leave all permissions ticked."


class ReconnectRequiredError(MetaError):
    """The person's token is dead; only a new login replaces it.

    `reason` is TOKEN_EXPIRED, TOKEN_INVALID, APP_REMOVED, ACCOUNT_CHECKPOINT, PASSWORD_CHANGED, ACCOUNT_UNCONFIRMED,
    PAGE_ROLE_LOST, CONSENT_BLOCKED or ACCOUNT_UNAVAILABLE.
    """

    code = "RECONNECT_REQUIRED"
    status = HTTPStatus.CONFLICT
    actor = Actor.USER
    recoverable = True
    message = "Meta no longer accepts the login."
    hint = "Open Facebook or Instagram, do what it asks, then connect again."

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
    """Supabase failed to store or return data. `reason` gives the cause and `actor` who must act.

    The reasons are defined in `storage.diagnosis`. `recoverable` is true only where waiting helps. A new connection
    that cannot be stored is parked and raises this only if parking fails too. Even then its token is kept, and the
    same login can be repeated for an hour.
    """

    code = "STORAGE_FAILED"
    message = "Failed to store credentials"
    hint = (
        "Try again in a minute; the login is kept for an hour. Operators: search the log for the request id to find "
        "the cause and the command."
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
    """KMS did not encrypt or decrypt a token. Check the key's state and the function's permissions."""

    code = "TOKEN_ENCRYPTION_FAILED"
    message = "The credentials could not be encrypted, so they were not stored."
    hint = "Check that the KMS key is enabled and that the function's role may use it."


class ConfigurationError(BackendError):
    """A setting or secret of the deployment is missing or unusable. `log_context` names it."""

    code = "CONFIGURATION_INVALID"
    message = "The service is not fully set up."
    hint = "Search the log for the request id; the entry names the missing setting."


class LoginRecordsUnavailableError(BackendError):
    """DynamoDB did not respond, so the code was not sent: a repeated login would go undetected. Repeat the request."""

    code = "LOGIN_RECORDS_UNAVAILABLE"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    actor = Actor.NOBODY
    recoverable = True
    message = "The login cannot be completed right now."
    hint = "Try again in a few seconds; nothing has been lost."


class LateStartError(BackendError):
    """Start-up left too little time to finish a login, so the code was not sent. Repeat the request."""

    code = "SERVICE_STARTING"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    actor = Actor.NOBODY
    recoverable = True
    message = "The service did not start in time."
    hint = "Try again in a few seconds; nothing has been lost."


class CallbackNotKeptError(BackendError):
    """The queue did not accept what Meta sent, so it was not acknowledged and Meta will resend it."""

    code = "CALLBACK_NOT_KEPT"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    actor = Actor.NOBODY
    recoverable = True
    message = "We can't accept this right now."
    hint = "Send it again; nothing has been lost."


class InternalError(BackendError):
    """A bug of ours that no other class describes. The log has the traceback."""

    code = "INTERNAL_ERROR"
    message = "Something went wrong on our side."
    hint = "Try again; if it keeps happening, report the request id."


def error_of(code: str) -> InstagramConnectError:
    """Return an error with this public code and its default texts, InternalError if the code is unknown."""
    return _class_of(code)()


def error_from_record(record: Mapping[str, Any], *, retry_after_s: int | None = None) -> InstagramConnectError:
    """Rebuild an error from `to_record`. `retry_after_s` is the time left of its wait, if it has one."""
    kind = _class_of(record["code"])
    error = kind.__new__(kind)
    wait_s = record["retry_after_s"]
    if wait_s is not None and retry_after_s is not None:
        wait_s = max(1, retry_after_s)
    # Call the base class: subclasses take other arguments, whose effect is already in the record.
    InstagramConnectError.__init__(error, record["details"], reason=record["reason"], retry_after_s=wait_s)
    error.hint, error.actor, error.recoverable = record["hint"], Actor(record["actor"]), record["recoverable"]
    error.is_repeated = True
    return error


def _class_of(code: str) -> type[InstagramConnectError]:
    classes = [InstagramConnectError]
    for each in classes:  # the list grows as it is walked
        classes += each.__subclasses__()
    return next((each for each in classes if getattr(each, "code", None) == code), InternalError)
