create or replace function instagram_connect.store_webhook_events(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  events jsonb := payload -> 'events';
  lease constant interval := make_interval(secs => (payload ->> 'lease_s')::double precision);
  owners constant jsonb := coalesce(payload -> 'owners', '[]');
  -- Events that were stored before and are parsed again are not published again.
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

  dropped := instagram_connect.events_of_erased_people(events, owners);
  if cardinality(dropped) > 0 then
    select coalesce(jsonb_agg(entry.value order by entry.place), '[]')
    into events
    from jsonb_array_elements(events) with ordinality as entry (value, place)
    where entry.place <> all (dropped);
  end if;

  fresh := instagram_connect.insert_webhook_events(events, owners, locked, at);
  perform instagram_connect.apply_direct_messages(fresh);
  outgoing := instagram_connect.write_webhook_events(fresh, known_before, at, lease);
  if is_first_time then
    perform instagram_connect.count_webhook_events(events, fresh, cardinality(dropped), at);
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
'Stores a batch of events, each once for every user who has connected its account; brings messages and conversations up
to date; counts; writes down what is to be published and leaves that to the caller for `lease_s`. Safe to repeat.';

revoke all on function instagram_connect.store_webhook_events(jsonb) from public;
grant execute on function instagram_connect.store_webhook_events(jsonb) to service_role;
