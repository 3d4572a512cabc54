-- Refreshing tokens before they end: who is due, who holds the lease of an account, what came of it, what the account's
-- user must do, and what stops the refreshing of a whole login product.
--
-- `now` in a payload is the caller's clock. All functions take one `jsonb` and answer null for null, as all others.

alter table public.instagram_business_accounts
  add column reconnect_reason text,
  add column reconnect_hint text,
  add column reconnect_before timestamptz,
  add column webhook_checked_at timestamptz;

comment on column public.instagram_business_accounts.reconnect_reason is
  'Why the user has to connect again, or soon will have to; null = nothing to do. docs/errors.md lists the reasons.';
comment on column public.instagram_business_accounts.reconnect_hint is 'What the user has to do, for people.';
comment on column public.instagram_business_accounts.reconnect_before is
  'The account still works, and stops to work then unless its user connects again; null = nothing ends soon.';
comment on column public.instagram_business_accounts.webhook_checked_at is
  'When Meta was last asked whether it still sends the account''s webhooks.';

alter table public.instagram_credentials
  add column refresh_not_before timestamptz,
  add column last_attempted_at timestamptz;

comment on column public.instagram_credentials.last_refreshed_at is
  'When Meta last extended this token, or a Facebook login was last found alive and exchanged.';
comment on column public.instagram_credentials.refresh_not_before is
  'No attempt before then: Meta named a time, or a failure will not pass by itself.';
comment on column public.instagram_credentials.last_attempted_at is
  'When a refresh was last begun, whatever came of it.';

-- A connection that was made again, or ended, has nothing left to ask of its user.
create function public.forget_reconnect_request() returns trigger
language plpgsql
security invoker
set search_path = ''
as $$
begin
  new.reconnect_reason := null;
  new.reconnect_hint := null;
  new.reconnect_before := null;
  return new;
end;
$$;

comment on function public.forget_reconnect_request() is 'Trigger: takes back that a user is asked to connect again.';

create trigger forget_reconnect_request
before update on public.instagram_business_accounts
for each row
when (
  new.status <> 'needs_reauth'
  and (new.status <> old.status or new.connected_at > old.connected_at)
)
execute function public.forget_reconnect_request();

-- A new login brings a token of its own: what the former one went through says nothing about it.
create function public.forget_refreshes() returns trigger
language plpgsql
security invoker
set search_path = ''
as $$
begin
  new.last_refreshed_at := null;
  new.last_attempted_at := null;
  new.refresh_not_before := null;
  return new;
end;
$$;

comment on function public.forget_refreshes() is 'Trigger: begins the record of refreshes anew with a new login.';

create trigger forget_refreshes
before update on public.instagram_credentials
for each row
when (new.issued_at > old.issued_at)
execute function public.forget_refreshes();

create table public.refresh_brakes (
  provider text primary key check (provider in ('facebook', 'instagram')),
  paused_until timestamptz,
  app_used_percent smallint check (app_used_percent >= 0),
  app_used_at timestamptz,
  suspended_at timestamptz,
  suspended_reason text,
  updated_at timestamptz not null default now()
);

comment on table public.refresh_brakes is
  'What slows or stops the refreshing of all accounts of a login product. No row, or nulls: nothing does.';
comment on column public.refresh_brakes.paused_until is 'Meta''s call limits are nearly used up until then.';
comment on column public.refresh_brakes.app_used_percent is 'How much of the app''s call limit was used at app_used_at.';
comment on column public.refresh_brakes.suspended_at is
  'Since then many people''s tokens fail alike: Meta or the app is at fault, and no account is marked. Ends by itself.';

create table public.outgoing_events (
  id uuid primary key default gen_random_uuid(),
  type text not null,
  business_account_id uuid not null references public.instagram_business_accounts (id) on delete cascade,
  detail jsonb not null,
  created_at timestamptz not null default now(),
  taken_until timestamptz
);

comment on table public.outgoing_events is
  'Events that were committed with what they tell of, and wait to be published on the event bus; deleted afterwards.';

