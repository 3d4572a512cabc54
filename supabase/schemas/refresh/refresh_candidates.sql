create or replace function instagram_connect.refresh_candidates(rules jsonb, at timestamptz) returns table (
  business_account_id uuid,
  provider text,
  last_attempted_at timestamptz,
  due_at timestamptz,
  renew boolean,
  check_subscription boolean,
  is_suspended boolean,
  is_slow boolean
)
language plpgsql
stable
security invoker
set search_path = ''
as $$
#variable_conflict use_column
declare
  lead constant interval := make_interval(secs => (rules ->> 'lead_s')::double precision);
  spread constant interval := make_interval(secs => (rules ->> 'spread_s')::double precision);
  recheck constant interval := make_interval(secs => (rules ->> 'recheck_s')::double precision);
  subscription constant interval := make_interval(secs => (rules ->> 'subscription_s')::double precision);
begin
  return query
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
  )
  select
    credentials.business_account_id,
    credentials.provider,
    credentials.last_attempted_at,
    due.due_at,
    due.due_at <= at as renew,
    coalesce(account.webhook_checked_at, account.connected_at)
      + subscription * (1 - 0.2 * instagram_connect.spread_place(credentials.business_account_id)) <= at as check_subscription,
    brake.suspended_at is not null as is_suspended,
    coalesce(brake.app_used_percent >= (rules ->> 'slow_percent')::integer
      and brake.app_used_at > at - interval '1 hour', false) as is_slow
  from near
  join instagram_connect.instagram_credentials as credentials using (business_account_id)
  join public.instagram_business_accounts as account on account.id = credentials.business_account_id
  left join instagram_connect.refresh_brakes as brake on brake.provider = credentials.provider
  cross join lateral (
    select instagram_connect.refresh_due_at(credentials, rules, account.reconnect_before is not null) as due_at
  ) as due
  where credentials.status = 'active'
    and coalesce(credentials.lease_expires_at, '-infinity') <= at
    and coalesce(credentials.refresh_not_before, '-infinity') <= at
    and coalesce(brake.paused_until, '-infinity') <= at;
end;
$$;

comment on function instagram_connect.refresh_candidates(jsonb, timestamptz) is
'Accounts that may be due: not leased, paused or waiting, with when their token is due, whether to renew it, and
whether to check their webhook subscription.';

revoke all on function instagram_connect.refresh_candidates(jsonb, timestamptz) from public;
grant execute on function instagram_connect.refresh_candidates(jsonb, timestamptz) to service_role;
