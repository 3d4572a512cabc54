create or replace function public.instagram_connect_revoke_person(payload jsonb) returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  select instagram_connect.revoke_person(payload);
$$;

comment on function public.instagram_connect_revoke_person(jsonb) is
'Instagram Connect: calls instagram_connect.revoke_person().';

revoke all on function public.instagram_connect_revoke_person(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_revoke_person(jsonb) to service_role;
