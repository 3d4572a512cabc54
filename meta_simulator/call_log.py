"""The log of API calls, for tests that assert what was called, how often and how concurrently.

Tokens, secrets, codes and proofs are never stored; only the first digits of their SHA-256 are.
"""

import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from meta_simulator.graph.call import GraphCall

MAX_LOGGED_CALLS = 100_000
FINGERPRINT_DIGITS = 12
SECRET_PARAMETERS = (
    "access_token",
    "input_token",
    "fb_exchange_token",
    "code",
    "client_secret",
    "appsecret_proof",
)
_LONGEST_PATH_SEGMENT = 60  # ids and edge names are shorter, tokens and codes longer


@dataclass
class LoggedCall:
    """One call. `status` is None while the call runs, and stays None if no response was sent."""

    sequence: int
    time: datetime
    method: str
    host: str
    path: str
    version: str
    operation: str
    parameters: tuple[str, ...]
    fingerprints: dict[str, str]
    started: float
    ended: float | None = None
    status: int | None = None
    error_code: int | None = None
    error_subcode: int | None = None
    fault: str | None = None

    def finish(self, status: int | None) -> None:
        """Record the end of the call and its HTTP status, or None if the connection was dropped."""
        self.ended = monotonic()
        self.status = status

    def view(self) -> dict[str, object]:
        """Return the entry as the control API shows it. `started` and `ended` are monotonic seconds."""
        duration = None if self.ended is None else round((self.ended - self.started) * 1000, 3)
        return {
            "sequence": self.sequence,
            "time": self.time.isoformat(),
            "method": self.method,
            "host": self.host,
            "path": self.path,
            "version": self.version,
            "operation": self.operation,
            "parameters": list(self.parameters),
            "fingerprints": self.fingerprints,
            "status": self.status,
            "error_code": self.error_code,
            "error_subcode": self.error_subcode,
            "fault": self.fault,
            "started": self.started,
            "ended": self.ended,
            "duration_ms": duration,
        }


class CallLog:
    """The latest calls in order of arrival. Clearing the log restarts the sequence numbers."""

    def __init__(self) -> None:
        self._calls: deque[LoggedCall] = deque(maxlen=MAX_LOGGED_CALLS)
        self._count = 0

    def begin(self, call: GraphCall, operation: str, now: datetime) -> LoggedCall:
        """Log the arrival of a call and return its entry, which the caller has to finish."""
        self._count += 1
        entry = LoggedCall(
            sequence=self._count,
            time=now,
            method=call.method,
            host=call.host,
            path=_without_secrets(call.path),
            version=call.version,
            operation=operation,
            parameters=tuple(sorted(call.params)),
            fingerprints=_fingerprints(call.params),
            started=monotonic(),
        )
        self._calls.append(entry)
        return entry

    def entries(self, operation: str | None = None) -> list[LoggedCall]:
        """Return all entries, or only those of one operation."""
        return [entry for entry in self._calls if operation in (None, entry.operation)]

    def clear(self) -> None:
        """Remove all entries."""
        self._calls.clear()
        self._count = 0


def fingerprint(secret: str) -> str:
    """Return the first 12 hex digits of a secret's SHA-256, by which the log identifies it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:FINGERPRINT_DIGITS]


def _fingerprints(params: Mapping[str, str]) -> dict[str, str]:
    return {name: fingerprint(params[name]) for name in SECRET_PARAMETERS if params.get(name)}


def _without_secrets(path: str) -> str:
    # A client may put a token into the path by mistake.
    segments = path.split("/")
    return "/".join(
        f"sha256:{fingerprint(segment)}" if len(segment) > _LONGEST_PATH_SEGMENT or "|" in segment else segment
        for segment in segments
    )
