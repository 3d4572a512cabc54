"""What Postgres's catalogs say about the schema contract: the facts behind an answer of the Data API.

They come through the Data API, from describe_schema(), or over a direct connection, where the function need not exist
and where more can be seen. Nothing is read but catalogs and the names of applied migrations.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.direct_connection import IS_LISTENING, Database
from instagram_connect.storage.schema_contract import DESCRIBE_FUNCTION, FUNCTIONS, INTERNAL_FUNCTIONS, RELATIONS

CONTRACT: Mapping[str, Any] = {"relations": RELATIONS, "functions": {**FUNCTIONS, **INTERNAL_FUNCTIONS}}
EVENT_TRIGGERS = ("pgrst_ddl_watch", "pgrst_drop_watch")

# The same statement as in describe_schema(); a test compares the answers.
FACTS_SQL = """
with
asked as (
  select
    cast(:contract as jsonb) as contract,
    (select oid from pg_namespace where nspname = 'public') as schema,
    (select oid from pg_roles where rolname = 'service_role') as backend
),
relations as (
  select wanted.key as name, wanted.value as columns, class.oid, class.relrowsecurity as is_protected
  from asked
  cross join jsonb_each(asked.contract -> 'relations') as wanted
  left join pg_class as class
    on class.relnamespace = asked.schema and class.relname = wanted.key and class.relkind in ('r', 'p', 'v', 'm', 'f')
),
columns as (
  select relations.name as relation, wanted.name
  from relations
  cross join jsonb_array_elements_text(relations.columns) as wanted (name)
  where relations.oid is not null and not exists (
    select from pg_attribute
    where attrelid = relations.oid and attname = wanted.name and attnum > 0 and not attisdropped
  )
),
functions as (
  select
    wanted.key as name, wanted.value as arguments, proc.oid,
    to_jsonb(coalesce(proc.proargnames, '{}')) as existing
  from asked
  cross join jsonb_each(asked.contract -> 'functions') as wanted
  left join pg_proc as proc on proc.pronamespace = asked.schema and proc.proname = wanted.key
),
absent_functions as (
  select name, arguments, coalesce(jsonb_agg(existing order by existing) filter (where oid is not null), '[]') as others
  from functions
  group by name, arguments
  having not coalesce(bool_or(oid is not null and existing = arguments), false)
),
ungranted as (
  select 1 as position, 'schema public' as object, array['usage'] as privileges
  from asked
  where not has_schema_privilege(backend, schema, 'usage')
  union all
  select 2, format('table public.%I', relations.name), array_agg(privilege.name order by privilege.position)
  from asked
  cross join relations
  cross join unnest(array['select', 'insert', 'update', 'delete']) with ordinality as privilege (name, position)
  where not has_table_privilege(asked.backend, relations.oid, privilege.name)
  group by relations.name
  union all
  select 3, format('function public.%I(%s)', name, pg_get_function_identity_arguments(oid)), array['execute']
  from asked
  cross join functions
  where existing = arguments and not has_function_privilege(asked.backend, oid, 'execute')
)
select jsonb_build_object(
  'database', jsonb_build_object(
    'name', current_database(),
    'started_at', extract(epoch from pg_postmaster_start_time())
  ),
  'is_in_recovery', pg_is_in_recovery(),
  'is_read_only', current_setting('default_transaction_read_only') = 'on',
  'read_only_source', (select source from pg_settings where name = 'default_transaction_read_only'),
  'bypasses_row_security', (
    select rolbypassrls or rolsuper from pg_roles cross join asked where pg_roles.oid = asked.backend
  ),
  'protected_relations', (
    select coalesce(jsonb_agg(name order by name) filter (where is_protected), '[]') from relations
  ),
  'missing_relations', (
    select coalesce(jsonb_agg(name order by name) filter (where oid is null), '[]') from relations
  ),
  'missing_columns', (
    select coalesce(jsonb_agg(relation || '.' || name order by relation, name), '[]') from columns
  ),
  'missing_functions', (
    select coalesce(
      jsonb_agg(
        jsonb_build_object('name', name, 'arguments', arguments, 'existing', others) order by name
      ),
      '[]'
    )
    from absent_functions
  ),
  'missing_grants', (
    select coalesce(
      jsonb_agg(jsonb_build_object('object', object, 'privileges', privileges) order by position, object),
      '[]'
    )
    from ungranted
  ),
  'event_triggers', (
    select coalesce(jsonb_object_agg(evtname, evtenabled in ('O', 'A')), '{}')
    from pg_event_trigger
    where evtname in ('pgrst_ddl_watch', 'pgrst_drop_watch')
  )
)
"""

# What only a direct connection may see: other sessions, and how the Data API's own role is set up.
_SURROUNDINGS_SQL = f"""
with
settings as (
  select split_part(setting, '=', 1) as name, substr(setting, strpos(setting, '=') + 1) as value, setdatabase
  from pg_db_role_setting
  cross join unnest(setconfig) as setting
  where setrole = (select oid from pg_roles where rolname = 'authenticator')
    and setdatabase in (0, (select oid from pg_database where datname = current_database()))
),
-- A setting of the role in this database goes before one of the role everywhere.
effective as (select distinct on (name) name, value from settings order by name, setdatabase desc),
exposed as (
  select trim(part) as name
  from effective
  cross join unnest(string_to_array(value, ',')) as part
  where effective.name = 'pgrst.db_schemas'
)
select jsonb_build_object(
  'listeners', (
    select coalesce(jsonb_agg(coalesce(nullif(application_name, ''), 'without a name') order by backend_start), '[]')
    from pg_stat_activity
    where {IS_LISTENING}
  ),
  -- Without pg_read_all_stats the queries of other roles are hidden, and with them who listens.
  'hides_sessions', exists (
    select from pg_stat_activity
    where datname = current_database() and query = '<insufficient privilege>'
  ),
  'data_api_sessions', (
    select count(*)
    from pg_stat_activity
    where datname = current_database() and (usename = 'authenticator' or application_name ilike 'postgrest%')
  ),
  'exposed_schemas', (select value from effective where name = 'pgrst.db_schemas'),
  'absent_schemas', (
    select coalesce(jsonb_agg(name order by name), '[]')
    from exposed
    where name not in (select nspname from pg_namespace)
  ),
  'statement_timeout', (select value from effective where name = 'statement_timeout'),
  'has_history', exists (
    select from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = 'supabase_migrations' and relname = 'schema_migrations'
      and has_schema_privilege(pg_namespace.oid, 'usage') and has_table_privilege(pg_class.oid, 'select')
  )
)
"""  # noqa: S608 - a constant of ours
_HISTORY_SQL = "select version from supabase_migrations.schema_migrations"


@dataclass(frozen=True)
class MissingFunction:
    """A function of the contract, its arguments there, and those of the functions of that name that do exist."""

    name: str
    arguments: tuple[str, ...]
    existing: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return signature(self.name, self.arguments)


@dataclass(frozen=True)
class MissingGrant:
    """Privileges that service_role lacks on an object, both as a GRANT spells them."""

    object: str
    privileges: tuple[str, ...]

    @property
    def statement(self) -> str:
        """What grants it."""
        return f"grant {', '.join(self.privileges)} on {self.object} to service_role;"


@dataclass(frozen=True)
class Facts:
    """What one database says.

    `started_at` is its server's start in seconds since 1970; with the name it tells databases apart. `read_only_source`
    is where default_transaction_read_only comes from, as in pg_settings.source.
    """

    name: str
    started_at: float
    is_in_recovery: bool
    is_read_only: bool
    read_only_source: str
    bypasses_row_security: bool
    protected_relations: tuple[str, ...]
    missing_relations: tuple[str, ...]
    missing_columns: tuple[str, ...]
    missing_functions: tuple[MissingFunction, ...]
    missing_grants: tuple[MissingGrant, ...]
    event_triggers: Mapping[str, bool]

    @property
    def is_complete(self) -> bool:
        """Whether every relation, column and function of the contract exists."""
        return not (self.missing_relations or self.missing_columns or self.missing_functions)

    def is_same_database(self, other: "Facts") -> bool:
        """Whether both were told by the same server about the same database."""
        return (self.name, self.started_at) == (other.name, other.started_at)


@dataclass(frozen=True)
class Surroundings:
    """What is around the schema, seen over a direct connection.

    `listeners` are the application names of sessions that listen for reloads, None where they cannot be seen;
    `exposed_schemas` and `statement_timeout` are set on PostgREST's role, None if not; `recorded` are the applied
    migrations' versions, None without a history.
    """

    listeners: tuple[str, ...] | None
    data_api_sessions: int
    exposed_schemas: str | None
    absent_schemas: tuple[str, ...]
    statement_timeout: str | None
    recorded: frozenset[str] | None


def facts_through(data_api: DataApi, *, limit_s: float) -> Facts:
    """What the database behind the Data API says. Raises DataApiError."""
    return _facts(data_api.call(DESCRIBE_FUNCTION, {"payload": CONTRACT}, limit_s=limit_s))


def facts_of(database: Database, *, limit_s: float) -> tuple[Facts, Surroundings]:
    """What the database at the other end of the direct connection says. Raises DatabaseError."""
    with database.connected(limit_s) as connection:
        ((described,),) = connection.run(FACTS_SQL, contract=json.dumps(CONTRACT))
        ((around,),) = connection.run(_SURROUNDINGS_SQL)
        has_history = around.pop("has_history")
        if around.pop("hides_sessions") and not around["listeners"]:
            around["listeners"] = None
        recorded = frozenset(version for (version,) in connection.run(_HISTORY_SQL)) if has_history else None
    around = {name: tuple(value) if isinstance(value, list) else value for name, value in around.items()}
    return _facts(described), Surroundings(**around, recorded=recorded)


def signature(function: str, arguments: tuple[str, ...]) -> str:
    """A function as reports name it."""
    return f"{function}({', '.join(arguments)})"


def _facts(answer: Mapping[str, Any]) -> Facts:
    functions = tuple(
        MissingFunction(item["name"], tuple(item["arguments"]), tuple(map(tuple, item["existing"])))
        for item in answer["missing_functions"]
    )
    return Facts(
        name=answer["database"]["name"],
        started_at=float(answer["database"]["started_at"]),
        is_in_recovery=answer["is_in_recovery"],
        is_read_only=answer["is_read_only"],
        read_only_source=answer["read_only_source"],
        bypasses_row_security=bool(answer["bypasses_row_security"]),
        protected_relations=tuple(answer["protected_relations"]),
        missing_relations=tuple(answer["missing_relations"]),
        missing_columns=tuple(answer["missing_columns"]),
        missing_functions=functions,
        missing_grants=tuple(
            MissingGrant(item["object"], tuple(item["privileges"])) for item in answer["missing_grants"]
        ),
        event_triggers=answer["event_triggers"],
    )
