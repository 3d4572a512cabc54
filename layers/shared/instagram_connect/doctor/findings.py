"""Examines a project from all sides at once: the contract, the database behind the Data API, the database itself."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from instagram_connect.doctor.catalog import Facts, Surroundings, facts_of, facts_through
from instagram_connect.doctor.contract_check import Refusal, refusals
from instagram_connect.doctor.project import Project
from instagram_connect.storage.data_api import DataApiError
from instagram_connect.storage.diagnosis import Diagnosis
from instagram_connect.storage.direct_connection import DatabaseError

_MOST_EVIDENCE = 8
# Responses take milliseconds, but requests wait while a schema cache is being read.
_LIMIT_S = 4.0


@dataclass(frozen=True)
class Findings:
    """What was found out in one look.

    `told` is what the database behind the Data API says, `seen` and `around` what the database at the database URL
    says; `database_error` is why that one did not answer, its SQLSTATE or `unreachable`.
    """

    project: Project
    refusals: tuple[Refusal, ...]
    told: Facts | None
    seen: Facts | None = None
    around: Surroundings | None = None
    database_error: str | None = None

    @property
    def facts(self) -> Facts | None:
        """The best that is known of the database behind the Data API."""
        return self.told or self.seen

    def refused_for(self, *diagnoses: Diagnosis) -> list[Refusal]:
        """The refusals with one of these causes."""
        return [refusal for refusal in self.refusals if refusal.diagnosis in diagnoses]

    @property
    def evidence(self) -> tuple[str, ...]:
        """The Data API's refusals, by name and code."""
        seen = [f"{refusal.name}: {refusal.error}" for refusal in self.refusals]
        more = [f"and {len(seen) - _MOST_EVIDENCE} more"] if len(seen) > _MOST_EVIDENCE else []
        return (*seen[:_MOST_EVIDENCE], *more)


def look(project: Project) -> Findings:
    """What can be found out now. Takes nine seconds at worst, where nobody answers."""
    with ThreadPoolExecutor(3) as threads:
        refused = threads.submit(refusals, project.data_api, limit_s=_LIMIT_S)
        told = threads.submit(_told, project)
        seen = threads.submit(_seen, project)
        facts, around, error = seen.result()
        return Findings(project, refused.result(), told.result(), facts, around, error)


def _told(project: Project) -> Facts | None:
    try:
        return facts_through(project.data_api, limit_s=_LIMIT_S)
    except DataApiError:
        # The contract holds that function too: why it did not answer is among the refusals.
        return None


def _seen(project: Project) -> tuple[Facts | None, Surroundings | None, str | None]:
    if project.database is None:
        return None, None, None
    try:
        return (*facts_of(project.database, limit_s=_LIMIT_S), None)
    except DatabaseError as error:
        return None, None, str(error)
