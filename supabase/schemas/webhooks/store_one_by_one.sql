create or replace function instagram_connect.store_one_by_one(common jsonb, events jsonb, owners jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  event jsonb;
  one jsonb;
  stored jsonb;
  kept jsonb := '[]';
begin
  stored := '{"stored": 0, "unknown": 0, "duplicate": 0, "outgoing": []}';
  for event in select value from jsonb_array_elements(events) loop
    begin
      one := instagram_connect.store_webhook_events(
        common || jsonb_build_object('events', jsonb_build_array(event), 'owners', owners)
      );
      stored := jsonb_build_object(
        'stored', (stored ->> 'stored')::integer + (one ->> 'stored')::integer,
        'unknown', (stored ->> 'unknown')::integer + (one ->> 'unknown')::integer,
        'duplicate', (stored ->> 'duplicate')::integer + (one ->> 'duplicate')::integer,
        'outgoing', (stored -> 'outgoing') || (one -> 'outgoing')
      );
      kept := kept || event;
    exception when others then
      insert into instagram_connect.webhook_events (
        entry_id, event_key, field, kind, event_at, message_id, participant_id, is_from_us, data, payload, received_at
      )
      select
        entry.entry_id, entry.event_key, entry.field, entry.kind, entry.occurred_at, entry.message_id,
        entry.participant_id, entry.is_from_us, entry.data, entry.payload, entry.received_at
      from jsonb_to_record(event) as entry (
        entry_id text, event_key text, field text, kind text, occurred_at timestamptz, received_at timestamptz,
        message_id text, participant_id text, is_from_us boolean, data jsonb, payload jsonb
      );
    end;
  end loop;
  return jsonb_build_object('stored', stored, 'kept', kept);
end;
$$;

comment on function instagram_connect.store_one_by_one(jsonb, jsonb, jsonb) is
'Stores unknown events each for itself after the batch was refused. One that the database refuses stays unknown, as it
was. Returns `stored`, as store_webhook_events() does, and `kept`: the events that were stored.';

revoke all on function instagram_connect.store_one_by_one(jsonb, jsonb, jsonb) from public;
grant execute on function instagram_connect.store_one_by_one(jsonb, jsonb, jsonb) to service_role;
