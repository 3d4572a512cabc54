"""The queries that the doctor runs over a direct connection, on PostgreSQL's catalogs and on sessions and settings."""

from instagram_connect.storage.direct_connection import IS_LISTENING

# The same query as in describe_schema() and schema_gaps(); a test compares the results.
FACTS_SQL = """
with
asked as (
  select
    cast(:contract as jsonb) as contract,
    (select oid from pg_roles where rolname = 'service_role') as backend
),
relations as (
  select
    wanted.key as name, wanted.value as columns, class.oid, namespace.oid as schema,
    class.relrowsecurity as is_protected
  from asked
  cross join jsonb_each(asked.contract -> 'relations') as wanted
  left join pg_namespace as namespace on namespace.nspname = split_part(wanted.key, '.', 1)
  left join pg_class as class
    on class.relnamespace = namespace.oid and class.relname = split_part(wanted.key, '.', 2)
    and class.relkind in ('r', 'p', 'v', 'm', 'f')
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
    wanted.key as name, wanted.value -> 'arguments' as arguments, proc.oid,
    to_jsonb(coalesce(proc.proargnames, '{}')) as existing,
    encode(sha256(convert_to(proc.prosrc, 'UTF8')), 'hex') <> wanted.value ->> 'body' as is_changed
  from asked
  cross join jsonb_each(asked.contract -> 'functions') as wanted
  left join pg_namespace as namespace on namespace.nspname = split_part(wanted.key, '.', 1)
  left join pg_proc as proc
    on proc.pronamespace = namespace.oid and proc.proname = split_part(wanted.key, '.', 2)
),
absent_functions as (
  select name, arguments, coalesce(jsonb_agg(existing order by existing) filter (where oid is not null), '[]') as others
  from functions
  group by name, arguments
  having not coalesce(bool_or(oid is not null and existing = arguments), false)
),
ungranted as (
  select 1 as position, format('schema %I', namespace.nspname) as object, array['usage'] as privileges
  from asked
  join pg_namespace as namespace on namespace.nspname in ('public', 'instagram_connect')
  where not has_schema_privilege(asked.backend, namespace.oid, 'usage')
  union all
  select
    2, format('table %I.%I', split_part(relations.name, '.', 1), split_part(relations.name, '.', 2)),
    array_agg(privilege.name order by privilege.position)
  from asked
  cross join relations
  cross join unnest(array['select', 'insert', 'update', 'delete']) with ordinality as privilege (name, position)
  where not has_table_privilege(asked.backend, relations.oid, privilege.name)
  group by relations.name
  union all
  select
    3,
    format(
      'function %I.%I(%s)', split_part(name, '.', 1), split_part(name, '.', 2), pg_get_function_identity_arguments(oid)
    ),
    array['execute']
  from asked
  cross join functions
  where existing = arguments and not has_function_privilege(asked.backend, oid, 'execute')
)
select jsonb_build_object(
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
      jsonb_agg(jsonb_build_object('name', name, 'arguments', arguments, 'existing', others) order by name), '[]'
    )
    from absent_functions
  ),
  'changed_functions', (
    select coalesce(jsonb_agg(name order by name), '[]') from functions where existing = arguments and is_changed
  ),
  'missing_grants', (
    select coalesce(
      jsonb_agg(jsonb_build_object('object', object, 'privileges', privileges) order by position, object), '[]'
    )
    from ungranted
  ),
  'database', jsonb_build_object(
    'name', current_database(),
    'started_at', extract(epoch from pg_postmaster_start_time())
  ),
  'is_in_recovery', pg_is_in_recovery(),
  'is_read_only', current_setting('default_transaction_read_only') = 'on',
  'read_only_source', (select source from pg_settings where name = 'default_transaction_read_only'),
  'bypasses_row_security', (select rolbypassrls or rolsuper from pg_roles where rolname = 'service_role'),
  'event_triggers', (
    select coalesce(jsonb_object_agg(evtname, evtenabled in ('O', 'A')), '{}')
    from pg_event_trigger
    where evtname in ('pgrst_ddl_watch', 'pgrst_drop_watch')
  )
)
"""

# What only a direct connection may see: other sessions, and how the Data API's own role is set up.
SURROUNDINGS_SQL = f"""
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
HISTORY_SQL = "select version from supabase_migrations.schema_migrations"
