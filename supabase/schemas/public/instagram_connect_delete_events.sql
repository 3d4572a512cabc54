create or replace function public.instagram_connect_delete_events(payload jsonb) returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  select instagram_connect.delete_events(payload);
$$;

comment on function public.instagram_connect_delete_events(jsonb) is
'Instagram Connect: calls instagram_connect.delete_events().';

revoke all on function public.instagram_connect_delete_events(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_delete_events(jsonb) to service_role;
