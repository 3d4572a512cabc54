create or replace function instagram_connect.lacking_grants(contract jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  with
  asked as (
    select oid as backend from pg_roles where rolname = 'service_role'
  ),
  relations as (
    select wanted.name, class.oid
    from jsonb_object_keys(contract -> 'relations') as wanted (name)
    join pg_namespace as namespace on namespace.nspname = split_part(wanted.name, '.', 1)
    join pg_class as class
      on class.relnamespace = namespace.oid and class.relname = split_part(wanted.name, '.', 2)
      and class.relkind in ('r', 'p', 'v', 'm', 'f')
  ),
  functions as (
    select
      wanted.key as name, wanted.value -> 'arguments' as arguments, proc.oid,
      to_jsonb(coalesce(proc.proargnames, '{}')) as existing
    from jsonb_each(contract -> 'functions') as wanted
    join pg_namespace as namespace on namespace.nspname = split_part(wanted.key, '.', 1)
    join pg_proc as proc on proc.pronamespace = namespace.oid and proc.proname = split_part(wanted.key, '.', 2)
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
  select coalesce(
    jsonb_agg(jsonb_build_object('object', object, 'privileges', privileges) order by position, object), '[]'
  )
  from ungranted;
$$;

comment on function instagram_connect.lacking_grants(jsonb) is
'What the backend''s role lacks on the objects of the schema contract that exist: [{"object", "privileges"}].';

revoke all on function instagram_connect.lacking_grants(jsonb) from public;
grant execute on function instagram_connect.lacking_grants(jsonb) to service_role;
