create or replace function instagram_connect.store_conversations(fresh bigint[]) returns void
language plpgsql
security invoker
set search_path = ''
as $$
begin
  insert into instagram_connect.instagram_dm_conversations as stored (
    business_account_id, participant_id, last_message_id, last_message_at, last_inbound_at, last_read_at
  )
  select
    event.business_account_id,
    event.participant_id,
    (array_agg(
      event.message_id order by coalesce(event.event_at, event.received_at) desc, event.message_id desc nulls last
    ) filter (where event.kind in ('message', 'message_echo')))[1],
    max(coalesce(event.event_at, event.received_at)) filter (where event.kind in ('message', 'message_echo')),
    max(coalesce(event.event_at, event.received_at))
      filter (where event.kind in ('message', 'postback') and not event.is_from_us),
    max(coalesce(event.event_at, event.received_at)) filter (where event.kind = 'read' and not event.is_from_us)
  from instagram_connect.webhook_events as event
  where event.id = any (fresh)
    and event.business_account_id is not null
    and event.participant_id is not null
    and event.kind in (
      'message', 'message_echo', 'message_edited', 'message_unsent', 'reaction', 'read', 'postback', 'referral', 'optin'
    )
  group by event.business_account_id, event.participant_id
  order by event.business_account_id, event.participant_id
  on conflict (business_account_id, participant_id) do update set
    last_message_id = case
      when stored.last_message_at is null
        or (excluded.last_message_at, coalesce(excluded.last_message_id, ''))
          > (stored.last_message_at, coalesce(stored.last_message_id, ''))
        then excluded.last_message_id
      else stored.last_message_id
    end,
    last_message_at = greatest(stored.last_message_at, excluded.last_message_at),
    last_inbound_at = greatest(stored.last_inbound_at, excluded.last_inbound_at),
    last_read_at = greatest(stored.last_read_at, excluded.last_read_at),
    updated_at = now();
end;
$$;

comment on function instagram_connect.store_conversations(bigint[]) is
'Brings instagram_dm_conversations up to date with stored events. Repeating it, or another order, changes nothing.';

revoke all on function instagram_connect.store_conversations(bigint[]) from public;
grant execute on function instagram_connect.store_conversations(bigint[]) to service_role;
