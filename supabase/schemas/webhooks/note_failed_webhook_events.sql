create or replace function instagram_connect.note_failed_webhook_events(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
begin
  if payload is null then
    return null;
  end if;
  insert into instagram_connect.webhook_counts as stored (entry_id, day, received, failed)
  select entry_id, ((payload ->> 'now')::timestamptz at time zone 'UTC')::date, count(*), count(*)
  from jsonb_array_elements_text(payload -> 'entry_ids') as failed (entry_id)
  group by 1
  order by 1
  on conflict (entry_id, day) do update set
    received = stored.received + excluded.received,
    failed = stored.failed + excluded.failed;
  return to_jsonb(jsonb_array_length(payload -> 'entry_ids'));
end;
$$;

comment on function instagram_connect.note_failed_webhook_events(jsonb) is
'Counts events that went to the dead-letter queue.';

revoke all on function instagram_connect.note_failed_webhook_events(jsonb) from public;
grant execute on function instagram_connect.note_failed_webhook_events(jsonb) to service_role;
