create or replace function instagram_connect.claim_refreshes(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  lead constant interval := make_interval(secs => (payload ->> 'lead_s')::double precision);
  spread constant interval := make_interval(secs => (payload ->> 'spread_s')::double precision);
  recheck constant interval := make_interval(secs => (payload ->> 'recheck_s')::double precision);
  subscription constant interval := make_interval(secs => (payload ->> 'subscription_s')::double precision);
  claimed jsonb;
begin
  if payload is null then
    return null;
  end if;

  with
  -- Each branch finds a few rows by an index; which of them are due is asked afterwards.
  near as (
    select credentials.business_account_id
    from instagram_connect.instagram_credentials as credentials
    where credentials.status = 'active' and credentials.expires_at <= at + lead + spread
      and credentials.expires_at <= at + lead + spread * instagram_connect.spread_place(credentials.business_account_id)
    union
    select credentials.business_account_id
    from instagram_connect.instagram_credentials as credentials
    where credentials.status = 'active' and (
        not instagram_connect.is_extended_before_expiry(credentials.provider) or credentials.expires_at is null
      )
      and coalesce(credentials.last_refreshed_at, credentials.issued_at) <= at - recheck * (6 / 7.0)
    union
    select credentials.business_account_id
    from instagram_connect.instagram_credentials as credentials
    where credentials.status = 'active' and not instagram_connect.is_extended_before_expiry(credentials.provider)
      and least(credentials.expires_at, credentials.data_access_expires_at) <= at + lead
    union
    select account.id
    from public.instagram_business_accounts as account
    where account.status = 'active'
      and coalesce(account.webhook_checked_at, account.connected_at) <= at - subscription * 0.8
  ),
  planned as (
    select
      credentials.business_account_id,
      credentials.provider,
      credentials.last_attempted_at,
      due.due_at,
      due.due_at <= at as renew,
      coalesce(account.webhook_checked_at, account.connected_at)
        + subscription * (1 - 0.2 * instagram_connect.spread_place(credentials.business_account_id)) <= at as check_subscription,
      brake.suspended_at is not null as is_suspended,
      coalesce(brake.app_used_percent >= (payload ->> 'slow_percent')::integer
        and brake.app_used_at > at - interval '1 hour', false) as is_slow
    from near
    join instagram_connect.instagram_credentials as credentials using (business_account_id)
    join public.instagram_business_accounts as account on account.id = credentials.business_account_id
    left join instagram_connect.refresh_brakes as brake on brake.provider = credentials.provider
    cross join lateral (
      select instagram_connect.refresh_due_at(credentials, payload, account.reconnect_before is not null) as due_at
    ) as due
    where credentials.status = 'active'
      and coalesce(credentials.lease_expires_at, '-infinity') <= at
      and coalesce(credentials.refresh_not_before, '-infinity') <= at
      and coalesce(brake.paused_until, '-infinity') <= at
  ),
  ranked as (
    select
      planned.*,
      -- Who was asked least recently, so that a probe does not always fall on the same account.
      row_number() over (
        partition by provider order by renew desc, last_attempted_at nulls first, due_at
      ) as place
    from planned
    where renew or (check_subscription and not is_suspended)
  ),
  picked as (
    select
      credentials.business_account_id,
      ranked.renew,
      ranked.check_subscription and not ranked.is_suspended as check_subscription,
      ranked.is_slow
    from ranked
    join instagram_connect.instagram_credentials as credentials using (business_account_id)
    where (not ranked.is_suspended or ranked.place = 1)
      and (not ranked.is_slow or ranked.place <= (payload ->> 'slow_limit')::integer)
      -- Asked of the row as it is when it is locked: another sweep may have had it a moment ago.
      and credentials.status = 'active' and coalesce(credentials.lease_expires_at, '-infinity') <= at
      and (not ranked.renew or instagram_connect.refreshable_from(credentials) <= at)
    -- Not the oldest first: those that cannot be refreshed would always be in front.
    order by ranked.renew desc, ranked.last_attempted_at nulls first, ranked.due_at
    limit (payload ->> 'limit')::integer
    for update of credentials skip locked
  ),
  leased as (
    update instagram_connect.instagram_credentials as credentials
    set
      lease_owner = payload ->> 'owner',
      lease_expires_at = at + make_interval(secs => (payload ->> 'lease_s')::double precision),
      last_attempted_at = at
    from picked
    where credentials.business_account_id = picked.business_account_id
    returning
      credentials.business_account_id, credentials.provider, picked.renew, picked.check_subscription, picked.is_slow
  )
  select coalesce(
    jsonb_agg(
      jsonb_build_object(
        'account_id', business_account_id,
        'provider', provider,
        'renew', renew,
        'check_subscription', check_subscription,
        'is_slow', is_slow
      )
    ),
    '[]'
  )
  into claimed
  from leased;
  return claimed;
end;
$$;

comment on function instagram_connect.claim_refreshes(jsonb) is
  'Leases accounts that are due to the caller, at most `limit`, and answers them; no account goes to two callers. A paused '
  'login product gets none, a suspended one a single probe, one whose call limit is nearly used up `slow_limit`.';

revoke all on function instagram_connect.claim_refreshes(jsonb) from public;
grant execute on function instagram_connect.claim_refreshes(jsonb) to service_role;
