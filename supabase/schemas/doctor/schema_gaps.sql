create or replace function instagram_connect.schema_gaps(contract jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  -- The catalogs, by oid: to_regclass() fails if USAGE on the schema is what is missing. catalog.py runs the same query
  -- over a direct connection; a test compares the results.
  with
  asked as (
    select schema_gaps.contract
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
    'missing_grants', instagram_connect.lacking_grants(schema_gaps.contract)
  );
$$;

comment on function instagram_connect.schema_gaps(jsonb) is
'Which relations, columns, functions, function bodies and grants of the schema contract this database lacks.';

revoke all on function instagram_connect.schema_gaps(jsonb) from public;
grant execute on function instagram_connect.schema_gaps(jsonb) to service_role;
