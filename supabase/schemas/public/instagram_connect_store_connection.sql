create or replace function public.instagram_connect_store_connection(payload jsonb) returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  select instagram_connect.store_connection(payload);
$$;

comment on function public.instagram_connect_store_connection(jsonb) is
'Instagram Connect: calls instagram_connect.store_connection().';

revoke all on function public.instagram_connect_store_connection(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_store_connection(jsonb) to service_role;
