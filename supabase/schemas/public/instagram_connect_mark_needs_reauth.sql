create or replace function public.instagram_connect_mark_needs_reauth(payload jsonb) returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  select instagram_connect.mark_needs_reauth(payload);
$$;

comment on function public.instagram_connect_mark_needs_reauth(jsonb) is
'Instagram Connect: calls instagram_connect.mark_needs_reauth().';

revoke all on function public.instagram_connect_mark_needs_reauth(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_mark_needs_reauth(jsonb) to service_role;
