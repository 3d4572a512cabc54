create or replace function public.instagram_connect_refresh_overview(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select instagram_connect.refresh_overview(payload);
$$;

comment on function public.instagram_connect_refresh_overview(jsonb) is
'Instagram Connect: calls instagram_connect.refresh_overview().';

revoke all on function public.instagram_connect_refresh_overview(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_refresh_overview(jsonb) to service_role;
