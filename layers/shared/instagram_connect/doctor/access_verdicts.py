"""Verdicts on the way to the database: address, key, project, and the state of both servers.

The most fundamental cause comes first. Nothing here makes a request. A cause is certain if its own server reported it:
Postgres about Postgres, the Data API about the Data API.
"""

import shlex
from collections.abc import Callable

from instagram_connect.doctor.cache_verdicts import SETTINGS_SQL
from instagram_connect.doctor.findings import Findings
from instagram_connect.doctor.project import BACKEND_ROLE, Project
from instagram_connect.doctor.report import NEEDS_DATABASE_URL, PROJECT_MISMATCH, PUBLISHABLE_KEY, Report, listed
from instagram_connect.errors import Actor
from instagram_connect.storage import diagnosis
from instagram_connect.storage.diagnosis import RELOAD_COMMAND
from instagram_connect.storage.schema_contract import RELOAD_FUNCTION

_ROLES_OWN_SETTINGS = ("user", "database user")
# Otherwise a read-only session refuses ALTER.
_WRITABLE_SESSION = "set session characteristics as transaction read write;"

_NETWORK = {
    "DNS": "its host name does not resolve: SUPABASE_URL is mistyped, or the project is paused or deleted",
    "TLS": "its certificate was not accepted: SUPABASE_URL is another server, or something intercepts the connection",
    "TIMEOUT": "it does not respond in time",
    "REFUSED": "nothing listens at SUPABASE_URL",
    "BROKEN": "the connection breaks",
}


def of_configuration(project: Project) -> Report | None:
    """Check address, key and database URL without a request; None if they may belong together."""
    if not project.is_addressable:
        return Report(
            diagnosis.UNREACHABLE.reason,
            "The Data API cannot be reached: SUPABASE_URL is not the address of a project. It looks "
            "like https://<project>.supabase.co, without what comes after.",
            Actor.OPERATOR,
        )
    if project.key_role not in (None, BACKEND_ROLE):
        return Report(
            PUBLISHABLE_KEY,
            f"The key is not a secret key: it is for the role {project.key_role}, which "
            "row-level security and grants keep out.",
            Actor.OPERATOR,
            _show_keys(project),
            (f"the key names the role {project.key_role}",),
        )
    for name, ref in (("the key", project.key_ref), ("the database URL", project.database_ref)):
        if ref and project.url_ref and ref != project.url_ref:
            return Report(
                PROJECT_MISMATCH,
                f"SUPABASE_URL belongs to the project {project.url_ref}, {name} to the project {ref}.",
                Actor.OPERATOR,
                _show_keys(project) if name == "the key" else f"supabase link --project-ref {project.url_ref}",
                (f"SUPABASE_URL names {project.url_ref}", f"{name} names {ref}"),
            )
    return None


def of_access(found: Findings) -> Report | None:
    """What keeps the Data API from the database, or us from the Data API; None if nothing does."""
    return next((report for ask in _VERDICTS if (report := ask(found))), None)


def _unreachable(found: Findings) -> Report | None:
    refused = found.refused_for(diagnosis.UNREACHABLE)
    if found.told or not refused or len(refused) < len(found.refusals):
        return None
    error = refused[0].error
    why = _NETWORK.get(error.network or "", f"the server there is not a Data API (HTTP {error.status})")
    if error.status and error.status >= 429:
        why = f"a gateway responds in its place (HTTP {error.status})"
    evidence = found.evidence[:1]
    if found.seen:
        evidence = (*evidence, "the database itself responds at the database URL")
    address = f"{found.project.supabase_url.rstrip('/')}/rest/v1/"
    return Report(
        diagnosis.UNREACHABLE.reason,
        f"The Data API cannot be reached: {why}.",
        Actor.OPERATOR,
        f"curl -sS -o /dev/null -w '%{{http_code}}\\n' {shlex.quote(address)}",
        evidence,
        waiting_helps=True,
    )


def _key_rejected(found: Findings) -> Report | None:
    refused = found.refused_for(diagnosis.KEY_REJECTED)
    if not refused:
        return None
    return Report(
        diagnosis.KEY_REJECTED.reason,
        "The Data API refuses the key: it is mistyped, was revoked, has expired, or belongs to another project than "
        "SUPABASE_URL.",
        Actor.OPERATOR,
        _show_keys(found.project),
        found.evidence[:2],
    )


def _taken_for_anon(found: Findings) -> Report | None:
    # For a missing privilege PostgREST returns 401 to anonymous callers and 403 to all others.
    refused = [r for r in found.refused_for(diagnosis.PERMISSION_DENIED) if r.error.status == 401]
    if not refused:
        return None
    return Report(
        PUBLISHABLE_KEY,
        "The Data API treats the backend as an anonymous visitor, whom row-level security keeps out: the key is not a "
        "secret key.",
        Actor.OPERATOR,
        _show_keys(found.project),
        found.evidence[:2],
    )


def _database_down(found: Findings) -> Report | None:
    is_url_dead = found.database_error == "unreachable" or (found.database_error or "").startswith("57P")
    # PostgREST 12 loses its cache with its connection, and reports only the cache.
    is_cache_lost = bool(found.refused_for(diagnosis.CACHE_EMPTY)) and is_url_dead
    if not found.refused_for(diagnosis.DATABASE_DOWN) and not is_cache_lost:
        return None
    if found.seen:
        sentence = "The Data API cannot reach its database, although it responds at the database URL."
    elif is_url_dead:
        sentence = "The database is down: neither the Data API nor the database URL reaches it."
    else:
        sentence = "The Data API cannot reach its database."
    is_certain = bool(found.seen) or is_url_dead
    evidence = found.evidence[:2]
    if found.database_error:
        evidence = (*evidence, f"database URL: {found.database_error}")
    return Report(
        diagnosis.DATABASE_DOWN.reason,
        f"{sentence} Look at the project's status in the dashboard.",
        Actor.OPERATOR,
        'psql "$DATABASE_URL" -c "select now();"',
        evidence,
        is_certain,
        None if is_certain else NEEDS_DATABASE_URL,
        waiting_helps=True,
    )


