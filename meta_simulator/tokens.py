"""Access tokens: user tokens, the Page tokens made from them, and the ways in which they die.

Sources: Meta, "Long-Lived Access Tokens" and "Access Token Debugging and Error Handling".
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

from meta_simulator import errors

LONG_LIVED = timedelta(seconds=5_183_944)  # the "about 60 days" of Meta's own example
SHORT_LIVED_AT_LEAST = timedelta(hours=1)


class TokenKind(Enum):
    """What a token speaks for; the values are those of debug_token."""

    USER = "USER"
    PAGE = "PAGE"


@dataclass(frozen=True)
class AccessToken:
    """One issued token; `expires_at` None means never, `holder_id` is a person or an Instagram account."""

    value: str = field(repr=False)
    kind: TokenKind
    app_id: str
    holder_id: str
    issued_at: datetime
    expires_at: datetime | None
    is_long_lived: bool
    page_id: str | None = None


def short_lived_until(now: datetime) -> datetime:
    """Return when a token issued now by a login ends: on the full hour, after one to two hours."""
    full_hour = now.replace(minute=0, second=0, microsecond=0)
    return full_hour + SHORT_LIVED_AT_LEAST + timedelta(hours=1)


class Tokens:
    """Every token that one login product issued, and which of them were revoked."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._tokens: dict[str, AccessToken] = {}
        self._page_tokens: dict[tuple[str, str], AccessToken] = {}
        self._revocations: dict[str, errors.SessionEnd] = {}

    def issue_user_token(
        self, app_id: str, holder_id: str, now: datetime, expires_at: datetime | None, *, is_long_lived: bool
    ) -> AccessToken:
        """Make a user token that ends when told."""
        value = self._new_value()
        return self._keep(
            AccessToken(value, TokenKind.USER, app_id, holder_id, now, expires_at, is_long_lived=is_long_lived)
        )

    def issue_short_lived(self, app_id: str, holder_id: str, now: datetime) -> AccessToken:
        """Make the token that a Facebook code is exchanged for: one to two hours long."""
        return self.issue_user_token(app_id, holder_id, now, short_lived_until(now), is_long_lived=False)

    def issue_long_lived(self, parent: AccessToken, now: datetime, *, extend: bool) -> AccessToken:
        """Make a 60-day token from a valid user token; always another string than the parent's.

        `extend` says whether a parent that is long-lived already gets 60 new days or keeps its
        end, which Meta does not document.
        """
        ends = parent.expires_at if parent.is_long_lived and not extend else now + LONG_LIVED
        return self.issue_user_token(parent.app_id, parent.holder_id, now, ends, is_long_lived=True)

    def renew(self, token: AccessToken, now: datetime, expires_at: datetime) -> AccessToken:
        """Let a token start again under the same value."""
        return self._keep(replace(token, issued_at=now, expires_at=expires_at))

    def page_token(self, parent: AccessToken, page_id: str, now: datetime) -> AccessToken:
        """Return the Page token that belongs to a user token: the same one at every call.

        It never expires if the parent is long-lived, and ends with the parent otherwise.
        """
        known = self._page_tokens.get((parent.value, page_id))
        if known is not None:
            return known
        token = AccessToken(
            self._new_value(),
            TokenKind.PAGE,
            parent.app_id,
            parent.holder_id,
            now,
            None if parent.is_long_lived else parent.expires_at,
            parent.is_long_lived,
            page_id,
        )
        self._page_tokens[(parent.value, page_id)] = token
        return self._keep(token)

    def find(self, value: str) -> AccessToken | None:
        """Return the token with this value, dead or alive, or None."""
        return self._tokens.get(value)

    def require_valid(self, token: AccessToken, now: datetime) -> None:
        """Raise GraphError 190 with its subcode when the token is revoked or has expired."""
        end = self._revocations.get(token.value)
        if end is not None:
            raise errors.session_ended(end, token.app_id)
        if token.expires_at is not None and now >= token.expires_at:
            raise errors.expired_token(token.expires_at, now)

    def revoke(self, value: str, end: errors.SessionEnd) -> bool:
        """Kill one token; False when there is no such token."""
        if value not in self._tokens:
            return False
        self._revocations[value] = end
        return True

    def revoke_where(self, is_meant: Callable[[AccessToken], bool], end: errors.SessionEnd) -> int:
        """Kill all tokens that match and return how many."""
        meant = [token.value for token in self._tokens.values() if is_meant(token)]
        for value in meant:
            self._revocations[value] = end
        return len(meant)

    def _new_value(self) -> str:
        # Letters and digits only, as in Meta's tokens, and well beyond the 255 of a careless column.
        return self._prefix + secrets.token_hex(128)

    def _keep(self, token: AccessToken) -> AccessToken:
        self._tokens[token.value] = token
        return token
