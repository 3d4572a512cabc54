create or replace function instagram_connect.describe_schema(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select instagram_connect.schema_gaps(payload) || jsonb_build_object(
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
  -- Called with null it does nothing, which is how the backend probes it.
  where payload is not null;
$$;

comment on function instagram_connect.describe_schema(jsonb) is
'What this database lacks of the schema contract, and what else decides whether the backend can use it. Reads catalogs
only, never rows.';

revoke all on function instagram_connect.describe_schema(jsonb) from public;
grant execute on function instagram_connect.describe_schema(jsonb) to service_role;
