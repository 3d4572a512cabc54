"""Diagnose a failed Data API call: the cause, who must act, and whether waiting or a reload helps.

Sources: PostgREST's "Errors" and "Schema Cache" references, and Postgres's "Error Codes". The error code decides, or
the HTTP status if something in front of PostgREST responded; never the text.
"""

from dataclasses import dataclass

from instagram_connect.errors import Actor, StorageError
from instagram_connect.storage.data_api import DataApiError

RELOAD_COMMAND = "notify pgrst, 'reload schema';"


@dataclass(frozen=True)
class Diagnosis:
    """A cause, who must act, and what the operator does.

    `waiting_helps`: the same request may succeed later. `reload_helps`: reloading the schema cache may be enough.
    """

    reason: str
    actor: Actor
    waiting_helps: bool
    remedy: str
    reload_helps: bool = False


STALE = Diagnosis(
    "SCHEMA_CACHE_STALE",
    Actor.OPERATOR,
    True,
    f"Run in SQL: {RELOAD_COMMAND} If that does not help, run make doctor to find out why.",
    reload_helps=True,
)
CACHE_EMPTY = Diagnosis(
    "SCHEMA_CACHE_EMPTY",
    Actor.OPERATOR,
    True,
    "PostgREST cannot read the schema. Check its log for a missing exposed schema or a timeout.",
    reload_helps=True,
)
SCHEMA_CHANGING = Diagnosis(
    "SCHEMA_CHANGING", Actor.NOBODY, True, "Nothing, unless it persists: a migration is in progress.", reload_helps=True
)
TABLE_MISSING = Diagnosis("TABLE_MISSING", Actor.OPERATOR, False, "Apply the migrations: supabase db push")
COLUMN_MISSING = Diagnosis("COLUMN_MISSING", Actor.OPERATOR, False, "Apply the migrations: supabase db push")
FUNCTION_MISSING = Diagnosis("FUNCTION_MISSING", Actor.OPERATOR, False, "Apply the migrations: supabase db push")
SCHEMA_DEFECT = Diagnosis(
    "SCHEMA_DEFECT",
    Actor.OPERATOR,
    False,
    "A function does not match the tables: compare the database with the migrations.",
)
NOT_EXPOSED = Diagnosis(
    "SCHEMA_NOT_EXPOSED",
    Actor.OPERATOR,
    False,
    "Add the schema public to the exposed schemas in the project's Data API settings.",
)
PERMISSION_DENIED = Diagnosis(
    "PERMISSION_DENIED",
    Actor.OPERATOR,
    False,
    "Give service_role the grants in the migrations, and use the secret key; make doctor names the grant.",
)
KEY_REJECTED = Diagnosis(
    "KEY_REJECTED",
    Actor.OPERATOR,
    False,
    "Put a valid secret key of this project into the secret named …/supabase.",
)
PROJECT_RESTRICTED = Diagnosis(
    "PROJECT_RESTRICTED", Actor.OPERATOR, False, "Check quota and billing in the Supabase dashboard."
)
MISCONFIGURED = Diagnosis(
    "DATA_API_MISCONFIGURED", Actor.OPERATOR, False, "PostgREST has no JWT secret: check the project's API settings."
)
DATABASE_DOWN = Diagnosis(
    "DATABASE_UNAVAILABLE", Actor.NOBODY, True, "Check the project's status in the Supabase dashboard."
)
DATABASE_BUSY = Diagnosis(
    "DATABASE_BUSY",
    Actor.NOBODY,
    True,
    "Nothing, unless it persists: then look for slow queries, locks and exhausted pools.",
)
READ_ONLY = Diagnosis(
    "DATABASE_READ_ONLY",
    Actor.OPERATOR,
    False,
    "The database accepts no writes: add disk space, or send writes to the primary.",
)
DATABASE_FAILED = Diagnosis(
    "DATABASE_FAILED", Actor.OPERATOR, True, "Look up the code in Postgres's list of error codes, and check its log."
)
DATABASE_DEFECT = Diagnosis(
    "DATABASE_DEFECT",
    Actor.OPERATOR,
    False,
    "Look up the code in Postgres's list of error codes: a retry fails the same way.",
)
UNREACHABLE = Diagnosis("DATA_API_UNREACHABLE", Actor.NOBODY, True, "Check SUPABASE_URL and the project's status.")
REJECTED = Diagnosis(
    "DATA_REJECTED",
    Actor.OPERATOR,
    False,
    "The data violated a constraint of the schema: compare the code with the migrations.",
)
OWNER_MISSING = Diagnosis(
    "OWNER_MISSING", Actor.USER, False, "Nothing: the user was deleted, and their data with them."
)
PERSON_DELETED = Diagnosis(
    "PERSON_DELETED",
    Actor.USER,
    False,
    "Nothing: the person asked Meta to delete their data; they may log in again.",
)
REQUEST_REJECTED = Diagnosis(
    "REQUEST_REJECTED", Actor.OPERATOR, False, "A bug in this product: look up the code in PostgREST's error reference."
)
UNEXPECTED = Diagnosis("UNEXPECTED_ANSWER", Actor.OPERATOR, False, "Look up the code in PostgREST's error reference.")

