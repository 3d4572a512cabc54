create or replace function instagram_connect.count_webhook_events(
  events jsonb, fresh bigint[], dropped integer, at timestamptz
) returns void
language sql
security invoker
set search_path = ''
as $$
  insert into instagram_connect.webhook_counts as stored (entry_id, day, received, stored, duplicate, unknown)
  select
    incoming.entry_id,
    (count_webhook_events.at at time zone 'UTC')::date,
    incoming.events,
    coalesce(kept.known, 0),
    incoming.events - coalesce(kept.known, 0) - coalesce(kept.unknown, 0)
      - case incoming.entry_id when '' then dropped else 0 end,
    coalesce(kept.unknown, 0) + case incoming.entry_id when '' then dropped else 0 end
  from (
    select entry_id, sum(found.events)::bigint as events
    from (
      select entry ->> 'entry_id' as entry_id, count(*) as events
      from jsonb_array_elements(events) as entry
      group by 1
      union all
      select '', dropped where dropped > 0
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
$$;

comment on function instagram_connect.count_webhook_events(jsonb, bigint[], integer, timestamptz) is
'Adds a batch to webhook_counts: its events, those of them that are new rows, and how many were not kept.';

revoke all on function instagram_connect.count_webhook_events(jsonb, bigint[], integer, timestamptz) from public;
grant execute on function instagram_connect.count_webhook_events(jsonb, bigint[], integer, timestamptz) to service_role;
