"""The OAuth `state` of a login: signed, bound to its user, provider and redirect URI, and gone after half an hour.

A JWT, so that nothing has to be stored when a login starts. That it is used once is recorded by `login_records`.
Source of the threat it meets: RFC 9700, section 4.7 (cross-site request forgery against the redirect URI).
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt

from instagram_connect.errors import ConfigurationError, OAuthStateError
from instagram_connect.models import Provider

# Making the account professional, or linking a Page, happens inside Meta's dialog and takes people a while.
LIFETIME = timedelta(minutes=30)
AUDIENCE = "instagram-connect/oauth-state"
ALGORITHM = "HS256"
LEAST_KEY_CHARACTERS = 32  # RFC 7518, section 3.2: as long as the hash


@dataclass(frozen=True)
class LoginState:
    """What a state says. `id` is random (128 bit) and names it when it is used."""

    id: str
    user_id: str
    provider: Provider
    redirect_uri: str
    expires_at: datetime


class StateSigner:
    """Makes states and reads them back. Raises ConfigurationError for a key that could be guessed."""

    def __init__(self, key: str, now: Callable[[], datetime]) -> None:
        if len(key) < LEAST_KEY_CHARACTERS:
            raise ConfigurationError(log_context={"secret_key": "state_signing_key", "cause": "too short"})
        self._key = key
        self._now = now

    def issue(self, user_id: str, provider: Provider, redirect_uri: str) -> tuple[str, LoginState]:
        """A state for one login, as text and as what it says."""
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
        """What a state of ours says, also after its end. Raises OAuthStateError with the reason STATE_INVALID."""
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
        """Returns if the state was made for exactly this login. Raises OAuthStateError."""
        if state.user_id != user_id:
            raise OAuthStateError(reason="STATE_OF_ANOTHER_USER")
        if (state.provider, state.redirect_uri) != (provider, redirect_uri):
            raise OAuthStateError(reason="STATE_MISMATCH")

    def check_age(self, state: LoginState) -> None:
        """Returns if the state has not ended yet. Raises OAuthStateError."""
        if state.expires_at <= self._now():
            raise OAuthStateError(reason="STATE_EXPIRED")
