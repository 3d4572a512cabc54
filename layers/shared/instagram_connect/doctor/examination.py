"""Finds out why the Data API does not do what the code needs, who must act and how.

The configured values are checked first, then all sides at once. If only a reload can distinguish the causes (a stale
cache from one that ignores reloads), or to check that a reload can be requested, it requests one. It does nothing else
to a project.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from instagram_connect.doctor.access_verdicts import of_access, of_configuration
from instagram_connect.doctor.cache_verdicts import cautions, healthy, mended, not_mended, unexplained
from instagram_connect.doctor.contract_check import refusals, refused_reload
from instagram_connect.doctor.findings import Findings, look
from instagram_connect.doctor.project import Project
from instagram_connect.doctor.report import Report
from instagram_connect.doctor.schema_verdicts import of_schema
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.direct_connection import DatabaseError
from instagram_connect.storage.schema_cache import SchemaCache

# A reload takes a tenth of a second, or seconds for a schema of thousands of tables.
WAITING_S = 5.0
_PROBE_INTERVAL_S = 0.2
_PROBE_S = 2.0


def examine(
    project: Project,
    *,
    waiting_s: float = WAITING_S,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """Report the one cause, or that there is none. Waits at most `waiting_s` for a reload, plus 20 s if calls hang."""
    report = of_configuration(project)
    if report:
        return report
    found, report = _look(project)
    if not report and _a_reload_may_help(found):
        first = found
        asked = _ask_for_reload(project)
        _wait(project, Deadline(waiting_s, monotonic=monotonic), sleep)
        found, report = _look(project)
        if not report and not found.refusals:
            report = mended(first)
        if not report and _a_reload_may_help(found):
            report = not_mended(found, asked)
    if not report:
        report = unexplained(found) if found.refusals else healthy(found)
    return replace(report, warnings=cautions(found))


def _look(project: Project) -> tuple[Findings, Report | None]:
    """Findings and the verdict on them. Whether a reload can be requested is checked only if all else works."""
    found = look(project)
    report = of_access(found) or of_schema(found)
    if not report and not found.refusals:
        found = replace(found, refusals=refused_reload(project.data_api, limit_s=_PROBE_S))
    return found, report


def _a_reload_may_help(found: Findings) -> bool:
    return any(refusal.diagnosis.reload_helps for refusal in found.refusals)


def _ask_for_reload(project: Project) -> tuple[str, ...]:
    """Request a reload in every available way; return the ways for the report."""
    asked = []
    if SchemaCache(project.data_api).ask_for_reload():
        asked.append("a reload was asked for through the Data API")
    if project.database:
        try:
            project.database.reload_schema_cache(limit_s=_PROBE_S)
            asked.append("a reload was asked for in SQL, after moving the notification queue")
        except DatabaseError as error:
            asked.append(f"no reload could be asked for in SQL ({error})")
    return tuple(asked) or ("no reload could be asked for: the Data API does not know the function for it",)


def _wait(project: Project, deadline: Deadline, sleep: Callable[[float], None]) -> None:
    """Wait until a reload would change nothing, or until the deadline."""
    while deadline.remaining_s() > 0:
        sleep(_PROBE_INTERVAL_S)
        refused = refusals(project.data_api, limit_s=_PROBE_S)
        if not any(refusal.diagnosis.reload_helps for refusal in refused):
            return
