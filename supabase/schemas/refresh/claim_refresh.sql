create or replace function instagram_connect.claim_refresh(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  account public.instagram_business_accounts;
  credentials instagram_connect.instagram_credentials;
  paused_until timestamptz;
  state text;
begin
  if payload is null then
    return null;
  end if;
  select * into account
  from public.instagram_business_accounts
  where id = (payload ->> 'account_id')::uuid and user_id = (payload ->> 'user_id')::uuid
  for update;
  if not found then
    return null;
  end if;
  select * into credentials from instagram_connect.instagram_credentials where business_account_id = account.id for update;
  select greatest(credentials.refresh_not_before, max(brake.paused_until)) into paused_until
  from instagram_connect.refresh_brakes as brake
  where brake.provider = account.provider;

  state := case
    when account.status <> 'active' then account.status
    when credentials.lease_expires_at > at then 'leased'
    when instagram_connect.refreshable_from(credentials) > at then 'too_young'
    when paused_until > at then 'paused'
    else 'claimed'
  end;
  if state = 'claimed' then
    update instagram_connect.instagram_credentials
    set
      lease_owner = payload ->> 'owner',
      lease_expires_at = at + make_interval(secs => (payload ->> 'lease_s')::double precision),
      last_attempted_at = at
    where business_account_id = account.id;
  end if;
  return jsonb_build_object(
    'state', state,
    'account', instagram_connect.account_view(account),
    'reconnect_reason', account.reconnect_reason,
    'last_refreshed_at', credentials.last_refreshed_at,
    'leased_by', case state when 'leased' then credentials.lease_owner end,
    'possible_from', case state
      when 'too_young' then instagram_connect.refreshable_from(credentials)
      when 'paused' then paused_until
    end,
    'task', case state when 'claimed' then instagram_connect.refresh_task(credentials, account) end
  );
end;
$$;

comment on function instagram_connect.claim_refresh(jsonb) is
'Leases one account of a user to the caller. `state` is claimed, leased (somebody else works on it), too_young, paused,
needs_reauth or disconnected; null when the user has no such account.';

revoke all on function instagram_connect.claim_refresh(jsonb) from public;
grant execute on function instagram_connect.claim_refresh(jsonb) to service_role;
