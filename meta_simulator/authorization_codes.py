"""Authorization codes: made by a login, spent by one exchange."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

CODE_PREFIX = "AQ"  # what the codes of both login products start with


class CodeProblem(Enum):
    """Why a code cannot be exchanged; each login product words it in its own way."""

    UNKNOWN = auto()
    USED = auto()
    EXPIRED = auto()
    OTHER_APP = auto()
    OTHER_REDIRECT_URI = auto()


class CodeRefusedError(Exception):
    """The code cannot be exchanged; only a new login helps, unless the request was wrong."""

    def __init__(self, problem: CodeProblem) -> None:
        super().__init__(problem.name)
        self.problem = problem


@dataclass(frozen=True)
class AuthorizationCode:
    """A code and what it was issued for; `holder_id` is a person or an Instagram account."""

    value: str = field(repr=False)
    app_id: str
    holder_id: str
    redirect_uri: str
    expires_at: datetime


class AuthorizationCodes:
    """The codes that one login product issued, and which of them are spent."""

    def __init__(self, lifetime: timedelta) -> None:
        self._lifetime = lifetime
        self._codes: dict[str, AuthorizationCode] = {}
        self._spent: set[str] = set()

    def issue(self, app_id: str, holder_id: str, redirect_uri: str, now: datetime) -> AuthorizationCode:
        """Make a code for one exchange with the same redirect URI."""
        value = CODE_PREFIX + secrets.token_urlsafe(120)
        code = AuthorizationCode(value, app_id, holder_id, redirect_uri, now + self._lifetime)
        self._codes[value] = code
        return code

    def spend(self, value: str, *, app_id: str, redirect_uri: str, now: datetime) -> AuthorizationCode:
        """Use a code up and return it.

        Checking and marking happen without giving up control, so of two exchanges at the same
        time exactly one wins. A refused exchange leaves the code as it was.
        Raises CodeRefusedError with the first problem found.
        """
        code = self._codes.get(value)
        if code is None:
            raise CodeRefusedError(CodeProblem.UNKNOWN)
        if value in self._spent:
            raise CodeRefusedError(CodeProblem.USED)
        if now >= code.expires_at:
            raise CodeRefusedError(CodeProblem.EXPIRED)
        if code.app_id != app_id:
            raise CodeRefusedError(CodeProblem.OTHER_APP)
        if code.redirect_uri != redirect_uri:
            raise CodeRefusedError(CodeProblem.OTHER_REDIRECT_URI)
        self._spent.add(value)
        return code