comment on column public.outgoing_events.taken_until is 'Somebody is publishing it; after that time another may.';

create index on public.outgoing_events (created_at);
create index on public.outgoing_events (business_account_id);

alter table public.refresh_brakes enable row level security;
alter table public.outgoing_events enable row level security;
revoke all on public.refresh_brakes, public.outgoing_events from public, anon, authenticated;
grant select, insert, update, delete on public.refresh_brakes, public.outgoing_events to service_role;

-- One row for each kind of limit of an account, the latest observation.
delete from public.api_usage as older
using public.api_usage as newer
where newer.business_account_id = older.business_account_id and newer.usage_type = older.usage_type
  and (newer.observed_at, newer.id) > (older.observed_at, older.id);
create unique index on public.api_usage (business_account_id, usage_type);

-- The claims look for these few among many.
create index on public.instagram_credentials (coalesce(last_refreshed_at, issued_at))
  where status = 'active' and (provider = 'facebook' or expires_at is null);
create index on public.instagram_credentials (least(expires_at, data_access_expires_at))
  where status = 'active' and provider = 'facebook';
create index on public.instagram_business_accounts (coalesce(webhook_checked_at, connected_at)) where status = 'active';

create function public.refreshable_from(credentials public.instagram_credentials) returns timestamptz
language sql
stable
security invoker
set search_path = ''
as $$
  -- Meta extends no token in its first 24 hours. A long-lived one lives sixty days at most: one that ends in sixty days
  -- is new, also where the login that it came from is older.
  select greatest(
    credentials.issued_at, credentials.last_refreshed_at, credentials.expires_at - interval '60 days'
  ) + interval '24 hours';
$$;

comment on function public.refreshable_from(public.instagram_credentials) is
  'From when Meta extends the token: at 24 hours of the token''s own age, whatever the age of the row.';

-- Without a search_path of its own, which would keep Postgres from putting it into the claim's conditions.
create function public.spread_place(account_id uuid) returns double precision
language sql
immutable
security invoker
as $$
  select (pg_catalog.uuid_hash_extended(account_id, 0) & 65535) / 65536.0::double precision;
$$;

comment on function public.spread_place(uuid) is
  'From 0 to 1, by a hash of the account: spreads the refreshes of accounts that were connected together.';

create function public.refresh_due_at(credentials public.instagram_credentials, rules jsonb, is_asked boolean)
returns timestamptz
language sql
stable
security invoker
set search_path = ''
as $$
  select case
    when credentials.provider = 'instagram' and credentials.expires_at is not null then greatest(
      public.refreshable_from(credentials),
      -- Spread to earlier, never to later: the lead stays whole.
      credentials.expires_at
        - make_interval(secs => (rules ->> 'lead_s')::double precision)
        - make_interval(secs => (rules ->> 'spread_s')::double precision) * public.spread_place(credentials.business_account_id)
    )
    else greatest(
      public.refreshable_from(credentials),
      least(
        coalesce(credentials.last_refreshed_at, credentials.issued_at)
          + make_interval(secs => (rules ->> 'recheck_s')::double precision) * (1 - public.spread_place(credentials.business_account_id) / 7),
        -- In time to ask the user, who is asked once.
        case when not is_asked then
          least(credentials.expires_at, credentials.data_access_expires_at)
            - make_interval(secs => (rules ->> 'lead_s')::double precision)
        end
      )
    )
  end;
$$;

comment on function public.refresh_due_at(public.instagram_credentials, jsonb, boolean) is
  'When a token is to be refreshed: Instagram''s a lead before its end, Facebook''s weekly, and a lead before anything ends '
  'that the user was not asked about yet. `rules`: lead_s, spread_s, recheck_s.';

