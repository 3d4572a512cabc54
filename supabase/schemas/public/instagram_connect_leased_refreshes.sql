create or replace function public.instagram_connect_leased_refreshes(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select instagram_connect.leased_refreshes(payload);
$$;

comment on function public.instagram_connect_leased_refreshes(jsonb) is
'Instagram Connect: calls instagram_connect.leased_refreshes().';

revoke all on function public.instagram_connect_leased_refreshes(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_leased_refreshes(jsonb) to service_role;
