"""The doctor's report: one cause, who must act and how, and how certain it is. Contains no row, key or password."""

from dataclasses import asdict, dataclass
from typing import Any

from instagram_connect.errors import Actor

HEALTHY = "HEALTHY"
RELOAD_NOT_HEARD = "RELOAD_NOT_HEARD"
ROW_LEVEL_SECURITY = "ROW_LEVEL_SECURITY"
PUBLISHABLE_KEY = "PUBLISHABLE_KEY"
PROJECT_MISMATCH = "PROJECT_MISMATCH"
MIGRATION_WITHOUT_OBJECTS = "MIGRATION_WITHOUT_OBJECTS"
FUNCTION_OUTDATED = "FUNCTION_OUTDATED"
DDL_TRIGGERS_MISSING = "DDL_TRIGGERS_MISSING"
DATABASE_URL_UNUSABLE = "DATABASE_URL_UNUSABLE"

NEEDS_DATABASE_URL = "a database URL (DATABASE_URL), to query Postgres itself."

_CUT = " …"


@dataclass(frozen=True)
class Caution:
    """A problem that does no harm yet."""

    cause: str
    sentence: str
    command: str | None = None


@dataclass(frozen=True)
class Report:
    """What is wrong, or that nothing is wrong.

    `cause` is a reason of storage.diagnosis or one of those above; `command` is SQL or a shell command, None when there
    is nothing to run. If `is_certain` is false, `needed_to_be_sure` says what would settle it. `waiting_helps`: the
    cause may pass. `is_mended`: the doctor's reload has fixed it.
    """

    cause: str
    sentence: str
    actor: Actor
    command: str | None = None
    evidence: tuple[str, ...] = ()
    is_certain: bool = True
    needed_to_be_sure: str | None = None
    warnings: tuple[Caution, ...] = ()
    waiting_helps: bool = False
    is_mended: bool = False

    @property
    def is_working(self) -> bool:
        """Whether the Data API now does everything that the code needs."""
        return self.cause == HEALTHY or self.is_mended

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return asdict(self)

    def short(self, limit: int) -> str:
        """The report as one text of at most `limit` characters: cause, sentence, command, and what would settle it."""
        parts = [f"{self.cause}: {self.sentence}"]
        if self.command:
            parts.append(f"Run: {self.command}")
        if not self.is_certain and self.needed_to_be_sure:
            parts.append(f"To be sure: {self.needed_to_be_sure}")
        text = " ".join(parts)
        return text if len(text) <= limit else text[: limit - len(_CUT)] + _CUT


def listed(names: list[str] | tuple[str, ...], most: int = 6) -> str:
    """Names separated by commas, at most `most` of them."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
