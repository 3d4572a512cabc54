"""The OAuth `state` of a login: signed, bound to its user, provider and redirect URI, valid for half an hour.

It is a JWT, so nothing has to be stored when a login starts; `login_records` records that it was used. It prevents
cross-site request forgery against the redirect URI (RFC 9700, section 4.7).
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt

from instagram_connect.errors import ConfigurationError, OAuthStateError
from instagram_connect.models import Provider

# In Meta's dialog people may first make the account professional or link a Page, which takes a while.
LIFETIME = timedelta(minutes=30)
AUDIENCE = "instagram-connect/oauth-state"
ALGORITHM = "HS256"
LEAST_KEY_CHARACTERS = 32  # RFC 7518, section 3.2: at least the size of the hash


@dataclass(frozen=True)
class LoginState:
    """The claims of a state. `id` is random (128 bits) and identifies it when it is used."""

    id: str
    user_id: str
    provider: Provider
    redirect_uri: str
    expires_at: datetime


class StateSigner:
    """Issues and verifies states. Raises ConfigurationError if the key is too short."""

    def __init__(self, key: str, now: Callable[[], datetime]) -> None:
        if len(key) < LEAST_KEY_CHARACTERS:
            raise ConfigurationError(log_context={"secret_key": "state_signing_key", "cause": "too short"})
        self._key = key
        self._now = now

    def issue(self, user_id: str, provider: Provider, redirect_uri: str) -> tuple[str, LoginState]:
        """Issue a state for one login; return its text and its claims."""
        expires_at = (self._now() + LIFETIME).replace(microsecond=0)
        state = LoginState(secrets.token_urlsafe(16), user_id, provider, redirect_uri, expires_at)
        claims = {
            "aud": AUDIENCE,
            "jti": state.id,
            "sub": user_id,
            "provider": provider,
            "redirect_uri": redirect_uri,
            "exp": int(expires_at.timestamp()),
        }
        return jwt.encode(claims, self._key, ALGORITHM), state

    def read(self, text: str) -> LoginState:
        """Verify a state and return its claims, even if it has expired. Raises OAuthStateError (STATE_INVALID)."""
        try:
            claims = jwt.decode(
                text, self._key, [ALGORITHM], audience=AUDIENCE, options={"require": ["exp"], "verify_exp": False}
            )
            return LoginState(
                id=claims["jti"],
                user_id=claims["sub"],
                provider=Provider(claims["provider"]),
                redirect_uri=claims["redirect_uri"],
                expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            )
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, OverflowError) as error:
            raise OAuthStateError(reason="STATE_INVALID") from error

    def check(self, state: LoginState, user_id: str, provider: Provider, redirect_uri: str) -> None:
        """Check that the state was issued for this login. Raises OAuthStateError."""
        if state.user_id != user_id:
            raise OAuthStateError(reason="STATE_OF_ANOTHER_USER")
        if (state.provider, state.redirect_uri) != (provider, redirect_uri):
            raise OAuthStateError(reason="STATE_MISMATCH")

    def check_age(self, state: LoginState) -> None:
        """Check that the state has not expired. Raises OAuthStateError."""
        if state.expires_at <= self._now():
            raise OAuthStateError(reason="STATE_EXPIRED")
