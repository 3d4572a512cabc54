create or replace function public.instagram_connect_claim_refreshes(payload jsonb) returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  select instagram_connect.claim_refreshes(payload);
$$;

comment on function public.instagram_connect_claim_refreshes(jsonb) is
'Instagram Connect: calls instagram_connect.claim_refreshes().';

revoke all on function public.instagram_connect_claim_refreshes(jsonb) from public, anon, authenticated;
grant execute on function public.instagram_connect_claim_refreshes(jsonb) to service_role;