def _read_only(found: Findings) -> Report | None:
    refused = found.refused_for(diagnosis.READ_ONLY)
    facts = found.told if found.told and (found.told.is_read_only or found.told.is_in_recovery) else None
    # A role may be read-only on purpose, and the URL may be a replica's; neither affects the Data API.
    seen = found.seen
    if not facts and seen and seen.is_read_only and seen.read_only_source not in _ROLES_OWN_SETTINGS:
        facts = seen
    if not facts and seen and seen.is_in_recovery and refused:
        facts = seen
    if not facts and not refused:
        return None
    sentence, command = "The database accepts no writes.", "show default_transaction_read_only;"
    evidence = found.evidence[:2]
    if facts and facts.is_in_recovery:
        sentence = "The database accepts no writes: it is a standby or read replica."
        command = "select pg_is_in_recovery();"
        evidence = (*evidence, "pg_is_in_recovery() is true")
    elif facts:
        sentence = (
            "The database accepts no writes: default_transaction_read_only is on. If that is because the disk is full, "
            "free or enlarge it first: Supabase then lifts it automatically."
        )
        reset = (
            f"alter database {facts.name} reset default_transaction_read_only;"
            if facts.read_only_source == "database"
            else "alter system reset default_transaction_read_only; select pg_reload_conf();"
        )
        command = f"-- one by one: {_WRITABLE_SESSION} {reset}"
        evidence = (*evidence, f"default_transaction_read_only is on ({facts.read_only_source})")
    return Report(diagnosis.READ_ONLY.reason, sentence, Actor.OPERATOR, command, evidence, waiting_helps=True)


def _not_exposed(found: Findings) -> Report | None:
    if not found.refused_for(diagnosis.NOT_EXPOSED):
        return None
    override = found.around.exposed_schemas if found.around else None
    if override is not None:
        return Report(
            diagnosis.NOT_EXPOSED.reason,
            "The Data API does not expose the schema public: pgrst.db_schemas of the role authenticator leaves it out.",
            Actor.OPERATOR,
            f"alter role authenticator set pgrst.db_schemas = 'public, {override}'; notify pgrst, 'reload config'; "
            f"{RELOAD_COMMAND}",
            (*found.evidence[:2], f"pgrst.db_schemas of authenticator is '{override}'"),
        )
    return Report(
        diagnosis.NOT_EXPOSED.reason,
        "The Data API does not expose the schema public: add it to the exposed schemas in its settings.",
        Actor.OPERATOR,
        SETTINGS_SQL,
        found.evidence[:2],
    )


def _absent_schema(found: Findings) -> Report | None:
    absent = found.around.absent_schemas if found.around else ()
    if not absent or not found.refused_for(diagnosis.CACHE_EMPTY):
        return None
    exposed = (found.around.exposed_schemas or "").split(",") if found.around else []
    present = [name.strip() for name in exposed if name.strip() not in absent]
    return Report(
        diagnosis.CACHE_EMPTY.reason,
        f"The Data API has no schema cache: it is configured to expose the schema {listed(absent)}, which does not "
        "exist.",
        Actor.OPERATOR,
        f"alter role authenticator set pgrst.db_schemas = '{', '.join(present) or 'public'}'; "
        f"notify pgrst, 'reload config'; {RELOAD_COMMAND}",
        (*found.evidence[:2], *(f"schema {name} is exposed and does not exist" for name in absent)),
    )


def _mismatch(found: Findings) -> Report | None:
    told, seen = found.told, found.seen
    if not seen or seen.is_in_recovery:
        return None
    if told:
        is_other = not told.is_same_database(seen)
        evidence = ("the Data API's database and the one at the database URL were started at different times",)
        if told.name != seen.name:
            evidence = (f"the Data API is in database {told.name}, the database URL leads to {seen.name}",)
    else:
        # A Data API cannot serve what its database lacks.
        refused = {f"public.{refusal.name.split('.')[0]}" for refusal in found.refusals}
        absent = [*seen.missing_relations, *map(str, seen.missing_functions)]
        unasked = f"public.{RELOAD_FUNCTION}()"  # a call would hide what we are looking for
        served = [name for name in absent if name.startswith("public.") and name not in (*refused, unasked)]
        is_other = bool(served)
        evidence = (f"the Data API serves {listed(served)}, which the database at the database URL lacks",)
    if not is_other:
        return None
    return Report(
        PROJECT_MISMATCH,
        "SUPABASE_URL and the database URL lead to two different databases: migrations of one do not reach the other.",
        Actor.OPERATOR,
        'psql "$DATABASE_URL" -c "select current_database(), pg_postmaster_start_time();"',
        evidence,
    )


def _show_keys(project: Project) -> str:
    return f"supabase projects api-keys --project-ref {project.url_ref or '<project>'}"


_VERDICTS: tuple[Callable[[Findings], Report | None], ...] = (
    _unreachable,
    _key_rejected,
    _taken_for_anon,
    _database_down,
    _read_only,
    _absent_schema,
    _not_exposed,
    _mismatch,
)
