create or replace function instagram_connect.erase_unsent_messages(fresh bigint[]) returns void
language plpgsql
security invoker
set search_path = ''
as $$
begin
  -- What its author has taken back is not kept in the event either. Asked after the message's row is locked, so that of
  -- a message and its unsending at the same moment the later one finds the other.
  update instagram_connect.webhook_events as event
  set payload = '{"erased": "unsent"}', data = '{}'
  from instagram_connect.instagram_dm_messages as message
  where (message.business_account_id, message.message_id) in (
      select one.business_account_id, one.message_id
      from instagram_connect.webhook_events as one
      where one.id = any (fresh) and one.message_id is not null
    )
    and message.unsent_at is not null
    and event.business_account_id = message.business_account_id
    and event.message_id = message.message_id
    and event.kind in ('message', 'message_echo', 'message_edited')
    and not event.payload ? 'erased';

  -- Nor in what nobody has published yet. Whoever is publishing it at this moment has it already.
  update instagram_connect.outgoing_events as outgoing
  set detail = outgoing.detail || '{"data": {}}'
  from (
    select waiting.id
    from instagram_connect.outgoing_events as waiting
    join instagram_connect.instagram_dm_messages as message
      on message.business_account_id = waiting.business_account_id
      and message.message_id = waiting.detail ->> 'messageId'
    where (message.business_account_id, message.message_id) in (
        select one.business_account_id, one.message_id
        from instagram_connect.webhook_events as one
        where one.id = any (fresh) and one.message_id is not null
      )
      and message.unsent_at is not null
      and waiting.type in (
        'instagram.webhook.message', 'instagram.webhook.message_echo', 'instagram.webhook.message_edited'
      )
    for update of waiting skip locked
  ) as unpublished
  where outgoing.id = unpublished.id;
end;
$$;

comment on function instagram_connect.erase_unsent_messages(bigint[]) is
'Erases the content of unsent messages from the events and from what is not published yet.';

revoke all on function instagram_connect.erase_unsent_messages(bigint[]) from public;
grant execute on function instagram_connect.erase_unsent_messages(bigint[]) to service_role;
