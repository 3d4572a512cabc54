"""Authorization codes: made by a login, spent by one exchange."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from local.meta_simulator import errors
from local.meta_simulator.errors import GraphError

CODE_PREFIX = "AQ"  # what Facebook's codes start with
CODE_LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True)
class AuthorizationCode:
    """A code and what it was issued for."""

    value: str = field(repr=False)
    app_id: str
    person_id: str
    redirect_uri: str
    expires_at: datetime


class AuthorizationCodes:
    """The codes that were issued, and which of them are spent."""

    def __init__(self) -> None:
        self._codes: dict[str, AuthorizationCode] = {}
        self._spent: set[str] = set()

    def issue(self, app_id: str, person_id: str, redirect_uri: str, now: datetime) -> AuthorizationCode:
        """Make a code for the person, good for one exchange with the same redirect URI."""
        value = CODE_PREFIX + secrets.token_urlsafe(120)
        code = AuthorizationCode(value, app_id, person_id, redirect_uri, now + CODE_LIFETIME)
        self._codes[value] = code
        return code

    def spend(
        self, value: str, *, app_id: str, redirect_uri: str, now: datetime, mismatch_subcode: int | None
    ) -> AuthorizationCode:
        """Use a code up and return it.

        Checking and marking happen without giving up control, so of two exchanges at the same
        time exactly one wins. A refused exchange leaves the code as it was.
        Raises GraphError: unknown (100), spent (100/36009), expired (100/36007), and another app
        or redirect URI (100 with `mismatch_subcode`).
        """
        code = self._codes.get(value)
        if code is None:
            raise GraphError("Invalid verification code format.", 100, challenge="invalid_code")
        if value in self._spent:
            raise errors.code_used()
        if now >= code.expires_at:
            raise errors.code_expired()
        if code.app_id != app_id or code.redirect_uri != redirect_uri:
            raise errors.redirect_uri_mismatch(mismatch_subcode)
        self._spent.add(value)
        return code
