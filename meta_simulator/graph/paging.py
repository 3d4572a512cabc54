"""Cursor paging of an edge. Source: Meta, "Paginated Results"."""

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import urlencode

from meta_simulator import errors
from meta_simulator.graph.call import GraphCall

DEFAULT_LIMIT = 25
# Like Meta's, the encoded cursor starts with QVFI, the base64 of "AQH".
_CURSOR = re.compile(r"AQH:(\d+):(data|gap)")
# Not copied into paging.next: either set there, or (appsecret_proof) sent by the client with each call.
_NOT_CARRIED_OVER = frozenset({"access_token", "after", "before", "limit", "appsecret_proof"})


@dataclass(frozen=True)
class Position:
    """Where a page of results starts. A page at a gap has no items although more follow."""

    offset: int = 0
    is_gap: bool = False

    def cursor(self) -> str:
        """Return the opaque cursor that clients send back."""
        kind = "gap" if self.is_gap else "data"
        return base64.urlsafe_b64encode(f"AQH:{self.offset}:{kind}".encode()).decode()

    @classmethod
    def of(cls, cursor: str) -> "Position":
        """Parse a cursor. Raises GraphError 100 if it is invalid."""
        try:
            text = base64.urlsafe_b64decode(cursor.encode()).decode()
        except (binascii.Error, UnicodeError):
            text = ""
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise errors.invalid_parameter("Invalid cursors values")
        return cls(int(match[1]), match[2] == "gap")


@dataclass(frozen=True)
class Slice:
    """The range of items in one response, and where the next one starts."""

    start: int
    stop: int
    following: Position | None
    limit: int


def slice_of(call: GraphCall, total: int, *, max_size: int, empty_pages: bool) -> Slice:
    """Return the range that a call requests with `limit` and `after`, out of `total` items.

    With `empty_pages`, every page but the first is preceded by one without data.

    Raises GraphError 100 for an invalid limit or cursor.
    """
    limit = min(_limit(call), max_size)
    after = call.params.get("after")
    at = Position.of(after) if after else Position()
    if at.is_gap:
        return Slice(at.offset, at.offset, Position(at.offset), limit)
    stop = min(at.offset + limit, total)
    following = Position(stop, is_gap=empty_pages) if stop < total else None
    return Slice(at.offset, stop, following, limit)


def paging_block(call: GraphCall, shown: Slice, path: str) -> dict[str, object]:
    """Return {"cursors": {before, after}, "next"?}. The `next` URL contains the token, as at Meta."""
    following = shown.following or Position(shown.stop)
    block: dict[str, object] = {"cursors": {"before": Position(shown.start).cursor(), "after": following.cursor()}}
    if shown.following is not None:
        query = {"access_token": call.access_token or ""}
        query |= {name: value for name, value in call.params.items() if name not in _NOT_CARRIED_OVER}
        query |= {"limit": str(shown.limit), "after": following.cursor()}
        block["next"] = f"{call.base_url}/{call.version}/{path}?{urlencode(query)}"
    return block


def _limit(call: GraphCall) -> int:
    text = call.params.get("limit") or str(DEFAULT_LIMIT)
    if not text.isdecimal() or int(text) < 1:
        raise errors.invalid_parameter("Param limit must be an integer greater than or equal to 1")
    return int(text)
