create or replace function instagram_connect.account_view(account public.instagram_business_accounts) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'id', account.id,
    'provider', account.provider,
    'instagram_business_id', account.instagram_business_id,
    'username', account.username,
    'name', account.name,
    'page_id', account.page_id,
    'page_name', account.page_name,
    'profile_picture_url', account.profile_picture_url,
    'followers_count', account.followers_count,
    'token_expires_at', account.token_expires_at,
    'connected_at', account.connected_at,
    'status', account.status,
    'reconnect_reason', account.reconnect_reason,
    'reconnect_hint', account.reconnect_hint,
    'reconnect_before', account.reconnect_before
  );
$$;

comment on function instagram_connect.account_view(public.instagram_business_accounts) is
'An account as its owner may see it, in every answer of the backend.';

revoke all on function instagram_connect.account_view(public.instagram_business_accounts) from public;
grant execute on function instagram_connect.account_view(public.instagram_business_accounts) to service_role;
