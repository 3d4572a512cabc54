create or replace function instagram_connect.delete_person(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  room constant integer := payload ->> 'limit';
  request instagram_connect.data_deletion_requests;
  accounts uuid[];
  revived uuid[];
  entry_ids text[];
  deleted integer;
begin
  if payload is null then
    return null;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('deletion ' || (payload ->> 'meta_user_id'), 0));
  insert into instagram_connect.data_deletion_requests (confirmation_code, meta_user_hash, requested_at)
  values (
    payload ->> 'confirmation_code', instagram_connect.meta_user_hash(payload ->> 'meta_user_id'),
    (payload ->> 'requested_at')::timestamptz
  )
  on conflict (confirmation_code) do nothing;
  select * into request
  from instagram_connect.data_deletion_requests
  where confirmation_code = payload ->> 'confirmation_code'
  for update;
  if request.completed_at is not null then
    return jsonb_build_object('is_complete', true, 'accounts', request.erased_accounts);
  end if;

  with locked as (
    select stored.id, stored.instagram_business_id, stored.page_id, stored.connected_at
    from public.instagram_business_accounts as stored
    where (stored.meta_user_id = payload ->> 'meta_user_id' or stored.instagram_business_id = payload ->> 'meta_user_id')
      and instagram_connect.is_of_person(stored, payload ->> 'meta_user_id')
    order by stored.instagram_business_id, stored.id
    for update
  )
  select
    coalesce(array_agg(id) filter (where connected_at <= request.requested_at), '{}'),
    coalesce(array_agg(id) filter (where connected_at > request.requested_at), '{}'),
    coalesce(
      array_agg(instagram_business_id) filter (where connected_at <= request.requested_at)
        || array_agg(page_id) filter (where connected_at <= request.requested_at and page_id is not null),
      '{}'
    )
  into accounts, revived, entry_ids
  from locked;
  -- What had happened by then and comes while this goes on is not kept either: else it could come faster than it goes.
  update instagram_connect.data_deletion_requests
  set erased_entry_hashes = array(select instagram_connect.meta_user_hash(entry_id) from unnest(entry_ids) as entry_id)
  where id = request.id;

  -- At once, and whatever else there is to delete: no token, and no further event.
  update instagram_connect.instagram_credentials
  set
    status = 'erased',
    access_token_ciphertext = null,
    user_token_ciphertext = null,
    lease_owner = null,
    lease_expires_at = null,
    updated_at = now()
  where business_account_id = any (accounts) and status <> 'erased';
  update public.instagram_business_accounts
  -- Since the request: a login made after it brings the account back, whenever this step is taken.
  set
    status = 'disconnected', disconnected_at = request.requested_at, token_expires_at = null, updated_at = now()
  where id = any (accounts) and status <> 'disconnected';

  -- What there can be millions of goes in steps, each of which fits a statement's time.
  delete from instagram_connect.webhook_events
  where id in (
    select id
    from instagram_connect.webhook_events
    where business_account_id = any (accounts)
      or business_account_id = any (revived) and received_at <= request.requested_at
    limit room
  );
  get diagnostics deleted = row_count;
  if deleted = room then
    return jsonb_build_object('is_complete', false);
  end if;
  delete from instagram_connect.instagram_dm_messages
  where (business_account_id, message_id) in (
    select business_account_id, message_id
    from instagram_connect.instagram_dm_messages
    where business_account_id = any (accounts)
      or business_account_id = any (revived) and coalesce(sent_at, created_at) <= request.requested_at
    limit room
  );
  get diagnostics deleted = row_count;
  if deleted = room then
    return jsonb_build_object('is_complete', false);
  end if;
  delete from instagram_connect.instagram_dm_conversations
  where id in (
    select id
    from instagram_connect.instagram_dm_conversations
    where business_account_id = any (accounts)
      or business_account_id = any (revived) and coalesce(last_message_at, created_at) <= request.requested_at
    limit room
  );
  get diagnostics deleted = row_count;
  if deleted = room then
    return jsonb_build_object('is_complete', false);
  end if;

  -- Unless somebody else has the account connected too, whose events these then are.
  delete from instagram_connect.webhook_events
  where id in (
    select event.id
    from instagram_connect.webhook_events as event
    where event.business_account_id is null
      and event.entry_id = any (entry_ids)
      and not exists (
        select from public.instagram_business_accounts as other
        where event.entry_id in (other.instagram_business_id, other.page_id)
          and other.status <> 'disconnected'
      )
    limit room
  );
  get diagnostics deleted = row_count;
  if deleted = room then
    return jsonb_build_object('is_complete', false);
  end if;

  -- What nobody could read names no account; where it holds the id of one of these, it is about them.
  delete from instagram_connect.webhook_events
  where id in (
    select event.id
    from instagram_connect.webhook_events as event
    where event.business_account_id is null
      and event.entry_id = ''
      and exists (
        select from unnest(entry_ids) as entry_id
        where position(entry_id in event.payload::text) > 0
          or position(convert_to(entry_id, 'UTF8') in decode(coalesce(event.payload ->> 'unparsed_base64', ''), 'base64')) > 0
      )
    limit room
  );
  get diagnostics deleted = row_count;
  if deleted = room then
    return jsonb_build_object('is_complete', false);
  end if;

  -- Who has connected again since keeps the account, and what came with it.
  delete from instagram_connect.outgoing_events where business_account_id = any (revived) and created_at <= request.requested_at;
  delete from instagram_connect.api_usage where business_account_id = any (revived) and observed_at <= request.requested_at;
  delete from instagram_connect.daily_analytics
  where business_account_id = any (revived) and day <= (request.requested_at at time zone 'UTC')::date;
  delete from instagram_connect.automation_workflows where business_account_id = any (revived) and created_at <= request.requested_at;
  -- Everything else hangs on the account.
  delete from public.instagram_business_accounts where id = any (accounts);
  -- Unless somebody else has the account connected too, whose counts these then are.
  delete from instagram_connect.webhook_counts as counts
  where counts.entry_id = any (entry_ids)
    and not exists (
      select from public.instagram_business_accounts as other
      where counts.entry_id in (other.instagram_business_id, other.page_id) and other.status <> 'disconnected'
    );
  update instagram_connect.data_deletion_requests
  set completed_at = at, erased_accounts = cardinality(accounts)
  where id = request.id;
  return jsonb_build_object('is_complete', true, 'accounts', cardinality(accounts));
end;
$$;

comment on function instagram_connect.delete_person(jsonb) is
  'Deletes everything of a person, in steps of `limit` rows: to be called until `is_complete`. Tokens go with the first '
  'step. A login made after `requested_at` stays, one made before it is refused from then on. Safe to repeat.';

revoke all on function instagram_connect.delete_person(jsonb) from public;
grant execute on function instagram_connect.delete_person(jsonb) to service_role;