create function public.refresh_task(
  credentials public.instagram_credentials, account public.instagram_business_accounts
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'account_id', account.id,
    'user_id', account.user_id,
    'provider', credentials.provider,
    'instagram_business_id', account.instagram_business_id,
    'meta_user_id', account.meta_user_id,
    'page_id', account.page_id,
    'issued_at', credentials.issued_at,
    'last_refreshed_at', credentials.last_refreshed_at,
    'expires_at', credentials.expires_at,
    'data_access_expires_at', credentials.data_access_expires_at,
    'access_token_ciphertext', credentials.access_token_ciphertext,
    'user_token_ciphertext', credentials.user_token_ciphertext,
    'is_suspended', exists (
      select from public.refresh_brakes as brake
      where brake.provider = credentials.provider and brake.suspended_at is not null
    )
  );
$$;

comment on function public.refresh_task(public.instagram_credentials, public.instagram_business_accounts) is
  'What a worker needs to refresh an account; its tokens are ciphertexts.';

create function public.claim_refreshes(payload jsonb) returns jsonb
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
    from public.instagram_credentials as credentials
    where credentials.status = 'active' and credentials.expires_at <= at + lead + spread
      and credentials.expires_at <= at + lead + spread * public.spread_place(credentials.business_account_id)
    union
    select credentials.business_account_id
    from public.instagram_credentials as credentials
    where credentials.status = 'active' and (credentials.provider = 'facebook' or credentials.expires_at is null)
      and coalesce(credentials.last_refreshed_at, credentials.issued_at) <= at - recheck * (6 / 7.0)
    union
    select credentials.business_account_id
    from public.instagram_credentials as credentials
    where credentials.status = 'active' and credentials.provider = 'facebook'
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
        + subscription * (1 - 0.2 * public.spread_place(credentials.business_account_id)) <= at as check_subscription,
      brake.suspended_at is not null as is_suspended,
      coalesce(brake.app_used_percent >= (payload ->> 'slow_percent')::integer
        and brake.app_used_at > at - interval '1 hour', false) as is_slow
    from near
    join public.instagram_credentials as credentials using (business_account_id)
    join public.instagram_business_accounts as account on account.id = credentials.business_account_id
    left join public.refresh_brakes as brake on brake.provider = credentials.provider
    cross join lateral (
      select public.refresh_due_at(credentials, payload, account.reconnect_before is not null) as due_at
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
    join public.instagram_credentials as credentials using (business_account_id)
    where (not ranked.is_suspended or ranked.place = 1)
      and (not ranked.is_slow or ranked.place <= (payload ->> 'slow_limit')::integer)
      -- Asked of the row as it is when it is locked: another sweep may have had it a moment ago.
      and credentials.status = 'active' and coalesce(credentials.lease_expires_at, '-infinity') <= at
      and (not ranked.renew or public.refreshable_from(credentials) <= at)
    -- Not the oldest first: those that cannot be refreshed would always be in front.
    order by ranked.renew desc, ranked.last_attempted_at nulls first, ranked.due_at
    limit (payload ->> 'limit')::integer
    for update of credentials skip locked
  ),
  leased as (
    update public.instagram_credentials as credentials
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

comment on function public.claim_refreshes(jsonb) is
  'Leases accounts that are due to the caller, at most `limit`, and answers them; no account goes to two callers. A paused '
  'login product gets none, a suspended one a single probe, one whose call limit is nearly used up `slow_limit`.';

create function public.claim_refresh(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  account public.instagram_business_accounts;
  credentials public.instagram_credentials;
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
  select * into credentials from public.instagram_credentials where business_account_id = account.id for update;
  select greatest(credentials.refresh_not_before, max(brake.paused_until)) into paused_until
  from public.refresh_brakes as brake
  where brake.provider = account.provider;

  state := case
    when account.status <> 'active' then account.status
    when credentials.lease_expires_at > at then 'leased'
    when public.refreshable_from(credentials) > at then 'too_young'
    when paused_until > at then 'paused'
    else 'claimed'
  end;
  if state = 'claimed' then
    update public.instagram_credentials
    set
      lease_owner = payload ->> 'owner',
      lease_expires_at = at + make_interval(secs => (payload ->> 'lease_s')::double precision),
      last_attempted_at = at
    where business_account_id = account.id;
  end if;
  return jsonb_build_object(
    'state', state,
    'account', public.account_view(account),
    'reconnect_reason', account.reconnect_reason,
    'last_refreshed_at', credentials.last_refreshed_at,
    'leased_by', case state when 'leased' then credentials.lease_owner end,
    'possible_from', case state
      when 'too_young' then public.refreshable_from(credentials)
      when 'paused' then paused_until
    end,
    'task', case state when 'claimed' then public.refresh_task(credentials, account) end
  );
end;
$$;

comment on function public.claim_refresh(jsonb) is
  'Leases one account of a user to the caller. `state` is claimed, leased (somebody else works on it), too_young, paused, '
  'needs_reauth or disconnected; null when the user has no such account.';

create function public.leased_refreshes(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select case when payload is not null then coalesce(
    (
      select jsonb_agg(public.refresh_task(credentials, account) order by account.id)
      from public.instagram_credentials as credentials
      join public.instagram_business_accounts as account on account.id = credentials.business_account_id
      where account.id = any (array(select value::uuid from jsonb_array_elements_text(payload -> 'account_ids')))
        and credentials.status = 'active'
        and credentials.lease_owner = payload ->> 'owner'
        and credentials.lease_expires_at > (payload ->> 'now')::timestamptz
        and not exists (
          select from public.refresh_brakes as brake
          where brake.provider = credentials.provider and brake.paused_until > (payload ->> 'now')::timestamptz
        )
    ),
    '[]'
  ) end;
$$;

comment on function public.leased_refreshes(jsonb) is
  'Those of the given accounts that the caller still holds the lease of: what is finished, lost, ended or paused is left out.';

create function public.end_connection(
  account public.instagram_business_accounts, failure jsonb, at timestamptz
) returns void
language plpgsql
security invoker
set search_path = ''
as $$
begin
  update public.instagram_credentials
  set
    status = 'needs_reauth',
    failure_code = (failure ->> 'code')::integer,
    failure_subcode = (failure ->> 'subcode')::integer,
    failed_at = at,
    lease_owner = null,
    lease_expires_at = null,
    updated_at = now()
  where business_account_id = account.id and status = 'active';
  if not found then
    return;
  end if;
  update public.instagram_business_accounts
  set
    status = 'needs_reauth',
    reconnect_reason = failure ->> 'reason',
    reconnect_hint = failure ->> 'hint',
    reconnect_before = null,
    updated_at = now()
  where id = account.id;
  perform public.announce('instagram.connection.needs_reauth', account, failure, at);
end;
$$;

comment on function public.end_connection(public.instagram_business_accounts, jsonb, timestamptz) is
  'Marks an account whose token is dead, once, and announces it. `failure`: code, subcode, reason, hint.';

create function public.announce(
  type text, account public.instagram_business_accounts, about jsonb, at timestamptz
) returns void
language sql
security invoker
set search_path = ''
as $$
  insert into public.outgoing_events (type, business_account_id, detail, created_at)
  values (
    type,
    account.id,
    jsonb_build_object(
      'businessAccountId', account.id,
      'userId', account.user_id,
      'provider', account.provider,
      'instagramBusinessId', account.instagram_business_id,
      'username', account.username,
      'reason', about -> 'reason',
      'hint', about -> 'hint',
      'reconnectBefore', about -> 'before',
      'metaCode', about -> 'code',
      'metaSubcode', about -> 'subcode',
      'occurredAt', at
    ),
    at
  );
$$;

comment on function public.announce(text, public.instagram_business_accounts, jsonb, timestamptz) is
  'Writes an event down, in the same transaction as what it tells of.';

create function public.note_usage(account_id uuid, observed jsonb, at timestamptz) returns void
language sql
security invoker
set search_path = ''
as $$
  insert into public.api_usage (business_account_id, usage_type, used_percent, regain_access_at, observed_at)
  select account_id, entry.usage_type, entry.used_percent, entry.regain_access_at, at
  from jsonb_to_recordset(coalesce(nullif(observed, 'null'), '[]')) as entry (
    usage_type text, used_percent smallint, regain_access_at timestamptz
  )
  on conflict (business_account_id, usage_type) do update set
    used_percent = excluded.used_percent,
    regain_access_at = excluded.regain_access_at,
    observed_at = excluded.observed_at
  where api_usage.observed_at <= excluded.observed_at;
$$;

comment on function public.note_usage(uuid, jsonb, timestamptz) is
  'Keeps what Meta''s usage headers said when an account was called.';

create function public.finish_refresh(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  renewal constant jsonb := nullif(payload -> 'renewal', 'null');
  request constant jsonb := nullif(payload -> 'renewal' -> 'reconnect', 'null');
  failure constant jsonb := nullif(payload -> 'failure', 'null');
  subscription constant jsonb := nullif(payload -> 'subscription', 'null');
  is_kept constant boolean := coalesce((payload ->> 'is_kept')::boolean, false);
  account public.instagram_business_accounts;
  credentials public.instagram_credentials;
begin
  if payload is null then
    return null;
  end if;

  -- Accounts before credentials, as everybody else locks them.
  select * into account
  from public.instagram_business_accounts
  where id = (payload ->> 'account_id')::uuid
  for update;
  select * into credentials
  from public.instagram_credentials
  where business_account_id = account.id
    -- What was kept may come after a sweep that found the former token dead, where Meta ends it with the new one: then Meta
    -- names no cause of its person's.
    and (status = 'active' or status = 'needs_reauth' and is_kept and coalesce(failure_subcode, 0) in (0, 463, 467))
  for update;
  if not found then
    return jsonb_build_object('is_written', false);
  end if;
  -- Whoever claims, connects or disconnects the account takes the lease away. What was kept because storage did not take
  -- it may come after that, if nothing newer has been stored.
  if credentials.lease_owner is distinct from payload ->> 'owner' and not (
    is_kept
    and credentials.issued_at = (payload ->> 'issued_at')::timestamptz
    and credentials.last_refreshed_at is not distinct from (payload ->> 'last_refreshed_at')::timestamptz
  ) then
    -- The same once more, because the first answer was lost, is written already.
    return jsonb_build_object(
      'is_written', renewal is not null and credentials.last_refreshed_at = (renewal ->> 'obtained_at')::timestamptz,
      'account', public.account_view(account)
    );
  end if;

  if failure is not null then
    perform public.end_connection(account, failure, at);
  else
    update public.instagram_credentials
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
    where business_account_id = account.id;

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
    where stored.id = account.id;

    if credentials.status = 'needs_reauth' then
      perform public.announce('instagram.connection.recovered', account, '{}', at);
    end if;
    if request is not null and account.reconnect_before is null then
      perform public.announce('instagram.connection.reconnect_requested', account, request, at);
    end if;
    if renewal is not null then
      -- One that works tells that it is not Meta or the app.
      update public.refresh_brakes
      set suspended_at = null, suspended_reason = null, updated_at = now()
      where provider = credentials.provider and suspended_at is not null;
    end if;
  end if;

  perform public.note_usage(account.id, payload -> 'usage', at);
  select * into account from public.instagram_business_accounts where id = account.id;
  return jsonb_build_object('is_written', true, 'account', public.account_view(account));
end;
$$;

comment on function public.finish_refresh(jsonb) is
  'Writes what came of a refresh and gives the lease back, in one transaction; writes nothing for whoever lost the lease. A '
  'token that was made meanwhile, by a login or another refresh, took the lease with it and so is never overwritten.';

create function public.release_refreshes(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  released integer;
begin
  if payload is null then
    return null;
  end if;
  -- Accounts before credentials and in one order, as everybody else locks them.
  perform from public.instagram_business_accounts
  where id in (select entry.account_id from jsonb_to_recordset(payload -> 'accounts') as entry (account_id uuid))
  order by instagram_business_id, id
  for update;

  perform public.note_usage(entry.account_id, entry.usage, (payload ->> 'now')::timestamptz)
  from jsonb_to_recordset(payload -> 'accounts') as entry (account_id uuid, usage jsonb)
  -- Not of an account that was deleted meanwhile.
  join public.instagram_credentials as credentials on credentials.business_account_id = entry.account_id
  where credentials.lease_owner = payload ->> 'owner';

  update public.instagram_credentials as credentials
  set
    lease_owner = null,
    lease_expires_at = null,
    refresh_not_before = coalesce(entry.not_before, credentials.refresh_not_before)
  from jsonb_to_recordset(payload -> 'accounts') as entry (account_id uuid, not_before timestamptz)
  where credentials.business_account_id = entry.account_id
    and credentials.lease_owner = payload ->> 'owner';
  get diagnostics released = row_count;
  return to_jsonb(released);
end;
$$;

comment on function public.release_refreshes(jsonb) is
  'Gives leases back without having changed anything else; `not_before` keeps an account from the next sweeps.';

create function public.refresh_witnesses(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select case when payload is not null then coalesce(
    (
      select jsonb_agg(witness.task)
      from (
        select person.task
        from (
          select distinct on (coalesce(account.meta_user_id, account.user_id::text))
            public.refresh_task(credentials, account) as task,
            coalesce(credentials.last_refreshed_at, credentials.issued_at) as worked_at
          from public.instagram_credentials as credentials
          join public.instagram_business_accounts as account on account.id = credentials.business_account_id
          where credentials.status = 'active'
            and credentials.provider = payload ->> 'provider'
            and coalesce(account.meta_user_id, account.user_id::text) not in (
              select jsonb_array_elements_text(payload -> 'except_people')
            )
          order by coalesce(account.meta_user_id, account.user_id::text),
            coalesce(credentials.last_refreshed_at, credentials.issued_at) desc
        ) as person
        -- Those that were last known to work.
        order by person.worked_at desc
        limit (payload ->> 'limit')::integer
      ) as witness
    ),
    '[]'
  ) end;
$$;

comment on function public.refresh_witnesses(jsonb) is
  'One account each of other people, to find out whether their tokens work: that tells a dead token from a blocked app.';

create function public.brake_refreshes(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  was_suspended boolean;
begin
  if payload is null then
    return null;
  end if;
  insert into public.refresh_brakes (provider) values (payload ->> 'provider') on conflict (provider) do nothing;
  select suspended_at is not null into was_suspended
  from public.refresh_brakes
  where provider = payload ->> 'provider'
  for update;
  update public.refresh_brakes
  set
    paused_until = greatest(paused_until, (payload ->> 'paused_until')::timestamptz),
    app_used_percent = coalesce((payload ->> 'app_used_percent')::smallint, app_used_percent),
    app_used_at = case when payload ->> 'app_used_percent' is null then app_used_at else at end,
    suspended_at = case
      when (payload ->> 'is_resumed')::boolean then null
      when payload ->> 'suspended_reason' is null then suspended_at
      else coalesce(suspended_at, at)
    end,
    suspended_reason = case
      when (payload ->> 'is_resumed')::boolean then null
      else coalesce(payload ->> 'suspended_reason', suspended_reason)
    end,
    updated_at = now()
  where provider = payload ->> 'provider';
  return jsonb_build_object('is_new_suspension', payload ->> 'suspended_reason' is not null and not was_suspended);
end;
$$;

comment on function public.brake_refreshes(jsonb) is
  'Slows, pauses, suspends or resumes the refreshing of a login product; tells whether it suspended what ran before.';

create function public.take_events(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  taken jsonb;
begin
  if payload is null then
    return null;
  end if;
  with
  waiting as (
    select id
    from public.outgoing_events
    where coalesce(taken_until, '-infinity') <= at
    order by created_at
    limit (payload ->> 'limit')::integer
    for update skip locked
  ),
  mine as (
    update public.outgoing_events as event
    set taken_until = at + make_interval(secs => (payload ->> 'lease_s')::double precision)
    from waiting
    where event.id = waiting.id
    returning event.*
  )
  select coalesce(jsonb_agg(jsonb_build_object('id', id, 'type', type, 'detail', detail) order by created_at), '[]')
  into taken
  from mine;
  return taken;
end;
$$;

comment on function public.take_events(jsonb) is
  'Events to publish, the oldest first. They are another''s again if they are not deleted within `lease_s`.';

create function public.delete_events(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  deleted integer;
begin
  if payload is null then
    return null;
  end if;
  delete from public.outgoing_events where id in (select value::uuid from jsonb_array_elements_text(payload -> 'ids'));
  get diagnostics deleted = row_count;
  return to_jsonb(deleted);
end;
$$;

comment on function public.delete_events(jsonb) is 'Deletes events that the event bus has taken.';

create or replace function public.mark_needs_reauth(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  ended integer := 0;
  account public.instagram_business_accounts;
begin
  if payload is null then
    return null;
  end if;

  -- Accounts before credentials and in one order, as everybody else locks them.
  for account in
    select stored.*
    from public.instagram_business_accounts as stored
    join public.instagram_credentials as credentials on credentials.business_account_id = stored.id
    where stored.user_id = (payload ->> 'user_id')::uuid
      and stored.instagram_business_id in (select jsonb_array_elements_text(payload -> 'instagram_business_ids'))
      -- The token that is dead, and none that came after it.
      and credentials.issued_at <= (payload ->> 'issued_at')::timestamptz
      and credentials.status = 'active'
    order by stored.instagram_business_id
    for update of stored
  loop
    -- A refresh or a login may have written between the look and the lock.
    continue when not exists (
      select from public.instagram_credentials as credentials
      where credentials.business_account_id = account.id and credentials.status = 'active'
        and credentials.issued_at <= (payload ->> 'issued_at')::timestamptz
    );
    perform public.end_connection(
      account,
      jsonb_build_object(
        'code', payload -> 'failure_code',
        'subcode', payload -> 'failure_subcode',
        'reason', payload -> 'reason',
        'hint', payload -> 'hint'
      ),
      now()
    );
    ended := ended + 1;
  end loop;
  return to_jsonb(ended);
end;
$$;

create or replace function public.account_view(account public.instagram_business_accounts) returns jsonb
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

revoke all on function
  public.forget_reconnect_request(), public.forget_refreshes(),
  public.refreshable_from(public.instagram_credentials),
  public.spread_place(uuid),
  public.refresh_due_at(public.instagram_credentials, jsonb, boolean),
  public.refresh_task(public.instagram_credentials, public.instagram_business_accounts),
  public.end_connection(public.instagram_business_accounts, jsonb, timestamptz),
  public.announce(text, public.instagram_business_accounts, jsonb, timestamptz),
  public.note_usage(uuid, jsonb, timestamptz),
  public.claim_refreshes(jsonb), public.claim_refresh(jsonb), public.leased_refreshes(jsonb),
  public.finish_refresh(jsonb), public.release_refreshes(jsonb), public.refresh_witnesses(jsonb),
  public.brake_refreshes(jsonb), public.take_events(jsonb), public.delete_events(jsonb)
from public, anon, authenticated;
grant execute on function
  public.forget_reconnect_request(), public.forget_refreshes(),
  public.refreshable_from(public.instagram_credentials),
  public.spread_place(uuid),
  public.refresh_due_at(public.instagram_credentials, jsonb, boolean),
  public.refresh_task(public.instagram_credentials, public.instagram_business_accounts),
  public.end_connection(public.instagram_business_accounts, jsonb, timestamptz),
  public.announce(text, public.instagram_business_accounts, jsonb, timestamptz),
  public.note_usage(uuid, jsonb, timestamptz),
  public.claim_refreshes(jsonb), public.claim_refresh(jsonb), public.leased_refreshes(jsonb),
  public.finish_refresh(jsonb), public.release_refreshes(jsonb), public.refresh_witnesses(jsonb),
  public.brake_refreshes(jsonb), public.take_events(jsonb), public.delete_events(jsonb)
to service_role;

notify pgrst, 'reload schema';
