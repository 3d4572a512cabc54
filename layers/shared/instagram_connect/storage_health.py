"""What an answer of the Data API means, and whether the Data API knows the schema that the code needs.

Sources: PostgREST's "Errors" and "Schema Cache" references. Decisions are made by code. The texts of PostgREST and
Postgres stay in this module: `details` of a constraint violation holds the whole failing row.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
from postgrest import APIError, ReturnMethod, SyncPostgrestClient

from .errors import Actor, StorageError
from .schema_contract import FUNCTIONS, RELATIONS

RELOAD_COMMAND = "notify pgrst, 'reload schema';"


@dataclass(frozen=True)
class Diagnosis:
    """A cause, who must act, whether the same request may succeed later unchanged, and what the operator does.

    `reload_helps`: the Data API may only have to read the schema again.
    """

    reason: str
    actor: Actor
    waiting_helps: bool
    remedy: str
    reload_helps: bool = False


STALE = Diagnosis("SCHEMA_CACHE_STALE", Actor.OPERATOR, True, f"Run in SQL: {RELOAD_COMMAND}", reload_helps=True)
CACHE_EMPTY = Diagnosis(
    "SCHEMA_CACHE_EMPTY",
    Actor.OPERATOR,
    True,
    "PostgREST cannot read the schema. Look for a missing exposed schema or a time-out in its log.",
)
OBJECT_MISSING = Diagnosis("SCHEMA_OBJECT_MISSING", Actor.OPERATOR, False, "Apply the migrations: supabase db push")
PERMISSION_DENIED = Diagnosis(
    "PERMISSION_DENIED",
    Actor.OPERATOR,
    False,
    "Grant service_role what the migrations grant, and check that SUPABASE_URL and secret key are of one project.",
)
KEY_REJECTED = Diagnosis(
    "KEY_REJECTED",
    Actor.OPERATOR,
    False,
    "Put a valid secret key of this project into the deployment's secret.",
)
DATABASE_DOWN = Diagnosis(
    "DATABASE_UNAVAILABLE", Actor.NOBODY, True, "Look at the project's status in the Supabase dashboard."
)
UNREACHABLE = Diagnosis("DATA_API_UNREACHABLE", Actor.NOBODY, True, "Check SUPABASE_URL and the project's status.")
REJECTED = Diagnosis(
    "DATA_REJECTED",
    Actor.OPERATOR,
    False,
    "The data broke a rule of the schema: compare code and migrations.",
)
UNEXPECTED = Diagnosis("UNEXPECTED_ANSWER", Actor.OPERATOR, False, "Look up the code in PostgREST's error table.")

# The longest matching prefix decides.
DIAGNOSES_BY_CODE_PREFIX = {
    "PGRST000": DATABASE_DOWN,
    "PGRST001": DATABASE_DOWN,
    "PGRST002": CACHE_EMPTY,
    "PGRST003": DATABASE_DOWN,
    "PGRST106": PERMISSION_DENIED,
    "PGRST200": STALE,
    "PGRST202": STALE,
    "PGRST204": STALE,
    "PGRST205": STALE,
    "PGRST3": KEY_REJECTED,
    "08": DATABASE_DOWN,
    "22": REJECTED,
    "23": REJECTED,
    "25006": DATABASE_DOWN,
    "28": KEY_REJECTED,
    "40": DATABASE_DOWN,
    "42501": PERMISSION_DENIED,
    "42703": OBJECT_MISSING,
    "42883": OBJECT_MISSING,
    "42P01": OBJECT_MISSING,
    "53": DATABASE_DOWN,
    "55": DATABASE_DOWN,
    "57": DATABASE_DOWN,
    "P0001": REJECTED,
}
# Without a JSON body the client gives the HTTP status as the code.
DIAGNOSES_BY_STATUS = {"401": KEY_REJECTED, "403": KEY_REJECTED, "404": STALE}


def diagnose(error: APIError | httpx.TransportError) -> Diagnosis:
    """The cause behind an exception of the Data API client."""
    if isinstance(error, httpx.TransportError):
        return UNREACHABLE
    code = _code(error)
    if not code:
        return _diagnose_without_code(error)
    if len(code) == 3 and code.isdigit():
        return DIAGNOSES_BY_STATUS.get(code, UNREACHABLE if code >= "500" else UNEXPECTED)
    prefixes = (code[:length] for length in range(len(code), 1, -1))
    return next((DIAGNOSES_BY_CODE_PREFIX[p] for p in prefixes if p in DIAGNOSES_BY_CODE_PREFIX), UNEXPECTED)


def _diagnose_without_code(error: APIError) -> Diagnosis:
    # The client drops the HTTP status of a JSON body without a code, so its text is all there is.
    if not error.message:  # `{}`: how PostgREST 12 answers a write to something that its cache does not know
        return STALE
    return KEY_REJECTED if "API key" in error.message else UNREACHABLE  # Supabase's gateway


def storage_error(error: APIError | httpx.TransportError, operation: str, details: str | None = None) -> StorageError:
    """The error to raise for a failed `operation`; `details` are for people.

    Raise it `from None`: the original's text can hold a whole row.
    """
    diagnosis = diagnose(error)
    return StorageError(
        details,
        reason=diagnosis.reason,
        actor=diagnosis.actor,
        recoverable=diagnosis.waiting_helps,
        log_context={
            "storage_operation": operation,
            "storage_code": _code(error) if isinstance(error, APIError) else type(error).__name__,
            "remedy": diagnosis.remedy,
        },
    )


def call_with_nothing(data_api: SyncPostgrestClient, function: str) -> None:
    """Calls a function so that it does nothing, and is yet looked up and checked for grants like any other call."""
    nothing: dict[str, Any] = dict.fromkeys(FUNCTIONS[function])
    data_api.rpc(function, nothing).execute()


def unknown_to_the_data_api(data_api: SyncPostgrestClient) -> list[str]:
    """Asks the Data API for everything in the schema contract; one line for each thing that it refuses.

    Nothing is written: an insert of no rows names all columns, and a function called with null does nothing.
    Unlike a GET this tells the truth in every PostgREST version, and it needs the same privileges as a real write.
    """
    questions: list[tuple[str, Callable[[], object]]] = []
    for relation, columns in RELATIONS.items():
        insert = data_api.from_(relation).insert([], returning=ReturnMethod.minimal)
        insert.request.params = insert.request.params.add("columns", ",".join(columns))
        questions.append((relation, insert.execute))
    for function, arguments in FUNCTIONS.items():
        ask = partial(call_with_nothing, data_api, function)
        questions.append((f"{function}({', '.join(arguments)})", ask))
    # Side by side, so that a Data API that hangs costs one time-out and not one for each question.
    with ThreadPoolExecutor(len(questions)) as threads:
        refusals = threads.map(_refusal, [ask for _, ask in questions])
    return [f"{name}: {refusal}" for (name, _), refusal in zip(questions, refusals, strict=True) if refusal]


def _refusal(ask: Callable[[], object]) -> str | None:
    try:
        ask()
    except (APIError, httpx.TransportError) as error:
        code = _code(error) if isinstance(error, APIError) else type(error).__name__
        return f"{diagnose(error).reason} ({code})"
    return None


def _code(error: APIError) -> str:
    return str(error.code or "")
