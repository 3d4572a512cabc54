"""Verdicts on the Data API's schema cache after a reload, and those that remain if nothing else applies.

Nothing here makes a request.
"""

from instagram_connect.doctor.findings import Findings
from instagram_connect.doctor.report import (
    DATABASE_URL_UNUSABLE,
    DDL_TRIGGERS_MISSING,
    HEALTHY,
    NEEDS_DATABASE_URL,
    RELOAD_NOT_HEARD,
    Caution,
    Report,
    listed,
)
from instagram_connect.errors import Actor
from instagram_connect.storage import diagnosis
from instagram_connect.storage.diagnosis import RELOAD_COMMAND
from instagram_connect.storage.direct_connection import END_LISTENERS
from instagram_connect.storage.schema_contract import FUNCTIONS, RELATIONS

CURE = f"select pg_notification_queue_usage(); {RELOAD_COMMAND}"
# These two only: the others may include the secret that signs tokens.
SETTINGS_SQL = (
    "select setting from pg_db_role_setting, unnest(setconfig) as setting where setrole = 'authenticator'::regrole "
    "and setting ~ '^(pgrst.db_schemas|statement_timeout)=';"
)
# Hosted projects offer no restart of PostgREST alone.
_RESTART = "docker compose restart rest  # hosted: Restart project, in the dashboard's general settings"


def mended(first: Findings) -> Report:
    """The Data API knows everything since the doctor's reload."""
    if first.refused_for(diagnosis.CACHE_EMPTY):
        cause, was = diagnosis.CACHE_EMPTY.reason, "had no schema cache"
    else:
        cause, was = diagnosis.STALE.reason, "had a stale schema cache"
    names = listed([refusal.name for refusal in first.refusals])
    return Report(
        cause,
        f"The Data API {was} ({names}); the reload that this examination asked for has fixed it.",
        Actor.NOBODY,
        evidence=(*first.evidence, "after the reload: known"),
        is_mended=True,
    )


def not_mended(found: Findings, asked: tuple[str, ...]) -> Report:
    """The Data API still does not know something after the reloads in `asked`."""
    names = listed([refusal.name for refusal in found.refusals if refusal.diagnosis.reload_helps])
    evidence = (*found.evidence, *asked)
    if found.refused_for(diagnosis.CACHE_EMPTY):
        timeout = found.around.statement_timeout if found.around else None
        return Report(
            diagnosis.CACHE_EMPTY.reason,
            "The Data API has no schema cache: it cannot read the schema. Its log says why: a time-out, an exposed "
            "schema that does not exist, or a database that is down or read-only.",
            Actor.OPERATOR,
            SETTINGS_SQL,
            (*evidence, f"statement_timeout of authenticator: {timeout}") if timeout else evidence,
            is_certain=found.seen is not None,
            needed_to_be_sure=None if found.seen else NEEDS_DATABASE_URL,
            waiting_helps=True,
        )
    if not found.facts:
        return Report(
            diagnosis.STALE.reason,
            f"The Data API does not know {names} even after a reload: a migration was not applied, or it ignores "
            "reloads, or SUPABASE_URL leads to another project than the migrations were applied to.",
            Actor.OPERATOR,
            f"supabase db push; then in SQL: {CURE}",
            evidence,
            is_certain=False,
            needed_to_be_sure=NEEDS_DATABASE_URL,
            waiting_helps=True,
        )
    return _not_heard(found, names, evidence)


def _not_heard(found: Findings, names: str, evidence: tuple[str, ...]) -> Report:
    around = found.around
    # Catalogs read through the Data API are its own database's; otherwise its sessions have to show that it is.
    is_its_database = bool(found.told) or bool(around and (around.listeners or around.data_api_sessions))
    sentence = f"The Data API ignores reloads: it does not know {names}, although the database has it."
    if not is_its_database:
        sentence += " Or it belongs to another database than the database URL."
    command = CURE
    if around:
        evidence = (*evidence, _listening(around.listeners))
        # The reload over the direct connection included the cure, so a new listener is left to try.
        command = _RESTART if around.listeners == () else f"{END_LISTENERS};"
    return Report(
        RELOAD_NOT_HEARD,
        sentence,
        Actor.OPERATOR,
        command,
        evidence,
        is_certain=is_its_database,
        needed_to_be_sure=None if is_its_database else "whether SUPABASE_URL and the database URL are of one project.",
        waiting_helps=True,
    )


def _listening(listeners: tuple[str, ...] | None) -> str:
    if listeners is None:
        return "the role of the database URL cannot see who listens on pgrst"
    return f"listening on pgrst: {', '.join(listeners)}" if listeners else "no session listens on the channel pgrst"


def unexplained(found: Findings) -> Report:
    """Refusals that no other verdict explains."""
    refusal = found.refusals[0]
    return Report(
        refusal.diagnosis.reason,
        f"The Data API refuses {listed([r.name for r in found.refusals])}. {refusal.diagnosis.remedy}",
        Actor.OPERATOR,
        None,
        found.evidence,
        is_certain=False,
        needed_to_be_sure=NEEDS_DATABASE_URL if found.seen is None else "PostgREST's and Postgres's logs.",
        waiting_helps=refusal.diagnosis.waiting_helps,
    )


def healthy(found: Findings) -> Report:
    """Everything works."""
    seen = [
        f"{len(RELATIONS)} relations and {len(FUNCTIONS)} functions respond, including the one that asks for a reload"
    ]
    if found.told:
        seen.append("tables, columns, grants and policies are as the code needs them")
    return Report(HEALTHY, "The Data API does everything that the code needs.", Actor.NOBODY, evidence=tuple(seen))


def cautions(found: Findings) -> tuple[Caution, ...]:
    """Problems that do no harm yet."""
    warnings = []
    if facts := found.facts:
        for trigger, event in (("pgrst_ddl_watch", "ddl_command_end"), ("pgrst_drop_watch", "sql_drop")):
            if trigger not in facts.event_triggers:
                state = "missing"
                command = f"create event trigger {trigger} on {event} execute function extensions.{trigger}();"
            elif not facts.event_triggers[trigger]:
                state, command = "disabled", f"alter event trigger {trigger} enable;"
            else:
                continue
            warnings.append(
                Caution(
                    DDL_TRIGGERS_MISSING,
                    f"The event trigger {trigger} is {state}: a schema change does not reload the cache automatically.",
                    command,
                )
            )
    if found.around and found.around.listeners == ():
        warnings.append(
            Caution(
                RELOAD_NOT_HEARD,
                "No session listens on the channel pgrst: the next reload would be ignored.",
                _RESTART,
            )
        )
    if found.database_error:
        warnings.append(
            Caution(
                DATABASE_URL_UNUSABLE,
                f"The database URL does not work ({found.database_error}), so some checks were skipped.",
                'psql "$DATABASE_URL" -c "select 1;"',
            )
        )
    elif found.seen and found.seen.is_in_recovery:
        warnings.append(
            Caution(DATABASE_URL_UNUSABLE, "The database URL leads to a read replica, which cannot ask for reloads.")
        )
    return tuple(warnings)
