-- What Meta's privacy callbacks ask for: a person who removed the app, and a person who wants their data deleted.
--
-- A person is known by an app-scoped id, whichever login product it is of; with Instagram Login it may also be the id of
-- the professional account. `moment` and `requested_at` are when the person asked: a login made after that stays.

-- Nothing has written to this table before.
alter table public.data_deletion_requests
  add column meta_user_hash text not null,
  add column erased_accounts integer,
  add column erased_entry_hashes text[] not null default '{}',
  drop column meta_user_id;

comment on column public.data_deletion_requests.meta_user_hash is
  'SHA-256 of the person''s id: enough to recognise a login that was made before the request and is stored after it.';
comment on column public.data_deletion_requests.erased_entry_hashes is
  'SHA-256 of the ids of the accounts and Pages that were erased: their webhooks may still be under way.';
comment on column public.data_deletion_requests.retained_reason is 'What was kept and why; null = nothing.';

create index on public.data_deletion_requests (meta_user_hash);
create index on public.data_deletion_requests using gin (erased_entry_hashes);

create function public.meta_user_hash(meta_user_id text) returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select encode(sha256(convert_to(meta_user_id, 'UTF8')), 'hex');
$$;

comment on function public.meta_user_hash(text) is 'What remains of an id of Meta''s once the data behind it is deleted.';

create function public.is_of_person(account public.instagram_business_accounts, person text) returns boolean
language sql
immutable
security invoker
as $$
  select account.meta_user_id = person or account.provider = 'instagram' and account.instagram_business_id = person;
$$;

comment on function public.is_of_person(public.instagram_business_accounts, text) is
  'Whether an account was connected by the person with this id of Meta''s.';

create function public.refuse_deleted_person() returns trigger
language plpgsql
security invoker
set search_path = ''
as $$
begin
  -- A deletion of the same person that is under way is waited for; it takes the same locks alone.
  perform pg_advisory_xact_lock_shared(hashtextextended('deletion ' || person, 0))
  from unnest(array[new.meta_user_id, case new.provider when 'instagram' then new.instagram_business_id end]) as person
  where person is not null;
  if exists (
    select from public.data_deletion_requests
    where meta_user_hash in (
        public.meta_user_hash(new.meta_user_id),
        case new.provider when 'instagram' then public.meta_user_hash(new.instagram_business_id) end
      )
      and requested_at >= new.connected_at
  ) then
    -- PostgREST makes an HTTP status of such a code: 410, gone.
    raise exception 'The person has asked for the deletion of their data since this login.' using errcode = 'PT410';
  end if;
  return new;
end;
$$;

comment on function public.refuse_deleted_person() is
  'Trigger: a login that was made before its person asked for deletion is not stored after it, however late it comes.';

create trigger refuse_deleted_person
before insert on public.instagram_business_accounts
for each row
execute function public.refuse_deleted_person();

