create or replace function instagram_connect.apply_direct_messages(fresh bigint[]) returns void
language plpgsql
security invoker
set search_path = ''
set timezone = 'UTC'  -- of the times in `reactions`
as $$
begin
  insert into instagram_connect.instagram_dm_messages as stored (
    business_account_id, message_id, participant_id, is_from_us, text, attachments, reply_to, sent_at, edit_number,
    edited_text, unsent_at, read_at, reactions
  )
  select
    change.business_account_id, change.message_id, change.participant_id, change.is_from_us,
    case when change.unsent_at is null then change.text end,
    case when change.unsent_at is null then change.attachments end,
    case when change.unsent_at is null then change.reply_to end,
    change.sent_at, change.edit_number,
    case when change.unsent_at is null then change.edited_text end,
    change.unsent_at, change.read_at, change.reactions
  from (
    select
      event.business_account_id,
      event.message_id,
      max(event.participant_id) as participant_id,
      -- Whoever edits or unsends a message has written it.
      bool_or(event.is_from_us) filter (where event.kind not in ('reaction', 'read')) as is_from_us,
      max(event.data ->> 'text') filter (where event.kind in ('message', 'message_echo')) as text,
      (array_agg(event.data -> 'attachments') filter (where event.kind in ('message', 'message_echo')))[1] as attachments,
      (array_agg(event.data -> 'replyTo') filter (where event.kind in ('message', 'message_echo')))[1] as reply_to,
      max(coalesce(event.event_at, event.received_at)) filter (where event.kind in ('message', 'message_echo')) as sent_at,
      max(coalesce((event.data ->> 'editNumber')::integer, 0)) filter (where event.kind = 'message_edited') as edit_number,
      (array_agg(
        event.data ->> 'text'
        order by coalesce((event.data ->> 'editNumber')::integer, 0) desc, event.data ->> 'text' desc nulls last
      ) filter (where event.kind = 'message_edited'))[1] as edited_text,
      min(coalesce(event.event_at, event.received_at)) filter (where event.kind = 'message_unsent') as unsent_at,
      min(coalesce(event.event_at, event.received_at)) filter (where event.kind = 'read') as read_at,
      coalesce(
        (
          select jsonb_object_agg(reaction.sender, reaction.described)
          from (
            select distinct on (one.data ->> 'senderId')
              one.data ->> 'senderId' as sender,
              (one.data - 'senderId') || jsonb_build_object('at', one.event_at) as described
            from instagram_connect.webhook_events as one
            where one.id = any (array_agg(event.id)) and one.kind = 'reaction' and one.data ->> 'senderId' is not null
            -- As merge_reactions() has it.
            order by
              one.data ->> 'senderId', one.event_at desc nulls last, one.data ->> 'action',
              ((one.data - 'senderId') || jsonb_build_object('at', one.event_at))::text
          ) as reaction
        ),
        '{}'
      ) as reactions
    from instagram_connect.webhook_events as event
    where event.id = any (fresh)
      and event.business_account_id is not null
      and event.message_id is not null
      and event.kind in ('message', 'message_echo', 'message_edited', 'message_unsent', 'reaction', 'read')
    group by event.business_account_id, event.message_id
    order by event.business_account_id, event.message_id
  ) as change
  on conflict (business_account_id, message_id) do update set
    participant_id = greatest(stored.participant_id, excluded.participant_id),
    is_from_us = greatest(stored.is_from_us, excluded.is_from_us),
    text = case when least(stored.unsent_at, excluded.unsent_at) is null then coalesce(stored.text, excluded.text) end,
    attachments = case
      when least(stored.unsent_at, excluded.unsent_at) is null then coalesce(stored.attachments, excluded.attachments)
    end,
    reply_to = case
      when least(stored.unsent_at, excluded.unsent_at) is null then coalesce(stored.reply_to, excluded.reply_to)
    end,
    sent_at = coalesce(stored.sent_at, excluded.sent_at),
    edit_number = greatest(stored.edit_number, excluded.edit_number),
    edited_text = case
      when least(stored.unsent_at, excluded.unsent_at) is not null then null
      -- Of two with the same number always the same one, whichever came first.
      when (excluded.edit_number, excluded.edited_text is not null, coalesce(excluded.edited_text, ''))
        > (coalesce(stored.edit_number, -1), stored.edited_text is not null, coalesce(stored.edited_text, ''))
        then excluded.edited_text
      else stored.edited_text
    end,
    unsent_at = least(stored.unsent_at, excluded.unsent_at),
    read_at = least(stored.read_at, excluded.read_at),
    reactions = instagram_connect.merge_reactions(stored.reactions, excluded.reactions),
    updated_at = now();

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

comment on function instagram_connect.apply_direct_messages(bigint[]) is
  'Brings messages and conversations up to date with stored events. Repeating it, or another order, changes nothing.';

revoke all on function instagram_connect.apply_direct_messages(bigint[]) from public;
grant execute on function instagram_connect.apply_direct_messages(bigint[]) to service_role;
