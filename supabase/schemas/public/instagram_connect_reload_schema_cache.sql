create or replace function public.instagram_connect_reload_schema_cache() returns void
language sql
volatile
security invoker
set search_path = ''
as $$
  select instagram_connect.reload_schema_cache();
$$;

comment on function public.instagram_connect_reload_schema_cache() is
'Instagram Connect: calls instagram_connect.reload_schema_cache().';

revoke all on function public.instagram_connect_reload_schema_cache() from public, anon, authenticated;
grant execute on function public.instagram_connect_reload_schema_cache() to service_role;
