create or replace function instagram_connect.kept_webhook_events(payload jsonb) returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  asked constant jsonb := payload;
  after_id constant bigint := asked ->> 'after_id';
  until_id bigint := least((asked ->> 'until_id')::bigint, after_id + (asked ->> 'window')::bigint);
  found jsonb;
begin
  if asked is null then
    return null;
  end if;
  select coalesce(jsonb_agg(to_jsonb(kept) order by kept.id), '[]')
  into found
  from (
    select event.id, event.event_key, event.payload, event.received_at
    from instagram_connect.webhook_events as event
    where event.id > after_id and event.id <= until_id
      and not event.payload ? 'erased'
      and (asked ->> 'kind' is null or event.kind = asked ->> 'kind')
      and (asked ->> 'entry_id' is null or event.entry_id = asked ->> 'entry_id')
      and (asked ->> 'since' is null or event.received_at >= (asked ->> 'since')::timestamptz)
    order by event.id
    limit (asked ->> 'limit')::integer
  ) as kept;
  if jsonb_array_length(found) = (asked ->> 'limit')::integer then
    until_id := (found -> -1 ->> 'id')::bigint;
  end if;
  return jsonb_build_object('events', found, 'until_id', until_id);
end;
$$;

comment on function instagram_connect.kept_webhook_events(jsonb) is
'Stored events with their payloads, of a kind, an account or since a time: the first `limit` with ids after `after_id`,
up to `until_id`, among `window` ids at most. `until_id` of the answer is where to go on.';

revoke all on function instagram_connect.kept_webhook_events(jsonb) from public;
grant execute on function instagram_connect.kept_webhook_events(jsonb) to service_role;