create function public.revoke_person(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  account public.instagram_business_accounts;
  revoked integer := 0;
begin
  if payload is null then
    return null;
  end if;
  for account in
    select stored.*
    from public.instagram_business_accounts as stored
    where stored.status <> 'disconnected'
      and stored.connected_at <= (payload ->> 'moment')::timestamptz
      and (stored.meta_user_id = payload ->> 'meta_user_id' or stored.instagram_business_id = payload ->> 'meta_user_id')
      and public.is_of_person(stored, payload ->> 'meta_user_id')
    order by stored.instagram_business_id, stored.id
    for update
  loop
    perform public.end_connection(account, payload -> 'failure', at);
    update public.instagram_credentials
    set
      status = 'revoked',
      access_token_ciphertext = null,
      user_token_ciphertext = null,
      lease_owner = null,
      lease_expires_at = null,
      updated_at = now()
    where business_account_id = account.id and status not in ('revoked', 'erased');
    update public.instagram_business_accounts
    set
      reconnect_reason = payload -> 'failure' ->> 'reason',
      reconnect_hint = payload -> 'failure' ->> 'hint',
      reconnect_before = null,
      webhook_subscribed_at = null,
      updated_at = now()
    where id = account.id;
    revoked := revoked + 1;
  end loop;
  return to_jsonb(revoked);
end;
$$;

comment on function public.revoke_person(jsonb) is
  'Erases the tokens of a person who removed the app and marks their accounts, which only a new login brings back; answers '
  'how many. Safe to repeat; a login made after `moment` stays.';

create function public.delete_person(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  room constant integer := payload ->> 'limit';
  request public.data_deletion_requests;
  accounts uuid[];
  revived uuid[];
  entry_ids text[];
  deleted integer;
begin
  if payload is null then
    return null;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('deletion ' || (payload ->> 'meta_user_id'), 0));
  insert into public.data_deletion_requests (confirmation_code, meta_user_hash, requested_at)
  values (
    payload ->> 'confirmation_code', public.meta_user_hash(payload ->> 'meta_user_id'),
    (payload ->> 'requested_at')::timestamptz
  )
  on conflict (confirmation_code) do nothing;
  select * into request
  from public.data_deletion_requests
  where confirmation_code = payload ->> 'confirmation_code'
  for update;
  if request.completed_at is not null then
    return jsonb_build_object('is_complete', true, 'accounts', request.erased_accounts);
  end if;

  with locked as (
    select stored.id, stored.instagram_business_id, stored.page_id, stored.connected_at
    from public.instagram_business_accounts as stored
    where (stored.meta_user_id = payload ->> 'meta_user_id' or stored.instagram_business_id = payload ->> 'meta_user_id')
      and public.is_of_person(stored, payload ->> 'meta_user_id')
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
  update public.data_deletion_requests
  set erased_entry_hashes = array(select public.meta_user_hash(entry_id) from unnest(entry_ids) as entry_id)
  where id = request.id;

  -- At once, and whatever else there is to delete: no token, and no further event.
  update public.instagram_credentials
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
  delete from public.webhook_events
  where id in (
    select id
    from public.webhook_events
    where business_account_id = any (accounts)
      or business_account_id = any (revived) and received_at <= request.requested_at
    limit room
  );
  get diagnostics deleted = row_count;
  if deleted = room then
    return jsonb_build_object('is_complete', false);
  end if;
  delete from public.instagram_dm_messages
  where (business_account_id, message_id) in (
    select business_account_id, message_id
    from public.instagram_dm_messages
    where business_account_id = any (accounts)
      or business_account_id = any (revived) and coalesce(sent_at, created_at) <= request.requested_at
    limit room
  );
  get diagnostics deleted = row_count;
  if deleted = room then
    return jsonb_build_object('is_complete', false);
  end if;
  delete from public.instagram_dm_conversations
  where id in (
    select id
    from public.instagram_dm_conversations
    where business_account_id = any (accounts)
      or business_account_id = any (revived) and coalesce(last_message_at, created_at) <= request.requested_at
    limit room
  );
  get diagnostics deleted = row_count;
  if deleted = room then
    return jsonb_build_object('is_complete', false);
  end if;

  -- Unless somebody else has the account connected too, whose events these then are.
  delete from public.webhook_events
  where id in (
    select event.id
    from public.webhook_events as event
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
  delete from public.webhook_events
  where id in (
    select event.id
    from public.webhook_events as event
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
  delete from public.outgoing_events where business_account_id = any (revived) and created_at <= request.requested_at;
  delete from public.api_usage where business_account_id = any (revived) and observed_at <= request.requested_at;
  delete from public.daily_analytics
  where business_account_id = any (revived) and day <= (request.requested_at at time zone 'UTC')::date;
  delete from public.automation_workflows where business_account_id = any (revived) and created_at <= request.requested_at;
  -- Everything else hangs on the account.
  delete from public.instagram_business_accounts where id = any (accounts);
  -- Unless somebody else has the account connected too, whose counts these then are.
  delete from public.webhook_counts as counts
  where counts.entry_id = any (entry_ids)
    and not exists (
      select from public.instagram_business_accounts as other
      where counts.entry_id in (other.instagram_business_id, other.page_id) and other.status <> 'disconnected'
    );
  update public.data_deletion_requests
  set completed_at = at, erased_accounts = cardinality(accounts)
  where id = request.id;
  return jsonb_build_object('is_complete', true, 'accounts', cardinality(accounts));
end;
$$;

comment on function public.delete_person(jsonb) is
  'Deletes everything of a person, in steps of `limit` rows: to be called until `is_complete`. Tokens go with the first '
  'step. A login made after `requested_at` stays, one made before it is refused from then on. Safe to repeat.';

create function public.deletion_status(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'requested_at', requested_at, 'completed_at', completed_at, 'retained_reason', retained_reason
  )
  from public.data_deletion_requests
  where confirmation_code = payload ->> 'confirmation_code';
$$;

comment on function public.deletion_status(jsonb) is
  'How far a deletion is, for whoever has its confirmation code; null for an unknown one. Nothing personal.';

revoke all on function
  public.meta_user_hash(text), public.is_of_person(public.instagram_business_accounts, text),
  public.refuse_deleted_person(), public.revoke_person(jsonb), public.delete_person(jsonb), public.deletion_status(jsonb)
from public, anon, authenticated;
grant execute on function
  public.meta_user_hash(text), public.is_of_person(public.instagram_business_accounts, text),
  public.refuse_deleted_person(), public.revoke_person(jsonb), public.delete_person(jsonb), public.deletion_status(jsonb)
to service_role;

notify pgrst, 'reload schema';
