create or replace function public.instagram_connect_delete_person(payload jsonb) returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  select instagram_connect.delete_person(payload);
$$;

comment on function public.instagram_connect_delete_person(jsonb) is
'Instagram Connect: calls instagram_connect.delete_person().';

revoke all on function public.instagram_connect_delete_person(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_delete_person(jsonb) to service_role;
