create or replace function public.instagram_connect_refresh_witnesses(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select instagram_connect.refresh_witnesses(payload);
$$;

comment on function public.instagram_connect_refresh_witnesses(jsonb) is
'Instagram Connect: calls instagram_connect.refresh_witnesses().';

revoke all on function public.instagram_connect_refresh_witnesses(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_refresh_witnesses(jsonb) to service_role;
