"""Access tokens: user tokens, the Page tokens derived from them, and how they end.

Sources: Meta, "Long-Lived Access Tokens" and "Access Token Debugging and Error Handling".
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

from meta_simulator import errors

LONG_LIVED = timedelta(seconds=5_183_944)  # from Meta's example of a 60-day token
SHORT_LIVED_AT_LEAST = timedelta(hours=1)


class TokenKind(Enum):
    """The type of a token, with the values of debug_token."""

    USER = "USER"
    PAGE = "PAGE"


@dataclass(frozen=True)
class AccessToken:
    """One issued token. `expires_at` None means never; `owner_id` is a person or an Instagram account."""

    value: str = field(repr=False)
    kind: TokenKind
    app_id: str
    owner_id: str
    issued_at: datetime
    expires_at: datetime | None
    is_long_lived: bool
    page_id: str | None = None


def short_lived_expiry(now: datetime) -> datetime:
    """Return when a Facebook user token issued now expires: on a full hour, in one to two hours."""
    full_hour = now.replace(minute=0, second=0, microsecond=0)
    return full_hour + SHORT_LIVED_AT_LEAST + timedelta(hours=1)


class Tokens:
    """All tokens issued by one login product, and which of them were revoked."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._tokens: dict[str, AccessToken] = {}
        self._page_tokens: dict[tuple[str, str], AccessToken] = {}
        self._revocations: dict[str, errors.RevocationReason] = {}

    def issue_user_token(
        self, app_id: str, owner_id: str, now: datetime, expires_at: datetime | None, *, is_long_lived: bool
    ) -> AccessToken:
        """Issue a user token with this expiry."""
        value = self._new_value()
        return self._keep(
            AccessToken(value, TokenKind.USER, app_id, owner_id, now, expires_at, is_long_lived=is_long_lived)
        )

    def issue_short_lived(self, app_id: str, owner_id: str, now: datetime) -> AccessToken:
        """Issue the token that a Facebook code is exchanged for, valid for one to two hours."""
        return self.issue_user_token(app_id, owner_id, now, short_lived_expiry(now), is_long_lived=False)

    def issue_long_lived(self, parent: AccessToken, now: datetime, *, extend: bool) -> AccessToken:
        """Issue a 60-day token for a valid user token. It is always a different string.

        `extend` decides whether a parent that is already long-lived gets 60 new days or keeps its expiry, which Meta
        does not document.
        """
        expires_at = parent.expires_at if parent.is_long_lived and not extend else now + LONG_LIVED
        return self.issue_user_token(parent.app_id, parent.owner_id, now, expires_at, is_long_lived=True)

    def renew(self, token: AccessToken, now: datetime, expires_at: datetime) -> AccessToken:
        """Restart a token's lifetime under the same value."""
        return self._keep(replace(token, issued_at=now, expires_at=expires_at))

    def page_token(self, parent: AccessToken, page_id: str, now: datetime) -> AccessToken:
        """Return the Page token that belongs to a user token; it is the same on every call.

        It never expires if the parent is long-lived, and expires with the parent otherwise.
        """
        known = self._page_tokens.get((parent.value, page_id))
        if known is not None:
            return known
        token = AccessToken(
            self._new_value(),
            TokenKind.PAGE,
            parent.app_id,
            parent.owner_id,
            now,
            None if parent.is_long_lived else parent.expires_at,
            parent.is_long_lived,
            page_id,
        )
        self._page_tokens[(parent.value, page_id)] = token
        return self._keep(token)

    def find(self, value: str) -> AccessToken | None:
        """Return the token with this value, valid or not, or None."""
        return self._tokens.get(value)

    def require_valid(self, token: AccessToken, now: datetime) -> None:
        """Raise GraphError 190 with its subcode if the token is revoked or has expired."""
        reason = self._revocations.get(token.value)
        if reason is not None:
            raise errors.revoked_token(reason, token.app_id)
        if token.expires_at is not None and now >= token.expires_at:
            raise errors.expired_token(token.expires_at, now)

    def revoke(self, value: str, reason: errors.RevocationReason) -> bool:
        """Revoke one token. Returns False if there is no such token."""
        if value not in self._tokens:
            return False
        self._revocations[value] = reason
        return True

    def revoke_where(self, matches: Callable[[AccessToken], bool], reason: errors.RevocationReason) -> int:
        """Revoke all matching tokens and return their number."""
        values = [token.value for token in self._tokens.values() if matches(token)]
        for value in values:
            self._revocations[value] = reason
        return len(values)

    def _new_value(self) -> str:
        # Letters and digits only, as at Meta, and too long for a varchar(255).
        return self._prefix + secrets.token_hex(128)

    def _keep(self, token: AccessToken) -> AccessToken:
        self._tokens[token.value] = token
        return token
