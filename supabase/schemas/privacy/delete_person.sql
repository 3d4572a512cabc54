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

  -- At once, whatever else there is to delete.
  perform instagram_connect.erase_tokens(accounts, request.requested_at);
  if not instagram_connect.delete_events_and_messages(accounts, revived, entry_ids, request.requested_at, room) then
    return jsonb_build_object('is_complete', false);
  end if;
  perform instagram_connect.delete_accounts(accounts, revived, entry_ids, request.requested_at);
  update instagram_connect.data_deletion_requests
  set completed_at = at, erased_accounts = cardinality(accounts)
  where id = request.id;
  return jsonb_build_object('is_complete', true, 'accounts', cardinality(accounts));
end;
$$;

comment on function instagram_connect.delete_person(jsonb) is
'Deletes everything of a person, in steps of `limit` rows: to be called until `is_complete`. Tokens go with the first
step. A login made after `requested_at` stays, one made before it is refused from then on. Safe to repeat.';

revoke all on function instagram_connect.delete_person(jsonb) from public;
grant execute on function instagram_connect.delete_person(jsonb) to service_role;
