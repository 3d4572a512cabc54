create or replace function instagram_connect.events_of_erased_people(events jsonb, owners jsonb) returns bigint[]
language sql
stable
security invoker
set search_path = ''
as $$
  -- What had happened when a person's data was deleted, and was still under way, is not kept: unless somebody else has
  -- the account. Counted under no name.
  select coalesce(array_agg(place), '{}')
  from jsonb_array_elements(events) with ordinality as entry (value, place)
  join (
    select ids.entry_id, max(request.requested_at) as requested_at
    from (select distinct value ->> 'entry_id' as entry_id from jsonb_array_elements(events)) as ids
    join instagram_connect.data_deletion_requests as request
      on request.erased_entry_hashes @> array[instagram_connect.meta_user_hash(ids.entry_id)]
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
      select from jsonb_to_recordset(owners) as owner (
        entry_id text, received_at timestamptz, business_account_id uuid
      )
      where owner.entry_id = erased.entry_id
        and owner.received_at = (entry.value ->> 'received_at')::timestamptz
        and owner.business_account_id is not null
    );
$$;

comment on function instagram_connect.events_of_erased_people(jsonb, jsonb) is
'Positions of events, from 1, that must not be kept: they happened before a person''s data was deleted and were still
on their way. An event is kept if somebody else has its account connected, or owns it already.';

revoke all on function instagram_connect.events_of_erased_people(jsonb, jsonb) from public;
grant execute on function instagram_connect.events_of_erased_people(jsonb, jsonb) to service_role;
