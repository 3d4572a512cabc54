create or replace function instagram_connect.install_ddl_watch() returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  watch record;
begin
  for watch in
    select *
    from (
      values
      ('pgrst_ddl_watch', 'ddl_command_end', $watch$
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
      $watch$),
      ('pgrst_drop_watch', 'sql_drop', $watch$
        if exists (
          select from pg_event_trigger_dropped_objects()
          where not is_temporary and object_type in (
            'schema', 'table', 'foreign table', 'view', 'materialized view', 'function', 'type', 'trigger', 'rule'
          )
        ) then
          notify pgrst, 'reload schema';
        end if;
      $watch$)
    ) as wanted (name, event, body)
  loop
    continue when exists (select from pg_catalog.pg_event_trigger where evtname = watch.name);
    create schema if not exists extensions;
    -- An existing function is kept: it may belong to another role.
    if to_regprocedure(format('extensions.%I()', watch.name)) is null then
      execute format(
        'create function extensions.%I() returns event_trigger language plpgsql set search_path = '''' as %L',
        watch.name, format('begin %s end;', watch.body)
      );
    end if;
    execute format(
      'create event trigger %1$I on %2$s execute function extensions.%1$I()', watch.name, watch.event
    );
  end loop;
exception
  when insufficient_privilege then
    -- A warning only: then a migration has to notify PostgREST itself, and the doctor says so.
    raise warning 'The event triggers that reload PostgREST''s schema cache could not be created: %', sqlerrm;
end;
$$;

comment on function instagram_connect.install_ddl_watch() is
'Creates the event triggers that make PostgREST reload its schema cache after DDL, if the project lost them or never
had them. Supabase creates them under the same names. Every migration ends with a call.';

revoke all on function instagram_connect.install_ddl_watch() from public;
grant execute on function instagram_connect.install_ddl_watch() to service_role;
