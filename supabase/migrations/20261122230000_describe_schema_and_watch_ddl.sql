-- What the doctor asks the database, and the event triggers that make the Data API hear of every change of the schema.

create function public.describe_schema(payload jsonb) returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- Called with null it does nothing: that is how the backend asks whether it is known and allowed.
  if payload is null then
    return null;
  end if;

  -- The catalogs themselves, by oid: to_regclass() and its like fail where the schema's USAGE is what is missing.
  -- catalog.py asks the same over a direct connection; a test compares the answers.
  return (
    with
    asked as (
      select
        payload as contract,
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
  );
end;
$$;

comment on function public.describe_schema(jsonb) is
  'What of the schema contract is missing in this database, and what else decides whether the backend can use it. Reads '
  'catalogs only, never rows.';

revoke all on function public.describe_schema(jsonb) from public, anon, authenticated;
grant execute on function public.describe_schema(jsonb) to service_role;

-- Supabase brings these two event triggers along; a project that lost them, or never had them, gets them here under the
-- same names. GRANT and CREATE POLICY are not among the commands: the schema cache holds neither.
do $do$
begin
  if not exists (select from pg_event_trigger where evtname = 'pgrst_ddl_watch') then
    create schema if not exists extensions;
    -- What is there is kept: it may belong to another role.
    if to_regprocedure('extensions.pgrst_ddl_watch()') is null then
      execute $create$
        create function extensions.pgrst_ddl_watch() returns event_trigger
        language plpgsql
        set search_path = ''
        as $$
        begin
          if exists (
            select from pg_event_trigger_ddl_commands()
            where schema_name is distinct from 'pg_temp' and command_tag in (
              'CREATE SCHEMA', 'ALTER SCHEMA',
              'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE',
              'CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE',
              'CREATE VIEW', 'ALTER VIEW',
              'CREATE MATERIALIZED VIEW', 'ALTER MATERIALIZED VIEW',
              'CREATE FUNCTION', 'ALTER FUNCTION',
              'CREATE TYPE', 'ALTER TYPE',
              'CREATE TRIGGER', 'CREATE RULE', 'COMMENT'
            )
          ) then
            notify pgrst, 'reload schema';
          end if;
        end;
        $$
      $create$;
    end if;
    create event trigger pgrst_ddl_watch on ddl_command_end
      execute function extensions.pgrst_ddl_watch();
  end if;
exception
  when insufficient_privilege then
    -- Only a warning: whoever migrates then has to notify by hand, and the doctor says so.
    raise warning 'The event trigger pgrst_ddl_watch, which reloads the schema cache, could not be created: %', sqlerrm;
end;
$do$;

do $do$
begin
  if not exists (select from pg_event_trigger where evtname = 'pgrst_drop_watch') then
    create schema if not exists extensions;
    -- What is there is kept: it may belong to another role.
    if to_regprocedure('extensions.pgrst_drop_watch()') is null then
      execute $create$
        create function extensions.pgrst_drop_watch() returns event_trigger
        language plpgsql
        set search_path = ''
        as $$
        begin
          if exists (
            select from pg_event_trigger_dropped_objects()
            where not is_temporary and object_type in (
              'schema', 'table', 'foreign table', 'view', 'materialized view', 'function', 'type', 'trigger', 'rule'
            )
          ) then
            notify pgrst, 'reload schema';
          end if;
        end;
        $$
      $create$;
    end if;
    create event trigger pgrst_drop_watch on sql_drop
      execute function extensions.pgrst_drop_watch();
  end if;
exception
  when insufficient_privilege then
    -- Only a warning: whoever migrates then has to notify by hand, and the doctor says so.
    raise warning 'The event trigger pgrst_drop_watch, which reloads the schema cache, could not be created: %', sqlerrm;
end;
$do$;

notify pgrst, 'reload schema';
