"""The gate waits where waiting can help, gives up where it cannot, and wakes a listener halfway."""

from instagram_connect.doctor.deploy_gate import PAUSE_S, last_report
from instagram_connect.doctor.project import Project
from instagram_connect.doctor.report import Report
from instagram_connect.errors import Actor
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.direct_connection import Database, DatabaseError

HEALTHY = Report("HEALTHY", "All is well.", Actor.NOBODY)
MENDED = Report("SCHEMA_CACHE_STALE", "It was stale.", Actor.NOBODY, is_mended=True)
NOT_HEARD = Report("RELOAD_NOT_HEARD", "It does not hear.", Actor.OPERATOR, waiting_helps=True)
MISSING = Report("TABLE_MISSING", "A table is missing.", Actor.OPERATOR)
EXAMINATION_S = 5.0


class DeafDatabase(Database):
    """A database whose listener is started anew when asked, unless the role may not."""

    def __init__(self, error: DatabaseError | None = None) -> None:
        super().__init__("postgresql://localhost/postgres")
        self.restarts = 0
        self.error = error

    def restart_listener(self, *, limit_s: float) -> None:
        self.restarts += 1
        if self.error:
            raise self.error


class Deploy:
    """A project whose examinations end one after the other with these reports, the last one again and again."""

    def __init__(self, *reports: Report, database: DeafDatabase | None = None) -> None:
        self.reports = reports
        self.examinations = 0
        self.now = 0.0
        self.project = Project("https://project.example.com", "sb_secret_x")
        self.project.__dict__["database"] = database

    def examine(self, _project: Project) -> Report:
        report = self.reports[min(self.examinations, len(self.reports) - 1)]
        self.examinations += 1
        self.now += EXAMINATION_S
        return report

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def ends_with(self, seconds: float = 60.0) -> Report:
        deadline = Deadline(seconds, monotonic=lambda: self.now)
        return last_report(self.project, deadline, examine=self.examine, sleep=self.sleep)


def test_what_works_passes_at_the_first_examination() -> None:
    for report in (HEALTHY, MENDED):
        deploy = Deploy(report)

        assert deploy.ends_with() is report
        assert deploy.examinations == 1


def test_what_waiting_may_end_is_examined_again_until_it_works() -> None:
    deploy = Deploy(NOT_HEARD, NOT_HEARD, MENDED)

    assert deploy.ends_with() is MENDED
    assert deploy.now == 3 * EXAMINATION_S + 2 * PAUSE_S


def test_what_waiting_cannot_end_is_given_up_at_once() -> None:
    deploy = Deploy(MISSING, HEALTHY)

    assert deploy.ends_with() is MISSING
    assert deploy.examinations == 1


def test_what_does_not_end_is_given_up_when_the_time_is_up() -> None:
    deploy = Deploy(NOT_HEARD)

    assert deploy.ends_with(60) is NOT_HEARD
    assert 60 <= deploy.now <= 60 + EXAMINATION_S + PAUSE_S


def test_a_listener_is_woken_once_halfway() -> None:
    database = DeafDatabase()
    deploy = Deploy(NOT_HEARD, database=database)
    early = Deploy(NOT_HEARD, NOT_HEARD, HEALTHY, database=DeafDatabase())

    deploy.ends_with()
    early.ends_with()

    assert database.restarts == 1
    assert isinstance(early.project.database, DeafDatabase)
    assert early.project.database.restarts == 0


def test_a_role_that_may_not_end_sessions_does_not_end_the_waiting() -> None:
    database = DeafDatabase(DatabaseError("42501"))
    deploy = Deploy(*[NOT_HEARD] * 8, HEALTHY, database=database)

    assert deploy.ends_with() is HEALTHY
    assert database.restarts == 1
