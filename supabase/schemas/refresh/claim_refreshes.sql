create or replace function instagram_connect.claim_refreshes(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  claimed jsonb;
begin
  if payload is null then
    return null;
  end if;

  with
  ranked as (
    select
      planned.*,
      -- Who was asked least recently, so that a probe does not always fall on the same account.
      row_number() over (
        partition by provider order by renew desc, last_attempted_at nulls first, due_at
      ) as place
    from instagram_connect.refresh_candidates(payload, at) as planned
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
'Leases accounts that are due to the caller, at most `limit`, and answers them; no account goes to two callers. A
paused login product gets none, a suspended one a single probe, one whose call limit is nearly used up `slow_limit`.';

revoke all on function instagram_connect.claim_refreshes(jsonb) from public;
grant execute on function instagram_connect.claim_refreshes(jsonb) to service_role;
