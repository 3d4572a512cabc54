create or replace function public.instagram_connect_list_accounts(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select instagram_connect.list_accounts(payload);
$$;

comment on function public.instagram_connect_list_accounts(jsonb) is
'Instagram Connect: calls instagram_connect.list_accounts().';

revoke all on function public.instagram_connect_list_accounts(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_list_accounts(jsonb) to service_role;
