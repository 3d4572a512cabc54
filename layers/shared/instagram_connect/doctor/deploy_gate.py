"""Whether what was just deployed may go live: examines again and again until the Data API does all that the code needs.

For the custom resource of a deploy and for `make reload-schema`. Unlike a request, a deploy can wait: for a database
that is busy or starting, for a reload that got lost, for a listener that has to come back.
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
# An examination waits five seconds for its own reload. One that fails at once, as at a closed port, must not be
# repeated without a pause.
PAUSE_S = 1.0
_CURE_LIMIT_S = 4.0


def last_report(
    project: Project,
    deadline: Deadline,
    *,
    examine: Callable[[Project], Report] = examination.examine,
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """That everything works, as soon as it does; what is wrong, as soon as waiting cannot help or when the time is up.

    Halfway a listener that does not hear is made to start anew, where there is a database URL.
    """
    halfway_s = deadline.remaining_s() / 2
    is_cured = False
    while True:
        report = examine(project)  # asks for a reload itself, wherever one could help
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
    except DatabaseError as error:  # the URL's role may not be allowed to; then the reloads have to do
        logger.warning("Could not restart the Data API's listener", storage_code=error.code)
