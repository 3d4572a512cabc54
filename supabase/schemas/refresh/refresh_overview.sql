-- How the tokens stand: for the report, the hourly metrics and the alarms.
create or replace function instagram_connect.refresh_overview(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  with
  asked as (
    select (payload ->> 'now')::timestamptz as at where payload is not null
  ),
  active as (
    select
      account.id, account.username, account.provider, credentials.expires_at, account.reconnect_before,
      instagram_connect.refresh_due_at(credentials, payload, account.reconnect_before is not null) as due_at
    from asked
    join instagram_connect.instagram_credentials as credentials on credentials.status = 'active'
    join public.instagram_business_accounts as account on account.id = credentials.business_account_id
  ),
  days as (
    select (due_at at time zone 'UTC')::date as day, provider, count(*) as due
    from active
    group by 1, 2
  ),
  needing as (
    select account.id, account.username, account.provider, account.reconnect_reason, credentials.failed_at
    from asked
    join public.instagram_business_accounts as account on account.status = 'needs_reauth'
    left join instagram_connect.instagram_credentials as credentials on credentials.business_account_id = account.id
  )
  select jsonb_build_object(
    'active', (select count(*) from active),
    'overdue', (select count(*) from active where due_at <= asked.at),
    'oldest_due_at', (select min(due_at) from active where due_at <= asked.at),
    'oldest_account_id', (select id from active where due_at <= asked.at order by due_at limit 1),
    'first_expiry_at', (select min(expires_at) from active),
    'expired', (
      select count(*)
      from active
      where instagram_connect.is_extended_before_expiry(provider) and expires_at <= asked.at
    ),
    'reconnect_requested', (select count(*) from active where reconnect_before is not null),
    'needs_reauth', (select count(*) from needing),
    'events_waiting', (
      select count(*) from instagram_connect.outgoing_events where created_at <= asked.at - interval '1 hour'
    ),
    'needing_their_user', (
      select coalesce(jsonb_agg(to_jsonb(latest)), '[]')
      from (select * from needing order by failed_at desc nulls last limit (payload ->> 'limit')::integer) as latest
    ),
    'due_by_day', (select coalesce(jsonb_agg(to_jsonb(days) order by day, provider), '[]') from days),
    'brakes', (
      select coalesce(
        jsonb_agg(
          jsonb_build_object(
            'provider', provider,
            'paused_until', case when paused_until > asked.at then paused_until end,
            'app_used_percent', app_used_percent,
            'suspended_at', suspended_at,
            'suspended_reason', suspended_reason
          )
          order by provider
        ),
        '[]'
      )
      from instagram_connect.refresh_brakes
    )
  )
  from asked;
$$;

comment on function instagram_connect.refresh_overview(jsonb) is
'How many tokens are due when, what is overdue, who needs their user, what stops refreshing. Reads no token.';

revoke all on function instagram_connect.refresh_overview(jsonb) from public;
grant execute on function instagram_connect.refresh_overview(jsonb) to service_role;
