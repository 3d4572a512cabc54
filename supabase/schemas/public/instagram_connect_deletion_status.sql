create or replace function public.instagram_connect_deletion_status(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select instagram_connect.deletion_status(payload);
$$;

comment on function public.instagram_connect_deletion_status(jsonb) is
'Instagram Connect: calls instagram_connect.deletion_status().';

revoke all on function public.instagram_connect_deletion_status(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_deletion_status(jsonb) to service_role;
