"""Decides whether a deploy may go live: examines the project until the Data API does everything that the code needs.

Used by the custom resource of a deploy and by `make reload-schema`. Unlike a request, a deploy can wait: for a busy or
starting database, a lost reload, or a listener that has to reconnect.
"""

import time
from collections.abc import Callable

from instagram_connect.doctor import examination
from instagram_connect.doctor.project import Project
from instagram_connect.doctor.report import RELOAD_NOT_HEARD, Report
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger
from instagram_connect.storage.diagnosis import STALE
from instagram_connect.storage.direct_connection import DatabaseError

LADDER_S = 60.0
# An examination waits five seconds for its own reload, but fails at once at a closed port.
PAUSE_S = 1.0
_CURE_LIMIT_S = 4.0


def last_report(
    project: Project,
    deadline: Deadline,
    *,
    examine: Callable[[Project], Report] = examination.examine,
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """Return as soon as everything works, waiting cannot help, or the deadline has passed.

    Halfway, a listener that ignores reloads is restarted if there is a database URL.
    """
    halfway_s = deadline.remaining_s() / 2
    is_cured = False
    while True:
        report = examine(project)  # requests a reload itself if one could help
        if report.is_working or not report.waiting_helps or deadline.remaining_s() <= 0:
            return report
        logger.warning("Not yet", cause=report.cause, remaining_s=round(deadline.remaining_s()))
        is_deaf = report.cause in (RELOAD_NOT_HEARD, STALE.reason)
        if is_deaf and deadline.remaining_s() <= halfway_s and not is_cured:
            _restart_listener(project)
            is_cured = True
        sleep(PAUSE_S)


def _restart_listener(project: Project) -> None:
    if project.database is None:
        return
    try:
        project.database.restart_listener(limit_s=_CURE_LIMIT_S)
    except DatabaseError as error:  # the role may not be allowed to
        logger.warning("Could not restart the Data API's listener", storage_code=error.code)
