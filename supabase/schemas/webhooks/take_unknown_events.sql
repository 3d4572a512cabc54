create or replace function instagram_connect.take_unknown_events(ids bigint[]) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  with taken as (
    delete from instagram_connect.webhook_events as event
    using (select id from instagram_connect.webhook_events where id = any (ids) order by id for update skip locked) as locked
    where event.id = locked.id and event.business_account_id is null
    returning event.*
  )
  select coalesce(
    jsonb_agg(
      jsonb_build_object(
        'entry_id', entry_id, 'event_key', event_key, 'field', field, 'kind', kind, 'occurred_at', event_at,
        'received_at', received_at, 'message_id', message_id, 'participant_id', participant_id, 'is_from_us', is_from_us,
        'data', data, 'payload', taken.payload
      )
    ),
    '[]'
  )
  from taken;
$$;

comment on function instagram_connect.take_unknown_events(bigint[]) is
'Deletes events that have no account and returns them as store_webhook_events() takes them. Skips those that are
locked.';

revoke all on function instagram_connect.take_unknown_events(bigint[]) from public;
grant execute on function instagram_connect.take_unknown_events(bigint[]) to service_role;
