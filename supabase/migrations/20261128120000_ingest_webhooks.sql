-- Webhooks: every event once, direct messages and conversations that end the same in whatever order events come, what
-- consumers are told, and an account of what became of everything that Meta delivered.
--
-- Two of these functions at work on the same account never wait for each other in a circle: all take accounts, events,
-- messages, conversations, counts in this order, and rows of one table sorted by their keys.

alter table public.webhook_events
  drop constraint webhook_events_business_account_id_event_key_key,
  add column entry_id text not null default '',
  add column kind text not null default 'other',
  add column message_id text,
  add column participant_id text,
  add column is_from_us boolean not null default false,
  add column data jsonb not null default '{}',
  add unique (business_account_id, event_key);

comment on column public.webhook_events.business_account_id is
  'Null while nobody has connected the account that it is about.';
comment on column public.webhook_events.entry_id is 'Meta''s id of the account: what the webhook carries as entry.id.';
comment on column public.webhook_events.event_key is
  'The same whenever the event comes again. docs/webhooks.md lists the keys.';
comment on column public.webhook_events.field is 'Meta''s name of the subscription field.';
comment on column public.webhook_events.kind is 'What happened, in our words: docs/webhooks.md lists the kinds.';
comment on column public.webhook_events.event_at is
  'When it happened as Meta says; when Meta sent it, where the event itself has no time.';
comment on column public.webhook_events.data is 'The event as consumers get it.';
comment on column public.webhook_events.payload is
  'A webhook body with this event alone, so that it can be parsed again; erased once its message is unsent.';

create unique index on public.webhook_events (entry_id, event_key) where business_account_id is null;
create index on public.webhook_events (business_account_id, message_id) where message_id is not null;
create index on public.webhook_events using brin (received_at);

alter table public.instagram_dm_conversations
  add column last_inbound_at timestamptz,
  add column last_read_at timestamptz;

comment on column public.instagram_dm_conversations.last_message_at is
  'When the newest message was sent, whoever sent it and whenever it arrived.';
comment on column public.instagram_dm_conversations.last_inbound_at is
  'When the customer last wrote: Meta''s window for answers counts from then.';
comment on column public.instagram_dm_conversations.last_read_at is 'When the customer was last seen reading.';

create index on public.instagram_dm_conversations (business_account_id, last_message_at desc);

create table public.instagram_dm_messages (
  business_account_id uuid not null references public.instagram_business_accounts (id) on delete cascade,
  message_id text not null,
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
  reactions jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (business_account_id, message_id)
);

comment on table public.instagram_dm_messages is
  'Direct messages, of customers and of the account itself. Each column only ever moves in one direction, so that it does '
  'not matter in which order events arrive. A row may be there before its message.';
comment on column public.instagram_dm_messages.sent_at is 'Null: only something about the message has arrived so far.';
comment on column public.instagram_dm_messages.is_from_us is 'Whether the account wrote it; null = not known yet.';
comment on column public.instagram_dm_messages.edited_text is 'The text after the edit with the highest number.';
comment on column public.instagram_dm_messages.unsent_at is 'Its author took it back: its content is erased.';
comment on column public.instagram_dm_messages.reactions is
  'By the id of who reacted: {"action", "reaction", "emoji", "at"}, the latest of each; an "unreact" takes it back.';

create index on public.instagram_dm_messages (business_account_id, participant_id, sent_at desc);

create table public.webhook_counts (
  entry_id text not null,
  day date not null,
  received bigint not null default 0,
  stored bigint not null default 0,
  duplicate bigint not null default 0,
  unknown bigint not null default 0,
  failed bigint not null default 0,
  primary key (entry_id, day)
);

comment on table public.webhook_counts is
  'What became of the events that the worker took from the queue, by Meta''s id of the account and by day (UTC): '
  'received = stored + duplicate + unknown + failed.';
comment on column public.webhook_counts.unknown is
  'Kept without an account, until somebody connects it; or, without an id, of a person whose data was deleted, and not kept.';

