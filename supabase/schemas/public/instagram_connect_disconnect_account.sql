create or replace function public.instagram_connect_disconnect_account(payload jsonb) returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  select instagram_connect.disconnect_account(payload);
$$;

comment on function public.instagram_connect_disconnect_account(jsonb) is
'Instagram Connect: calls instagram_connect.disconnect_account().';

revoke all on function public.instagram_connect_disconnect_account(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_disconnect_account(jsonb) to service_role;
