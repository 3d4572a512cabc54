create or replace function public.instagram_connect_finish_refresh(payload jsonb) returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  select instagram_connect.finish_refresh(payload);
$$;

comment on function public.instagram_connect_finish_refresh(jsonb) is
'Instagram Connect: calls instagram_connect.finish_refresh().';

revoke all on function public.instagram_connect_finish_refresh(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_finish_refresh(jsonb) to service_role;
