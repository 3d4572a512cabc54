"""Verdicts on the schema in the database: objects, function bodies, grants and policies.

Nothing here makes a request. PostgreSQL's catalogs decide if they are known; otherwise the Data API's answers do.
"""

from instagram_connect.doctor.catalog import Facts, MissingFunction, signature
from instagram_connect.doctor.findings import Findings
from instagram_connect.doctor.report import (
    FUNCTION_OUTDATED,
    MIGRATION_WITHOUT_OBJECTS,
    NEEDS_DATABASE_URL,
    ROW_LEVEL_SECURITY,
    Report,
    listed,
)
from instagram_connect.errors import Actor
from instagram_connect.storage import diagnosis
from instagram_connect.storage.diagnosis import Diagnosis
from instagram_connect.storage.schema_contract import FUNCTIONS, MIGRATIONS, RELATIONS, function_behind


def of_schema(found: Findings) -> Report | None:
    """What the schema lacks, regardless of the cache; None if it lacks nothing."""
    return (
        _missing_objects(found)
        or _outdated_functions(found)
        or _absent_by_answer(found)
        or _missing_grants(found)
        or _row_security(found)
    )


def _missing_objects(found: Findings) -> Report | None:
    facts = found.facts
    if not facts or facts.is_complete:
        return None
    diagnosis, what = _kind_of_absence(facts)
    relations = {*facts.missing_relations, *(column.rpartition(".")[0] for column in facts.missing_columns)}
    names = {*relations, *(function.name for function in facts.missing_functions)}
    versions = sorted(version for version, made in MIGRATIONS.items() if names & set(made))
    evidence = _absences(facts)
    recorded = found.around.recorded if found.around else None
    if recorded is None:
        return Report(
            diagnosis.reason,
            f"{what} in the database: a migration was not applied, or what it created is gone.",
            Actor.OPERATOR,
            "supabase db push",
            evidence,
            is_certain=False,
            needed_to_be_sure=f"whether {listed(versions)} is recorded as applied; {NEEDS_DATABASE_URL}",
        )
    unapplied = [version for version in versions if version not in recorded]
    if unapplied:
        # By default the CLI skips versions older than the newest recorded one.
        is_late = any(version > unapplied[0] for version in recorded)
        return Report(
            diagnosis.reason,
            f"{what} in the database: the migration {listed(unapplied)} was not applied.",
            Actor.OPERATOR,
            "supabase db push --include-all" if is_late else "supabase db push",
            (*evidence, *(f"{version} is not in supabase_migrations.schema_migrations" for version in unapplied)),
        )
    recorded_all_the_same = (
        f"{MIGRATION_WITHOUT_OBJECTS}: {version} is in supabase_migrations.schema_migrations" for version in versions
    )
    evidence = (*evidence, *recorded_all_the_same)
    absent = {*facts.missing_relations, *(f.name for f in facts.missing_functions if not f.existing)}
    is_partly_there = any(not set(MIGRATIONS[version]) <= absent for version in versions)
    is_built_upon = recorded is not None and any(version > versions[0] for version in recorded - set(versions))
    if facts.missing_columns or is_partly_there or is_built_upon:
        # Applying the migration again would fail on what is still there, or undo what a later one replaced.
        return Report(
            diagnosis.reason,
            f"{what} in the database, although the migration {listed(versions)} is recorded as applied: something "
            "removed it since, or it created nothing.",
            Actor.OPERATOR,
            f"supabase migration new restore_{min(names).rpartition('.')[2]}",
            evidence,
        )
    return Report(
        MIGRATION_WITHOUT_OBJECTS,
        f"{what} in the database, although the migration {listed(versions)} is recorded as applied: it created "
        "nothing, or did so in another database.",
        Actor.OPERATOR,
        f"supabase migration repair --status reverted {' '.join(versions)} && supabase db push --include-all",
        evidence,
    )


def _outdated_functions(found: Findings) -> Report | None:
    """Functions that exist with the body of another version: a migration that only replaces them was not applied."""
    facts = found.facts
    if not facts or not facts.changed_functions:
        return None
    names = facts.changed_functions
    what = f"The function {listed(names)} is not the one that this version of the code was written for"
    # Of each function, the migration that wrote it last.
    versions = sorted({max(version for version, made in MIGRATIONS.items() if name in made) for name in names})
    evidence = tuple(f"{FUNCTION_OUTDATED}: {name}" for name in names)
    recorded = found.around.recorded if found.around else None
    if recorded is None:
        return Report(
            FUNCTION_OUTDATED,
            f"{what}: a migration was not applied, or something else replaced it.",
            Actor.OPERATOR,
            "supabase db push",
            evidence,
            is_certain=False,
            needed_to_be_sure=f"whether {listed(versions)} is recorded as applied; {NEEDS_DATABASE_URL}",
        )
    unapplied = [version for version in versions if version not in recorded]
    if unapplied:
        is_late = any(version > unapplied[0] for version in recorded)
        return Report(
            FUNCTION_OUTDATED,
            f"{what}: the migration {listed(unapplied)} was not applied.",
            Actor.OPERATOR,
            "supabase db push --include-all" if is_late else "supabase db push",
            (*evidence, *(f"{version} is not in supabase_migrations.schema_migrations" for version in unapplied)),
        )
    return Report(
        FUNCTION_OUTDATED,
        f"{what}, although the migration {listed(versions)} is recorded as applied: a newer version of the code was "
        "deployed before, or something else replaced the function.",
        Actor.OPERATOR,
        f"supabase migration new restore_{min(names).rpartition('.')[2]}",
        evidence,
    )


