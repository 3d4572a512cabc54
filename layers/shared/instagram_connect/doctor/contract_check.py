"""Checks that the Data API knows the schema contract and lets us read, write and call all of it.

Nothing is written: an insert of no rows names all columns, a read returns no rows, and a function called with null does
nothing, except for the one that requests a reload. Each needs the same privileges, and the same entry in the schema
cache, as a real request.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from instagram_connect.storage.data_api import DataApi, DataApiError
from instagram_connect.storage.diagnosis import COLUMN_MISSING, Diagnosis, diagnose
from instagram_connect.storage.schema_cache import call_with_nothing
from instagram_connect.storage.schema_contract import FUNCTIONS, RELATIONS, RELOAD_FUNCTION


@dataclass(frozen=True)
class Refusal:
    """A part of the contract that the Data API refused, and why.

    `name` is a relation, a relation with missing columns (`t.a, t.b`), or a function with its arguments (`f(x)`).
    """

    name: str
    diagnosis: Diagnosis
    error: DataApiError

    def __str__(self) -> str:
        return f"{self.name}: {self.diagnosis.reason} ({self.error})"


def refusals(data_api: DataApi, *, limit_s: float) -> tuple[Refusal, ...]:
    """Everything in the contract that the Data API refuses, one entry for each relation and function.

    The function that requests a reload is left out, because calling it would hide what we look for: see
    `refused_reload`.
    """
    questions: list[Callable[[], Refusal | None]] = [
        partial(_refused_relation, data_api, relation, columns, limit_s) for relation, columns in RELATIONS.items()
    ]
    questions += [
        partial(_refused_function, data_api, function, limit_s) for function in FUNCTIONS if function != RELOAD_FUNCTION
    ]
    # In parallel, so that a Data API that hangs costs one time limit in all.
    with ThreadPoolExecutor(len(questions)) as threads:
        answers = threads.map(lambda ask: ask(), questions)
        return tuple(refusal for refusal in answers if refusal)


def refused_reload(data_api: DataApi, *, limit_s: float) -> tuple[Refusal, ...]:
    """The refusal of a reload, if it was refused; otherwise a reload was requested."""
    refusal = _refused_function(data_api, RELOAD_FUNCTION, limit_s)
    return (refusal,) if refusal else ()


def _refused_relation(data_api: DataApi, relation: str, columns: tuple[str, ...], limit_s: float) -> Refusal | None:
    try:
        # Reads first: they look columns up in Postgres; a write only shows that the cache lacks one.
        data_api.read_nothing(relation, columns, limit_s=limit_s)
        data_api.insert_nothing(relation, columns, limit_s=limit_s)
    except DataApiError as error:
        diagnosis = diagnose(error)
        missing = _missing_columns(data_api, relation, columns, limit_s) if diagnosis is COLUMN_MISSING else []
        return Refusal(", ".join(missing) or relation, diagnosis, error)
    return None


def _missing_columns(data_api: DataApi, relation: str, columns: tuple[str, ...], limit_s: float) -> list[str]:
    missing = []
    for column in columns:
        try:
            data_api.read_nothing(relation, (column,), limit_s=limit_s)
        except DataApiError as error:
            if diagnose(error) is COLUMN_MISSING:
                missing.append(f"{relation}.{column}")
    return missing


def _refused_function(data_api: DataApi, function: str, limit_s: float) -> Refusal | None:
    try:
        call_with_nothing(data_api, function, limit_s=limit_s)
    except DataApiError as error:
        return Refusal(f"{function}({', '.join(FUNCTIONS[function])})", diagnose(error), error)
    return None
