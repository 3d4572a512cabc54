create or replace function public.instagram_connect_webhook_report(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select instagram_connect.webhook_report(payload);
$$;

comment on function public.instagram_connect_webhook_report(jsonb) is
'Instagram Connect: calls instagram_connect.webhook_report().';

revoke all on function public.instagram_connect_webhook_report(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_webhook_report(jsonb) to service_role;
