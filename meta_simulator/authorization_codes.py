"""OAuth authorization codes: issued by a login, redeemed by one token request."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

CODE_PREFIX = "AQ"  # the same for both login products


class CodeProblem(Enum):
    """Why a code cannot be redeemed. Each login product words these in its own way."""

    UNKNOWN = auto()
    USED = auto()
    EXPIRED = auto()
    OTHER_APP = auto()
    OTHER_REDIRECT_URI = auto()


class CodeError(Exception):
    """A code cannot be redeemed; `problem` says why."""

    def __init__(self, problem: CodeProblem) -> None:
        super().__init__(problem.name)
        self.problem = problem


@dataclass(frozen=True)
class AuthorizationCode:
    """An issued code and what it is bound to. `owner_id` is a person or an Instagram account."""

    value: str = field(repr=False)
    app_id: str
    owner_id: str
    redirect_uri: str
    expires_at: datetime


class AuthorizationCodes:
    """The codes issued by one login product, and which of them have been redeemed."""

    def __init__(self, lifetime: timedelta) -> None:
        self._lifetime = lifetime
        self._codes: dict[str, AuthorizationCode] = {}
        self._redeemed: set[str] = set()

    def issue(self, app_id: str, owner_id: str, redirect_uri: str, now: datetime) -> AuthorizationCode:
        """Issue a code that can be redeemed once, by this app and with this redirect URI."""
        value = CODE_PREFIX + secrets.token_urlsafe(120)
        code = AuthorizationCode(value, app_id, owner_id, redirect_uri, now + self._lifetime)
        self._codes[value] = code
        return code

    def redeem(self, value: str, *, app_id: str, redirect_uri: str, now: datetime) -> AuthorizationCode:
        """Mark a code as redeemed and return it.

        The check and the change happen without an await between them, so exactly one of several concurrent requests
        succeeds. A failed attempt leaves the code redeemable.

        Raises CodeError with the first problem found.
        """
        code = self._codes.get(value)
        if code is None:
            raise CodeError(CodeProblem.UNKNOWN)
        if value in self._redeemed:
            raise CodeError(CodeProblem.USED)
        if now >= code.expires_at:
            raise CodeError(CodeProblem.EXPIRED)
        if code.app_id != app_id:
            raise CodeError(CodeProblem.OTHER_APP)
        if code.redirect_uri != redirect_uri:
            raise CodeError(CodeProblem.OTHER_REDIRECT_URI)
        self._redeemed.add(value)
        return code
