create or replace function public.instagram_connect_describe_schema(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select instagram_connect.describe_schema(payload);
$$;

comment on function public.instagram_connect_describe_schema(jsonb) is
'Instagram Connect: calls instagram_connect.describe_schema().';

revoke all on function public.instagram_connect_describe_schema(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_describe_schema(jsonb) to service_role;
