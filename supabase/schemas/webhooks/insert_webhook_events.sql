create or replace function instagram_connect.insert_webhook_events(
  events jsonb, owners jsonb, locked uuid[], at timestamptz
) returns bigint[]
language sql
security invoker
set search_path = ''
as $$
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
    from jsonb_to_recordset(owners) as owner (
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
    insert into instagram_connect.webhook_events (
      business_account_id, entry_id, event_key, field, kind, event_at, message_id, participant_id, is_from_us, data,
      payload, received_at
    )
    select
      coalesce(owned.business_account_id, accounts.id), incoming.entry_id, incoming.event_key, incoming.field,
      incoming.kind, incoming.occurred_at, incoming.message_id,
      case when own.is_participant then incoming.other_end_id else incoming.participant_id end,
      incoming.is_from_us or own.is_participant,
      incoming.data, incoming.payload, coalesce(incoming.received_at, insert_webhook_events.at)
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
  select coalesce(array_agg(id), '{}') from inserted;
$$;

comment on function instagram_connect.insert_webhook_events(jsonb, jsonb, uuid[], timestamptz) is
'Inserts events, each once for every user who has connected its account, and returns the ids of the new rows. `locked`:
accounts from lock_accounts_of(). `owners`: whose the events are that were stored before.';

revoke all on function instagram_connect.insert_webhook_events(jsonb, jsonb, uuid[], timestamptz) from public;
grant execute on function instagram_connect.insert_webhook_events(jsonb, jsonb, uuid[], timestamptz) to service_role;
