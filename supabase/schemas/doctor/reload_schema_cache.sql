create or replace function instagram_connect.reload_schema_cache() returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- Moves the tail of the notification queue: the cure for a listener that died over old queue entries
  -- (PostgREST issue 3147), after which NOTIFY succeeds and nobody hears it.
  perform pg_notification_queue_usage();
  perform pg_notify('pgrst', 'reload schema');
end;
$$;

comment on function instagram_connect.reload_schema_cache() is
'Makes PostgREST read the schema again. The deploy gate calls it after every deploy.';

revoke all on function instagram_connect.reload_schema_cache() from public;
grant execute on function instagram_connect.reload_schema_cache() to service_role;
