create or replace function public.instagram_connect_brake_refreshes(payload jsonb) returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  select instagram_connect.brake_refreshes(payload);
$$;

comment on function public.instagram_connect_brake_refreshes(jsonb) is
'Instagram Connect: calls instagram_connect.brake_refreshes().';

revoke all on function public.instagram_connect_brake_refreshes(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_brake_refreshes(jsonb) to service_role;
