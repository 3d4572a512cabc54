create or replace function instagram_connect.adopt_webhook_events(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  room constant integer := payload ->> 'limit';
  meant bigint[];
  entry_ids text[];
  owners jsonb;
  common constant jsonb := jsonb_build_object(
    'now', at, 'lease_s', payload -> 'lease_s', 'is_first_time', false
  );
  adopted jsonb;
  stored jsonb;
  one jsonb;
begin
  if payload is null then
    return null;
  end if;

  -- Meta's webhooks begin with the subscription, which is before an account is stored; a parked one by up to days.
  select coalesce(array_agg(found.id), '{}'), coalesce(array_agg(distinct found.entry_id), '{}')
  into meant, entry_ids
  from (
    select event.id, event.entry_id
    from public.instagram_business_accounts as account
    join instagram_connect.webhook_events as event
      on event.business_account_id is null
      and event.entry_id in (account.instagram_business_id, account.page_id)
      and event.received_at >= account.connected_at
    where account.status <> 'disconnected' and account.updated_at > at - interval '1 day'
    limit room
  ) as found;
  perform instagram_connect.lock_accounts_of(entry_ids);

  -- Who else has connected the account later has no claim to them.
  select coalesce(
    jsonb_agg(
      distinct jsonb_build_object(
        'entry_id', event.entry_id, 'received_at', event.received_at, 'business_account_id', account.id
      )
    ),
    '[]'
  )
  into owners
  from instagram_connect.webhook_events as event
  join public.instagram_business_accounts as account
    on event.entry_id in (account.instagram_business_id, account.page_id)
    and account.connected_at <= event.received_at
    and account.status <> 'disconnected'
  where event.id = any (meant);

  adopted := instagram_connect.take_unknown_events(meant);
  begin
    stored := instagram_connect.store_webhook_events(common || jsonb_build_object('events', adopted, 'owners', owners));
  exception when others then
    -- A refused event must not hold up the others, which may be of other accounts.
    one := instagram_connect.store_one_by_one(common, adopted, owners);
    stored := one -> 'stored';
    adopted := one -> 'kept';
  end;

  -- After everything else, as everybody locks them.
  insert into instagram_connect.webhook_counts as counts (entry_id, day, stored, unknown)
  select
    entry ->> 'entry_id',
    ((entry ->> 'received_at')::timestamptz at time zone 'UTC')::date,
    count(*),
    -count(*)
  from jsonb_array_elements(adopted) as entry
  group by 1, 2
  order by 1, 2
  on conflict (entry_id, day) do update set
    stored = counts.stored + excluded.stored,
    unknown = counts.unknown + excluded.unknown;
  return stored;
end;
$$;

comment on function instagram_connect.adopt_webhook_events(jsonb) is
'Gives events that came before their account was stored to that account, at most `limit`; answers as
store_webhook_events() does.';

revoke all on function instagram_connect.adopt_webhook_events(jsonb) from public;
grant execute on function instagram_connect.adopt_webhook_events(jsonb) to service_role;
