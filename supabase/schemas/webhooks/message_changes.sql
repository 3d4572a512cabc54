create or replace function instagram_connect.message_changes(fresh bigint[]) returns table (
  business_account_id uuid,
  message_id text,
  participant_id text,
  is_from_us boolean,
  text text,
  attachments jsonb,
  reply_to jsonb,
  sent_at timestamptz,
  edit_number integer,
  edited_text text,
  unsent_at timestamptz,
  read_at timestamptz,
  reactions jsonb
)
language sql
stable
security invoker
set search_path = ''
set timezone = 'UTC'  -- of the times in `reactions`
as $$
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
  group by event.business_account_id, event.message_id;
$$;

comment on function instagram_connect.message_changes(bigint[]) is
'What these events alone say about direct messages, one row for each message, as in instagram_dm_messages.';

revoke all on function instagram_connect.message_changes(bigint[]) from public;
grant execute on function instagram_connect.message_changes(bigint[]) to service_role;
