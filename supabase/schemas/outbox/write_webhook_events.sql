create or replace function instagram_connect.write_webhook_events(
  fresh bigint[], known_before jsonb, at timestamptz, lease interval
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
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
      write_webhook_events.at,
      -- The caller publishes them now; whoever looks later, when it has died.
      write_webhook_events.at + lease
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
  from written;
$$;

comment on function instagram_connect.write_webhook_events(bigint[], jsonb, timestamptz, interval) is
'Writes stored events into the outbox and returns them. The caller publishes them; others may once the lease has ended.
`known_before`: [business_account_id, event_key] of events that were published before.';

revoke all on function instagram_connect.write_webhook_events(bigint[], jsonb, timestamptz, interval) from public;
grant execute on function instagram_connect.write_webhook_events(bigint[], jsonb, timestamptz, interval)
to service_role;
