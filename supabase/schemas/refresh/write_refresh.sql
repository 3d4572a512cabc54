create or replace function instagram_connect.write_refresh(account_id uuid, payload jsonb) returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  renewal constant jsonb := nullif(payload -> 'renewal', 'null');
  request constant jsonb := nullif(payload -> 'renewal' -> 'reconnect', 'null');
  subscription constant jsonb := nullif(payload -> 'subscription', 'null');
begin
  update instagram_connect.instagram_credentials
  set
    access_token_ciphertext = coalesce(renewal ->> 'access_token_ciphertext', access_token_ciphertext),
    user_token_ciphertext = coalesce(renewal ->> 'user_token_ciphertext', user_token_ciphertext),
    expires_at = case when renewal is null then expires_at else (renewal ->> 'expires_at')::timestamptz end,
    data_access_expires_at = case
      when renewal is null then data_access_expires_at
      else (renewal ->> 'data_access_expires_at')::timestamptz
    end,
    last_refreshed_at = coalesce((renewal ->> 'obtained_at')::timestamptz, last_refreshed_at),
    status = 'active',
    failure_code = null,
    failure_subcode = null,
    failed_at = null,
    refresh_not_before = (payload ->> 'not_before')::timestamptz,
    lease_owner = null,
    lease_expires_at = null,
    updated_at = now()
  where business_account_id = account_id;

  update public.instagram_business_accounts as stored
  set
    status = 'active',
    token_expires_at = case
      when renewal is null then stored.token_expires_at
      else (renewal ->> 'expires_at')::timestamptz
    end,
    reconnect_reason = case when renewal is null then stored.reconnect_reason else request ->> 'reason' end,
    reconnect_hint = case when renewal is null then stored.reconnect_hint else request ->> 'hint' end,
    reconnect_before = case
      when renewal is null then stored.reconnect_before
      else (request ->> 'before')::timestamptz
    end,
    webhook_checked_at = case when subscription is null then stored.webhook_checked_at else at end,
    webhook_subscribed_at = coalesce((subscription ->> 'subscribed_at')::timestamptz, stored.webhook_subscribed_at),
    webhook_subscription_error = case
      when subscription is null then stored.webhook_subscription_error
      else subscription ->> 'error'
    end,
    updated_at = now()
  where stored.id = account_id;
end;
$$;

comment on function instagram_connect.write_refresh(uuid, jsonb) is
'Writes the result of a refresh that succeeded: tokens, expiry and webhook subscription. Returns the lease.';

revoke all on function instagram_connect.write_refresh(uuid, jsonb) from public;
grant execute on function instagram_connect.write_refresh(uuid, jsonb) to service_role;
