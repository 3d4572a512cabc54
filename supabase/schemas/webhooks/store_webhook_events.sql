create or replace function instagram_connect.store_webhook_events(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  events jsonb := payload -> 'events';
  lease constant interval := make_interval(secs => (payload ->> 'lease_s')::double precision);
  -- Of events that were stored before and are parsed again: nobody is told of these once more.
  known_before constant jsonb := coalesce(payload -> 'known_before', '[]');
  is_first_time constant boolean := coalesce((payload ->> 'is_first_time')::boolean, true);
  locked uuid[];
  dropped bigint[];
  fresh bigint[];
  outgoing jsonb;
  counted record;
begin
  if payload is null then
    return null;
  end if;

  locked := instagram_connect.lock_accounts_of(
    array(select distinct entry ->> 'entry_id' from jsonb_array_elements(events) as entry where entry ->> 'entry_id' <> '')
  );

  -- What had happened when a person's data was deleted, and was still under way, is not kept: unless somebody else has
  -- the account. Counted under no name.
  select coalesce(array_agg(place), '{}')
  into dropped
  from jsonb_array_elements(events) with ordinality as entry (value, place)
  join (
    select ids.entry_id, max(request.requested_at) as requested_at
    from (select distinct value ->> 'entry_id' as entry_id from jsonb_array_elements(events)) as ids
    join instagram_connect.data_deletion_requests as request
      on request.erased_entry_hashes @> array[instagram_connect.meta_user_hash(ids.entry_id)]
    where not exists (
        select from public.instagram_business_accounts as account
        where account.instagram_business_id = ids.entry_id and account.status <> 'disconnected'
      )
      and not exists (
        select from public.instagram_business_accounts as account
        where account.page_id = ids.entry_id and account.status <> 'disconnected'
      )
    group by ids.entry_id
  ) as erased on erased.entry_id = entry.value ->> 'entry_id'
  -- Clocks differ; and what has no time has none that would save it.
  where coalesce((entry.value ->> 'occurred_at')::timestamptz, '-infinity') <= erased.requested_at + interval '1 minute'
    -- Parsed again, what is somebody else's stays theirs, also once they have disconnected.
    and not exists (
      select from jsonb_to_recordset(coalesce(payload -> 'owners', '[]')) as owner (
        entry_id text, received_at timestamptz, business_account_id uuid
      )
      where owner.entry_id = erased.entry_id
        and owner.received_at = (entry.value ->> 'received_at')::timestamptz
        and owner.business_account_id is not null
    );
  if cardinality(dropped) > 0 then
    select coalesce(jsonb_agg(entry.value order by entry.place), '[]')
    into events
    from jsonb_array_elements(events) with ordinality as entry (value, place)
    where entry.place <> all (dropped);
  end if;

  with
  incoming as (
    select *
    from jsonb_to_recordset(events) as entry (
      entry_id text, event_key text, field text, kind text, occurred_at timestamptz, received_at timestamptz,
      message_id text, participant_id text, other_end_id text, is_from_us boolean, data jsonb, payload jsonb
    )
  ),
  -- Whose the events are that were stored before, or are meant for an account since a time.
  owned as (
    select *
    from jsonb_to_recordset(coalesce(payload -> 'owners', '[]')) as owner (
      entry_id text, received_at timestamptz, business_account_id uuid
    )
  ),
  ids as (
    select distinct entry_id from incoming where entry_id <> ''
  ),
  -- Two joins, because one with an OR in it cannot use the indexes.
  accounts as (
    select ids.entry_id, account.id
    from ids join public.instagram_business_accounts as account on account.instagram_business_id = ids.entry_id
    where account.status <> 'disconnected' and account.id = any (locked)
    union
    select ids.entry_id, account.id
    from ids join public.instagram_business_accounts as account on account.page_id = ids.entry_id
    where account.status <> 'disconnected' and account.id = any (locked)
  ),
  inserted as (
    insert into instagram_connect.webhook_events (
      business_account_id, entry_id, event_key, field, kind, event_at, message_id, participant_id, is_from_us, data,
      payload, received_at
    )
    select
      coalesce(owned.business_account_id, accounts.id), incoming.entry_id, incoming.event_key, incoming.field,
      incoming.kind, incoming.occurred_at, incoming.message_id,
      case when own.is_participant then incoming.other_end_id else incoming.participant_id end,
      incoming.is_from_us or own.is_participant,
      incoming.data, incoming.payload, coalesce(incoming.received_at, at)
    from incoming
    left join owned on owned.entry_id = incoming.entry_id and owned.received_at = incoming.received_at
    left join accounts on owned.entry_id is null and accounts.entry_id = incoming.entry_id
    -- Where Meta names the Page, a talk's ends are known apart by the account's own id.
    cross join lateral (
      select coalesce(bool_or(incoming.participant_id = account.instagram_business_id), false)
        and incoming.other_end_id is distinct from incoming.participant_id as is_participant
      from public.instagram_business_accounts as account
      where account.id = coalesce(owned.business_account_id, accounts.id)
        and account.page_id = incoming.entry_id
    ) as own
    order by coalesce(owned.business_account_id, accounts.id), incoming.entry_id, incoming.event_key
    on conflict do nothing
    returning id
  )
  select coalesce(array_agg(id), '{}') into fresh from inserted;

  perform instagram_connect.apply_direct_messages(fresh);

  with written as (
    insert into instagram_connect.outgoing_events (type, business_account_id, detail, created_at, taken_until)
    select
      'instagram.webhook.' || event.kind,
      event.business_account_id,
      jsonb_build_object(
        'eventKey', event.event_key,
        'businessAccountId', event.business_account_id,
        'userId', account.user_id,
        'instagramBusinessId', account.instagram_business_id,
        'kind', event.kind,
        'field', event.field,
        'occurredAt', event.event_at,
        'receivedAt', event.received_at,
        'participantId', event.participant_id,
        'messageId', event.message_id,
        'isFromUs', event.is_from_us,
        'data', event.data
      ),
      at,
      -- The caller publishes them now; whoever looks later, when it has died.
      at + lease
    from instagram_connect.webhook_events as event
    join public.instagram_business_accounts as account on account.id = event.business_account_id
    where event.id = any (fresh)
      and event.kind not in ('test', 'unparsed')
      and account.status <> 'disconnected'
      and not known_before @> jsonb_build_array(jsonb_build_array(event.business_account_id, event.event_key))
    order by event.id
    returning *
  )
  select coalesce(jsonb_agg(jsonb_build_object('id', id, 'type', type, 'detail', detail)), '[]')
  into outgoing
  from written;

  if is_first_time then
    insert into instagram_connect.webhook_counts as stored (entry_id, day, received, stored, duplicate, unknown)
    select
      incoming.entry_id,
      (at at time zone 'UTC')::date,
      incoming.events,
      coalesce(kept.known, 0),
      incoming.events - coalesce(kept.known, 0) - coalesce(kept.unknown, 0)
        - case incoming.entry_id when '' then cardinality(dropped) else 0 end,
      coalesce(kept.unknown, 0) + case incoming.entry_id when '' then cardinality(dropped) else 0 end
    from (
      select entry_id, sum(found.events)::bigint as events
      from (
        select entry ->> 'entry_id' as entry_id, count(*) as events
        from jsonb_array_elements(events) as entry
        group by 1
        union all
        select '', cardinality(dropped) where cardinality(dropped) > 0
      ) as found
      group by entry_id
    ) as incoming
    left join (
      select
        event.entry_id,
        -- Of an account that several users have connected, each event once.
        count(distinct event.event_key) filter (where event.business_account_id is not null) as known,
        count(*) filter (where event.business_account_id is null) as unknown
      from instagram_connect.webhook_events as event
      where event.id = any (fresh)
      group by event.entry_id
    ) as kept using (entry_id)
    order by incoming.entry_id
    on conflict (entry_id, day) do update set
      received = stored.received + excluded.received,
      stored = stored.stored + excluded.stored,
      duplicate = stored.duplicate + excluded.duplicate,
      unknown = stored.unknown + excluded.unknown;
  end if;

  select
    count(distinct (event.entry_id, event.event_key)) filter (where event.business_account_id is not null) as stored,
    count(*) filter (where event.business_account_id is null) as unknown
  into counted
  from instagram_connect.webhook_events as event
  where event.id = any (fresh);
  return jsonb_build_object(
    'stored', counted.stored,
    'unknown', counted.unknown,
    'duplicate', jsonb_array_length(events) - counted.stored - counted.unknown,
    'outgoing', outgoing
  );
end;
$$;

comment on function instagram_connect.store_webhook_events(jsonb) is
  'Stores a batch of events, each once for every user who has connected its account; brings messages and conversations up '
  'to date; counts; writes down what is to be published and leaves that to the caller for `lease_s`. Safe to repeat.';

revoke all on function instagram_connect.store_webhook_events(jsonb) from public;
grant execute on function instagram_connect.store_webhook_events(jsonb) to service_role;
