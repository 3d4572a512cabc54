create or replace function public.instagram_connect_kept_webhook_events(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select instagram_connect.kept_webhook_events(payload);
$$;

comment on function public.instagram_connect_kept_webhook_events(jsonb) is
'Instagram Connect: calls instagram_connect.kept_webhook_events().';

revoke all on function public.instagram_connect_kept_webhook_events(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_kept_webhook_events(jsonb) to service_role;