# The longest matching prefix wins.
DIAGNOSES_BY_CODE_PREFIX = {
    "PGRST000": DATABASE_DOWN,
    "PGRST001": DATABASE_DOWN,
    "PGRST002": CACHE_EMPTY,
    "PGRST003": DATABASE_BUSY,
    "PGRST1": REQUEST_REJECTED,
    "PGRST106": NOT_EXPOSED,
    "PGRST2": REQUEST_REJECTED,
    "PGRST200": STALE,
    "PGRST202": STALE,
    "PGRST204": STALE,
    "PGRST205": STALE,
    "PGRST3": KEY_REJECTED,
    "PGRST300": MISCONFIGURED,
    "PGRSTX": DATABASE_FAILED,
    "08": DATABASE_DOWN,
    "09": DATABASE_DEFECT,
    "0A000": SCHEMA_CHANGING,  # "cached plan must not change result type", until the pool is renewed
    "0L": PERMISSION_DENIED,
    "0P": PERMISSION_DENIED,
    "21": REQUEST_REJECTED,
    "22": REJECTED,
    "23": REJECTED,
    "23503": OWNER_MISSING,
    "25": DATABASE_DEFECT,
    "25006": READ_ONLY,
    "28": PERMISSION_DENIED,
    "2D": DATABASE_DEFECT,
    "38": DATABASE_DEFECT,
    "39": DATABASE_DEFECT,
    "3B": DATABASE_DEFECT,
    "3F": SCHEMA_DEFECT,
    "40": DATABASE_BUSY,
    "42": SCHEMA_DEFECT,
    "42501": PERMISSION_DENIED,
    "42703": COLUMN_MISSING,
    "42883": FUNCTION_MISSING,
    "42P01": TABLE_MISSING,
    "53": DATABASE_BUSY,
    "54": DATABASE_DEFECT,
    "55": DATABASE_BUSY,
    "57": DATABASE_BUSY,
    "57P": DATABASE_DOWN,
    "58": DATABASE_FAILED,
    "F0": DATABASE_DEFECT,
    "HV": DATABASE_DEFECT,
    "P0": REJECTED,
    "PT": REJECTED,
    "PT410": PERSON_DELETED,  # ours: refuse_deleted_person()
    "XX": DATABASE_FAILED,
}
# For responses without a code: from the gateway, a proxy, or PostgREST about something it does not know.
DIAGNOSES_BY_STATUS = {401: KEY_REJECTED, 402: PROJECT_RESTRICTED, 403: KEY_REJECTED}


def diagnose(error: DataApiError) -> Diagnosis:
    """Return the cause of a failed call."""
    if error.code == "22023" and error.status == 401:
        return KEY_REJECTED  # the key names a role missing from the database; with another status, a bad parameter
    if error.code is not None:
        prefixes = (error.code[:length] for length in range(len(error.code), 1, -1))
        return next((DIAGNOSES_BY_CODE_PREFIX[p] for p in prefixes if p in DIAGNOSES_BY_CODE_PREFIX), UNEXPECTED)
    # No response, or a gateway's on behalf of a server that did not respond.
    if error.status is None or error.status >= 500 or error.status == 429:
        return UNREACHABLE
    if error.status == 404:
        # PostgREST 12 returns `{}` or nothing for a write to what its cache does not know; a page is another server's.
        return STALE if error.is_empty else UNREACHABLE
    return DIAGNOSES_BY_STATUS.get(error.status, UNEXPECTED)


def storage_error(error: DataApiError, operation: str, details: str | None = None) -> StorageError:
    """Build the error for a failed `operation` (a function or table name). `details` are shown to people."""
    diagnosis = diagnose(error)
    context = {
        "storage_operation": operation,
        "storage_code": error.code or error.network,
        "storage_status": error.status,
        "storage_hint": error.hint,
        "remedy": diagnosis.remedy,
    }
    return StorageError(
        details,
        reason=diagnosis.reason,
        actor=diagnosis.actor,
        recoverable=diagnosis.waiting_helps,
        log_context={name: value for name, value in context.items() if value is not None},
    )