def _kind_of_absence(facts: Facts) -> tuple[Diagnosis, str]:
    absent: list[str] = []
    kind = diagnosis.FUNCTION_MISSING
    if facts.missing_functions:
        absent.append(
            f"the function {listed([_function(function) for function in facts.missing_functions])} is missing"
        )
    if facts.missing_columns:
        kind = diagnosis.COLUMN_MISSING
        absent.insert(0, f"the column {listed(facts.missing_columns)} is missing")
    if facts.missing_relations:
        kind = diagnosis.TABLE_MISSING
        absent.insert(0, f"the table {listed(facts.missing_relations)} is missing")
    sentence = " and ".join(absent)
    return kind, sentence[0].upper() + sentence[1:]


def _function(function: MissingFunction) -> str:
    if not function.existing:
        return str(function)
    others = listed([signature(function.name, arguments) for arguments in function.existing])
    return f"{function} (there is {others}, with other arguments)"


def _absences(facts: Facts) -> tuple[str, ...]:
    absent = [f"TABLE_MISSING: {name}" for name in facts.missing_relations]
    absent += [f"COLUMN_MISSING: {name}" for name in facts.missing_columns]
    absent += [f"FUNCTION_MISSING: {_function(function)}" for function in facts.missing_functions]
    return tuple(absent)


def _absent_by_answer(found: Findings) -> Report | None:
    """Without the catalogs: Postgres's own error for a request that the Data API passed on."""
    if found.facts:
        return None
    for kind, what in (
        (diagnosis.TABLE_MISSING, "table"),
        (diagnosis.COLUMN_MISSING, "column"),
        (diagnosis.FUNCTION_MISSING, "function"),
    ):
        if refused := found.refused_for(kind):
            return Report(
                kind.reason,
                f"The {what} {listed([refusal.name for refusal in refused])} is missing in the database: "
                "a migration was not applied, or what it created is gone.",
                Actor.OPERATOR,
                "supabase db push",
                found.evidence,
                is_certain=False,
                needed_to_be_sure=NEEDS_DATABASE_URL,
            )
    return None


def _missing_grants(found: Findings) -> Report | None:
    refused = found.refused_for(diagnosis.PERMISSION_DENIED)
    if found.facts and found.facts.missing_grants:
        missing = found.facts.missing_grants
        lacks = [f"{', '.join(grant.privileges)} on {grant.object}" for grant in missing]
        return Report(
            diagnosis.PERMISSION_DENIED.reason,
            f"service_role lacks {listed(lacks)}.",
            Actor.OPERATOR,
            " ".join(grant.statement for grant in missing),
            (*found.evidence, "from Postgres's catalogs"),
        )
    if found.facts or not refused:
        return None
    schema = _unusable_schema({refusal.name for refusal in refused})
    return Report(
        diagnosis.PERMISSION_DENIED.reason,
        f"service_role may not use the schema {schema}."
        if schema
        else f"service_role lacks a privilege on {listed([refusal.name for refusal in refused])}.",
        Actor.OPERATOR,
        f"grant usage on schema {schema} to service_role;"
        if schema
        else " ".join(_full_grant(refusal.name) for refusal in refused),
        found.evidence,
        is_certain=False,
        needed_to_be_sure=f"which privilege it is; {NEEDS_DATABASE_URL}",
    )


def _unusable_schema(refused: set[str]) -> str | None:
    """The schema whose privileges explain that everything was refused, or everything but the relations in `public`."""
    functions = {name for name in refused if "(" in name}
    if len(functions) < len(FUNCTIONS) - 1:  # no reload is requested to find this out
        return None
    return "public" if set(RELATIONS) <= refused else "instagram_connect"


def _full_grant(name: str) -> str:
    """All that the migrations grant on a relation or function of the contract; a function calls the one behind it."""
    function, is_function, _ = name.partition("(")
    if not is_function:
        return f"grant select, insert, update, delete on table public.{name} to service_role;"
    types = ", ".join("jsonb" for _ in FUNCTIONS[function])
    inner = function_behind(function)
    return f"grant execute on function public.{function}({types}), {inner}({types}) to service_role;"


def _row_security(found: Findings) -> Report | None:
    facts = found.facts
    if not facts or facts.bypasses_row_security or not facts.protected_relations:
        return None
    return Report(
        ROW_LEVEL_SECURITY,
        "service_role has lost BYPASSRLS, so row-level security hides all rows from it and refuses its writes.",
        Actor.OPERATOR,
        "alter role service_role bypassrls;",
        (f"row-level security is on for {listed(facts.protected_relations)}", "rolbypassrls of service_role is false"),
    )