create index on public.webhook_counts (day);
comment on column public.webhook_counts.failed is 'Refused by the database, and in the dead-letter queue with the reason.';

alter table public.instagram_dm_messages enable row level security;
alter table public.webhook_counts enable row level security;

create policy "owners read their messages" on public.instagram_dm_messages
  for select to authenticated using (business_account_id in (
    select id from public.instagram_business_accounts where user_id = (select auth.uid())));

revoke all on public.instagram_dm_messages, public.webhook_counts from public, anon, authenticated;
grant select on public.instagram_dm_messages to authenticated;
grant select, insert, update, delete on public.instagram_dm_messages, public.webhook_counts to service_role;

create function public.merge_reactions(one jsonb, other jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(jsonb_object_agg(latest.sender, latest.reaction), '{}')
  from (
    select distinct on (each.key) each.key as sender, each.value as reaction
    from (select * from jsonb_each(one) union all select * from jsonb_each(other)) as each
    -- Of two at the same moment always the same one, whichever came first.
    order by each.key, (each.value ->> 'at')::timestamptz desc nulls last, each.value ->> 'action', each.value::text
  ) as latest;
$$;

comment on function public.merge_reactions(jsonb, jsonb) is
  'The latest reaction of each sender, out of two collections of instagram_dm_messages.reactions.';

create function public.apply_direct_messages(fresh bigint[]) returns void
language plpgsql
security invoker
set search_path = ''
set timezone = 'UTC'  -- of the times in `reactions`
as $$
begin
  insert into public.instagram_dm_messages as stored (
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
            from public.webhook_events as one
            where one.id = any (array_agg(event.id)) and one.kind = 'reaction' and one.data ->> 'senderId' is not null
            -- As merge_reactions() has it.
            order by
              one.data ->> 'senderId', one.event_at desc nulls last, one.data ->> 'action',
              ((one.data - 'senderId') || jsonb_build_object('at', one.event_at))::text
          ) as reaction
        ),
        '{}'
      ) as reactions
    from public.webhook_events as event
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
    reactions = public.merge_reactions(stored.reactions, excluded.reactions),
    updated_at = now();

  -- What its author has taken back is not kept in the event either. Asked after the message's row is locked, so that of
  -- a message and its unsending at the same moment the later one finds the other.
  update public.webhook_events as event
  set payload = '{"erased": "unsent"}', data = '{}'
  from public.instagram_dm_messages as message
  where (message.business_account_id, message.message_id) in (
      select one.business_account_id, one.message_id
      from public.webhook_events as one
      where one.id = any (fresh) and one.message_id is not null
    )
    and message.unsent_at is not null
    and event.business_account_id = message.business_account_id
    and event.message_id = message.message_id
    and event.kind in ('message', 'message_echo', 'message_edited')
    and not event.payload ? 'erased';

  -- Nor in what nobody has published yet. Whoever is publishing it at this moment has it already.
  update public.outgoing_events as outgoing
  set detail = outgoing.detail || '{"data": {}}'
  from (
    select waiting.id
    from public.outgoing_events as waiting
    join public.instagram_dm_messages as message
      on message.business_account_id = waiting.business_account_id
      and message.message_id = waiting.detail ->> 'messageId'
    where (message.business_account_id, message.message_id) in (
        select one.business_account_id, one.message_id
        from public.webhook_events as one
        where one.id = any (fresh) and one.message_id is not null
      )
      and message.unsent_at is not null
      and waiting.type in (
        'instagram.webhook.message', 'instagram.webhook.message_echo', 'instagram.webhook.message_edited'
      )
    for update of waiting skip locked
  ) as unpublished
  where outgoing.id = unpublished.id;

  insert into public.instagram_dm_conversations as stored (
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
  from public.webhook_events as event
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

comment on function public.apply_direct_messages(bigint[]) is
  'Brings messages and conversations up to date with stored events. Repeating it, or another order, changes nothing.';

create function public.lock_accounts_of(entry_ids text[]) returns uuid[]
language sql
security invoker
set search_path = ''
as $$
  -- Whatever their state: a deletion waits for events of an account that it has disconnected already, too.
  select coalesce(array_agg(locked.id), '{}')
  from (
    select account.id
    from public.instagram_business_accounts as account
    where account.instagram_business_id = any (entry_ids) or account.page_id = any (entry_ids)
    order by account.instagram_business_id, account.id
    for key share
  ) as locked;
$$;

comment on function public.lock_accounts_of(text[]) is
  'Keeps accounts from being deleted before the events that refer to them are written, and answers them; to be called '
  'before anything else is locked.';

create function public.store_webhook_events(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  events jsonb := payload -> 'events';
  lease constant interval := make_interval(secs => (payload ->> 'lease_s')::double precision);
  -- Of events that were stored before and are parsed again: nobody is told of these once more.
  known_before constant jsonb := coalesce(payload -> 'known_before', '[]');
  is_first_time constant boolean := coalesce((payload ->> 'is_first_time')::boolean, true);
  locked uuid[];
  dropped bigint[];
  fresh bigint[];
  outgoing jsonb;
  counted record;
begin
  if payload is null then
    return null;
  end if;

  locked := public.lock_accounts_of(
    array(select distinct entry ->> 'entry_id' from jsonb_array_elements(events) as entry where entry ->> 'entry_id' <> '')
  );

  -- What had happened when a person's data was deleted, and was still under way, is not kept: unless somebody else has
  -- the account. Counted under no name.
  select coalesce(array_agg(place), '{}')
  into dropped
  from jsonb_array_elements(events) with ordinality as entry (value, place)
  join (
    select ids.entry_id, max(request.requested_at) as requested_at
    from (select distinct value ->> 'entry_id' as entry_id from jsonb_array_elements(events)) as ids
    join public.data_deletion_requests as request
      on request.erased_entry_hashes @> array[public.meta_user_hash(ids.entry_id)]
    where not exists (
        select from public.instagram_business_accounts as account
        where account.instagram_business_id = ids.entry_id and account.status <> 'disconnected'
      )
      and not exists (
        select from public.instagram_business_accounts as account
        where account.page_id = ids.entry_id and account.status <> 'disconnected'
      )
    group by ids.entry_id
  ) as erased on erased.entry_id = entry.value ->> 'entry_id'
  -- Clocks differ; and what has no time has none that would save it.
  where coalesce((entry.value ->> 'occurred_at')::timestamptz, '-infinity') <= erased.requested_at + interval '1 minute'
    -- Parsed again, what is somebody else's stays theirs, also once they have disconnected.
    and not exists (
      select from jsonb_to_recordset(coalesce(payload -> 'owners', '[]')) as owner (
        entry_id text, received_at timestamptz, business_account_id uuid
      )
      where owner.entry_id = erased.entry_id
        and owner.received_at = (entry.value ->> 'received_at')::timestamptz
        and owner.business_account_id is not null
    );
  if cardinality(dropped) > 0 then
    select coalesce(jsonb_agg(entry.value order by entry.place), '[]')
    into events
    from jsonb_array_elements(events) with ordinality as entry (value, place)
    where entry.place <> all (dropped);
  end if;

  with
  incoming as (
    select *
    from jsonb_to_recordset(events) as entry (
      entry_id text, event_key text, field text, kind text, occurred_at timestamptz, received_at timestamptz,
      message_id text, participant_id text, other_end_id text, is_from_us boolean, data jsonb, payload jsonb
    )
  ),
  -- Whose the events are that were stored before, or are meant for an account since a time.
  owned as (
    select *
    from jsonb_to_recordset(coalesce(payload -> 'owners', '[]')) as owner (
      entry_id text, received_at timestamptz, business_account_id uuid
    )
  ),
  ids as (
    select distinct entry_id from incoming where entry_id <> ''
  ),
  -- Two joins, because one with an OR in it cannot use the indexes.
  accounts as (
    select ids.entry_id, account.id
    from ids join public.instagram_business_accounts as account on account.instagram_business_id = ids.entry_id
    where account.status <> 'disconnected' and account.id = any (locked)
    union
    select ids.entry_id, account.id
    from ids join public.instagram_business_accounts as account on account.page_id = ids.entry_id
    where account.status <> 'disconnected' and account.id = any (locked)
  ),
  inserted as (
    insert into public.webhook_events (
      business_account_id, entry_id, event_key, field, kind, event_at, message_id, participant_id, is_from_us, data,
      payload, received_at
    )
    select
      coalesce(owned.business_account_id, accounts.id), incoming.entry_id, incoming.event_key, incoming.field,
      incoming.kind, incoming.occurred_at, incoming.message_id,
      case when own.is_participant then incoming.other_end_id else incoming.participant_id end,
      incoming.is_from_us or own.is_participant,
      incoming.data, incoming.payload, coalesce(incoming.received_at, at)
    from incoming
    left join owned on owned.entry_id = incoming.entry_id and owned.received_at = incoming.received_at
    left join accounts on owned.entry_id is null and accounts.entry_id = incoming.entry_id
    -- Where Meta names the Page, a talk's ends are known apart by the account's own id.
    cross join lateral (
      select coalesce(bool_or(incoming.participant_id = account.instagram_business_id), false)
        and incoming.other_end_id is distinct from incoming.participant_id as is_participant
      from public.instagram_business_accounts as account
      where account.id = coalesce(owned.business_account_id, accounts.id)
        and account.page_id = incoming.entry_id
    ) as own
    order by coalesce(owned.business_account_id, accounts.id), incoming.entry_id, incoming.event_key
    on conflict do nothing
    returning id
  )
  select coalesce(array_agg(id), '{}') into fresh from inserted;

  perform public.apply_direct_messages(fresh);

  with written as (
    insert into public.outgoing_events (type, business_account_id, detail, created_at, taken_until)
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
      at,
      -- The caller publishes them now; whoever looks later, when it has died.
      at + lease
    from public.webhook_events as event
    join public.instagram_business_accounts as account on account.id = event.business_account_id
    where event.id = any (fresh)
      and event.kind not in ('test', 'unparsed')
      and account.status <> 'disconnected'
      and not known_before @> jsonb_build_array(jsonb_build_array(event.business_account_id, event.event_key))
    order by event.id
    returning *
  )
  select coalesce(jsonb_agg(jsonb_build_object('id', id, 'type', type, 'detail', detail)), '[]')
  into outgoing
  from written;

  if is_first_time then
    insert into public.webhook_counts as stored (entry_id, day, received, stored, duplicate, unknown)
    select
      incoming.entry_id,
      (at at time zone 'UTC')::date,
      incoming.events,
      coalesce(kept.known, 0),
      incoming.events - coalesce(kept.known, 0) - coalesce(kept.unknown, 0)
        - case incoming.entry_id when '' then cardinality(dropped) else 0 end,
      coalesce(kept.unknown, 0) + case incoming.entry_id when '' then cardinality(dropped) else 0 end
    from (
      select entry_id, sum(found.events)::bigint as events
      from (
        select entry ->> 'entry_id' as entry_id, count(*) as events
        from jsonb_array_elements(events) as entry
        group by 1
        union all
        select '', cardinality(dropped) where cardinality(dropped) > 0
      ) as found
      group by entry_id
    ) as incoming
    left join (
      select
        event.entry_id,
        -- Of an account that several users have connected, each event once.
        count(distinct event.event_key) filter (where event.business_account_id is not null) as known,
        count(*) filter (where event.business_account_id is null) as unknown
      from public.webhook_events as event
      where event.id = any (fresh)
      group by event.entry_id
    ) as kept using (entry_id)
    order by incoming.entry_id
    on conflict (entry_id, day) do update set
      received = stored.received + excluded.received,
      stored = stored.stored + excluded.stored,
      duplicate = stored.duplicate + excluded.duplicate,
      unknown = stored.unknown + excluded.unknown;
  end if;

  select
    count(distinct (event.entry_id, event.event_key)) filter (where event.business_account_id is not null) as stored,
    count(*) filter (where event.business_account_id is null) as unknown
  into counted
  from public.webhook_events as event
  where event.id = any (fresh);
  return jsonb_build_object(
    'stored', counted.stored,
    'unknown', counted.unknown,
    'duplicate', jsonb_array_length(events) - counted.stored - counted.unknown,
    'outgoing', outgoing
  );
end;
$$;

comment on function public.store_webhook_events(jsonb) is
  'Stores a batch of events, each once for every user who has connected its account; brings messages and conversations up '
  'to date; counts; writes down what is to be published and leaves that to the caller for `lease_s`. Safe to repeat.';

create function public.adopt_webhook_events(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  room constant integer := payload ->> 'limit';
  meant bigint[];
  entry_ids text[];
  owners jsonb;
  common constant jsonb := jsonb_build_object(
    'now', at, 'lease_s', payload -> 'lease_s', 'is_first_time', false
  );
  adopted jsonb;
  kept jsonb := '[]';
  event jsonb;
  stored jsonb;
  one jsonb;
begin
  if payload is null then
    return null;
  end if;

  -- Meta's webhooks begin with the subscription, which is before an account is stored; a parked one by up to days.
  select coalesce(array_agg(found.id), '{}'), coalesce(array_agg(distinct found.entry_id), '{}')
  into meant, entry_ids
  from (
    select event.id, event.entry_id
    from public.instagram_business_accounts as account
    join public.webhook_events as event
      on event.business_account_id is null
      and event.entry_id in (account.instagram_business_id, account.page_id)
      and event.received_at >= account.connected_at
    where account.status <> 'disconnected' and account.updated_at > at - interval '1 day'
    limit room
  ) as found;
  perform public.lock_accounts_of(entry_ids);

  -- Who else has connected the account later has no claim to them.
  select coalesce(
    jsonb_agg(
      distinct jsonb_build_object(
        'entry_id', event.entry_id, 'received_at', event.received_at, 'business_account_id', account.id
      )
    ),
    '[]'
  )
  into owners
  from public.webhook_events as event
  join public.instagram_business_accounts as account
    on event.entry_id in (account.instagram_business_id, account.page_id)
    and account.connected_at <= event.received_at
    and account.status <> 'disconnected'
  where event.id = any (meant);

  with taken as (
    delete from public.webhook_events as event
    using (select id from public.webhook_events where id = any (meant) order by id for update skip locked) as locked
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
  into adopted
  from taken;
  begin
    stored := public.store_webhook_events(common || jsonb_build_object('events', adopted, 'owners', owners));
  exception when others then
    -- One that is refused must not hold up the others, of other accounts too: it stays as it was.
    stored := '{"stored": 0, "unknown": 0, "duplicate": 0, "outgoing": []}';
    for event in select value from jsonb_array_elements(adopted) loop
      begin
        one := public.store_webhook_events(
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
        insert into public.webhook_events (
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
    adopted := kept;
  end;

  -- After everything else, as everybody locks them.
  insert into public.webhook_counts as counts (entry_id, day, stored, unknown)
  select
    entry ->> 'entry_id',
    ((entry ->> 'received_at')::timestamptz at time zone 'UTC')::date,
    count(*),
    -count(*)
  from jsonb_array_elements(adopted) as entry
  group by 1, 2
  order by 1, 2
  on conflict (entry_id, day) do update set
    stored = counts.stored + excluded.stored,
    unknown = counts.unknown + excluded.unknown;
  return stored;
end;
$$;

comment on function public.adopt_webhook_events(jsonb) is
  'Gives events that came before their account was stored to that account, at most `limit`; answers as '
  'store_webhook_events() does.';

create function public.note_failed_webhook_events(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
begin
  if payload is null then
    return null;
  end if;
  insert into public.webhook_counts as stored (entry_id, day, received, failed)
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

comment on function public.note_failed_webhook_events(jsonb) is 'Counts events that went to the dead-letter queue.';

create function public.kept_webhook_events(payload jsonb) returns jsonb
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
    from public.webhook_events as event
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

comment on function public.kept_webhook_events(jsonb) is
  'Stored events with their payloads, of a kind, an account or since a time: the first `limit` with ids after `after_id`, up to '
  '`until_id`, among `window` ids at most. `until_id` of the answer is where to go on.';

create function public.replay_webhook_events(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  ids constant bigint[] := array(select value::bigint from jsonb_array_elements_text(payload -> 'ids'));
  replaced jsonb;
  owners jsonb;
begin
  if payload is null then
    return null;
  end if;
  perform public.lock_accounts_of(
    array(
      select entry_id from public.webhook_events where id = any (ids)
      union
      select entry ->> 'entry_id' from jsonb_array_elements(payload -> 'events') as entry where entry ->> 'entry_id' <> ''
    )
  );
  -- Takes events away that others wait for while they hold what this waits for; so it waits for all of them first.
  lock table public.webhook_events in share row exclusive mode;
  if (select count(*) from public.webhook_events where id = any (ids)) <> cardinality(ids) then
    raise exception 'replay_webhook_events: events have been deleted since they were read' using errcode = '40001';
  end if;

  with taken as (
    delete from public.webhook_events
    where id = any (ids)
    returning business_account_id, entry_id, event_key, received_at
  )
  select
    coalesce(jsonb_agg(jsonb_build_array(business_account_id, event_key)), '[]'),
    -- Each stays whose it was: of who has disconnected since, and of nobody who has connected since.
    coalesce(
      jsonb_agg(
        distinct jsonb_build_object(
          'entry_id', entry_id, 'received_at', received_at, 'business_account_id', business_account_id
        )
      ),
      '[]'
    )
  into replaced, owners
  from taken;
  return public.store_webhook_events(
    jsonb_build_object(
      'now', payload -> 'now', 'lease_s', payload -> 'lease_s', 'events', payload -> 'events',
      'known_before', replaced, 'owners', owners, 'is_first_time', false
    )
  );
end;
$$;

comment on function public.replay_webhook_events(jsonb) is
  'Puts what a parser makes of stored events today in their place, in one transaction. What was told before is not told '
  'again. Answers as store_webhook_events() does.';

create function public.purge_webhook_events(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  unknown_until constant timestamptz := at - make_interval(days => (payload ->> 'unknown_days')::integer);
  known_until constant timestamptz := at - make_interval(days => (payload ->> 'known_days')::integer);
  room constant integer := payload ->> 'limit';
  purged integer;
begin
  if payload is null then
    return null;
  end if;
  delete from public.webhook_events
  where id in (
    select id
    from public.webhook_events
    where received_at < unknown_until and (business_account_id is null or received_at < known_until)
    limit room
    -- Who holds one of them may wait for another; what is in use is old tomorrow, too.
    for update skip locked
  );
  get diagnostics purged = row_count;
  delete from public.webhook_counts where day < (at at time zone 'UTC')::date - (payload ->> 'count_days')::integer;
  return to_jsonb(purged);
end;
$$;

comment on function public.purge_webhook_events(jsonb) is
  'Deletes events of accounts that nobody connected, and events that are old; messages and conversations stay.';

create function public.webhook_report(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'days', coalesce(
      (
        select jsonb_agg(to_jsonb(counted) order by counted.day desc, counted.entry_id)
        from (
          select
            counts.entry_id,
            (
              select max(account.username)
              from public.instagram_business_accounts as account
              where account.instagram_business_id = counts.entry_id or account.page_id = counts.entry_id
            ) as username,
            counts.day, counts.received, counts.stored, counts.duplicate, counts.unknown, counts.failed
          from public.webhook_counts as counts
          where counts.day >= asked.since and (asked.entry_id is null or counts.entry_id = asked.entry_id)
          -- What somebody has to look at before what is as it should be.
          order by counts.failed desc, counts.unknown desc, counts.day desc, counts.received desc
          limit asked.room
        ) as counted
      ),
      '[]'
    ),
    'totals', (
      select jsonb_build_object(
        'received', coalesce(sum(counts.received), 0),
        'stored', coalesce(sum(counts.stored), 0),
        'duplicate', coalesce(sum(counts.duplicate), 0),
        'unknown', coalesce(sum(counts.unknown), 0),
        'failed', coalesce(sum(counts.failed), 0)
      )
      from public.webhook_counts as counts
      where counts.day >= asked.since and (asked.entry_id is null or counts.entry_id = asked.entry_id)
    ),
    'newest_id', (select coalesce(max(id), 0) from public.webhook_events),
    'waiting_to_be_published', (select count(*) from public.outgoing_events where type like 'instagram.webhook.%'),
    'found', case when asked.id is not null then coalesce(
      (
        select jsonb_agg(
          jsonb_build_object(
            'business_account_id', found.business_account_id,
            'entry_id', found.entry_id,
            'event_key', found.event_key,
            'kind', found.kind,
            'event_at', found.event_at,
            'received_at', found.received_at,
            'is_erased', found.payload ? 'erased'
          )
          order by found.received_at
        )
        from (
          -- Account by account, because that is how the index is.
          select event.*
          from public.instagram_business_accounts as account
          cross join lateral (
            select *
            from public.webhook_events as one
            where one.business_account_id = account.id and one.event_key = any (asked.keys)
          ) as event
          where asked.entry_id is null or asked.entry_id in (account.instagram_business_id, account.page_id)
          union all
          select *
          from public.webhook_events as one
          where one.business_account_id is null and one.event_key = any (asked.keys)
            and (asked.entry_id is null or one.entry_id = asked.entry_id)
        ) as found
      ),
      '[]'
    ) end
  )
  from (
    select
      webhook_report.payload ->> 'entry_id' as entry_id,
      webhook_report.payload ->> 'id' as id,
      array[webhook_report.payload ->> 'id'] || array(
        select prefix || (webhook_report.payload ->> 'id')
        from unnest(array['msg:', 'del:', 'cmt:', 'men:', 'pb:', 'si:']) as prefix
      ) as keys,
      ((webhook_report.payload ->> 'now')::timestamptz at time zone 'UTC')::date
        - (webhook_report.payload ->> 'days')::integer as since,
      (webhook_report.payload ->> 'limit')::integer as room
    where webhook_report.payload is not null
  ) as asked;
$$;

comment on function public.webhook_report(jsonb) is
  'Who lost it? What became of what Meta delivered, by account and day, and where the event with a given id is.';

revoke all on function
  public.merge_reactions(jsonb, jsonb), public.apply_direct_messages(bigint[]),
  public.lock_accounts_of(text[]),
  public.store_webhook_events(jsonb), public.adopt_webhook_events(jsonb), public.note_failed_webhook_events(jsonb),
  public.kept_webhook_events(jsonb), public.replay_webhook_events(jsonb), public.purge_webhook_events(jsonb),
  public.webhook_report(jsonb)
from public, anon, authenticated;
grant execute on function
  public.merge_reactions(jsonb, jsonb), public.apply_direct_messages(bigint[]),
  public.lock_accounts_of(text[]),
  public.store_webhook_events(jsonb), public.adopt_webhook_events(jsonb), public.note_failed_webhook_events(jsonb),
  public.kept_webhook_events(jsonb), public.replay_webhook_events(jsonb), public.purge_webhook_events(jsonb),
  public.webhook_report(jsonb)
to service_role;

notify pgrst, 'reload schema';
