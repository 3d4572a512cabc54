-- What connections need that are stored later than they were made: when a login was made, so that what is still parked
-- can be told from what is stored; an end for tokens that died meanwhile; and disconnections that outlast what is parked.

create or replace function public.account_view(account public.instagram_business_accounts) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'id', account.id,
    'provider', account.provider,
    'instagram_business_id', account.instagram_business_id,
    'username', account.username,
    'name', account.name,
    'page_id', account.page_id,
    'page_name', account.page_name,
    'profile_picture_url', account.profile_picture_url,
    'followers_count', account.followers_count,
    'token_expires_at', account.token_expires_at,
    'connected_at', account.connected_at,
    'status', account.status
  );
$$;

create function public.mark_needs_reauth(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  marked integer;
begin
  if payload is null then
    return null;
  end if;

  -- Accounts before credentials and in one order, as everybody else locks them.
  perform from public.instagram_business_accounts
  where user_id = (payload ->> 'user_id')::uuid
    and instagram_business_id in (select jsonb_array_elements_text(payload -> 'instagram_business_ids'))
  order by instagram_business_id
  for update;

  with ended as (
    update public.instagram_credentials as credentials
    set
      status = 'needs_reauth',
      failure_code = (payload ->> 'failure_code')::integer,
      failure_subcode = (payload ->> 'failure_subcode')::integer,
      failed_at = now(),
      updated_at = now()
    from public.instagram_business_accounts as account
    where account.id = credentials.business_account_id
      and account.user_id = (payload ->> 'user_id')::uuid
      and account.instagram_business_id in (
        select jsonb_array_elements_text(payload -> 'instagram_business_ids')
      )
      -- The token that is dead, and none that came after it.
      and credentials.issued_at <= (payload ->> 'issued_at')::timestamptz
      and credentials.status = 'active'
    returning credentials.business_account_id
  )
  update public.instagram_business_accounts as account
  set status = 'needs_reauth', updated_at = now()
  from ended
  where account.id = ended.business_account_id;

  get diagnostics marked = row_count;
  return to_jsonb(marked);
end;
$$;

comment on function public.mark_needs_reauth(jsonb) is
  'Marks accounts of a user whose token, issued at the given time or before, is dead: only a new login brings them back. '
  'Answers how many. A newer token is left alone; safe to repeat.';

create or replace function public.disconnect_account(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  account public.instagram_business_accounts;
  credentials public.instagram_credentials;
begin
  -- One after the other for each person and each Instagram account: of two disconnections at once, only the second
  -- finds that nothing else hangs on the grant or the subscription.
  perform
    pg_advisory_xact_lock(hashtextextended('person ' || provider || coalesce(meta_user_id, id::text), 0)),
    pg_advisory_xact_lock(hashtextextended('account ' || instagram_business_id, 0))
  from public.instagram_business_accounts
  where id = (payload ->> 'account_id')::uuid and user_id = (payload ->> 'user_id')::uuid;

  -- Locked, so that of two disconnections of one account only one gets the tokens.
  select * into account
  from public.instagram_business_accounts
  where id = (payload ->> 'account_id')::uuid and user_id = (payload ->> 'user_id')::uuid
  for update;
  if not found then
    return null;
  end if;

  select * into credentials from public.instagram_credentials where business_account_id = account.id for update;
  update public.instagram_credentials
  set
    status = 'erased',
    access_token_ciphertext = null,
    user_token_ciphertext = null,
    -- A refresh under way holds a copy; without its lease it cannot write that one back.
    lease_owner = null,
    lease_expires_at = null,
    updated_at = now()
  where business_account_id = account.id and status <> 'erased';

  update public.instagram_business_accounts
  set
    status = 'disconnected',
    -- Also the second time: what is parked from before it must not bring the account back.
    disconnected_at = now(),
    token_expires_at = null,
    webhook_subscribed_at = null,
    last_request_id = payload ->> 'request_id',
    updated_at = now()
  where id = account.id;

  select * into account from public.instagram_business_accounts where id = account.id;
  return jsonb_build_object(
    'account', public.account_view(account),
    'meta_user_id', account.meta_user_id,
    'access_token_ciphertext', credentials.access_token_ciphertext,
    'user_token_ciphertext', credentials.user_token_ciphertext,
    'is_last_of_account', not exists (
      select from public.instagram_business_accounts as other
      where other.instagram_business_id = account.instagram_business_id and other.provider = account.provider
        and other.status <> 'disconnected'
    ),
    'is_last_of_person', not exists (
      select from public.instagram_business_accounts as other
      where other.provider = account.provider and other.status <> 'disconnected'
        -- Meta does not always say whose login it was: the user's own other accounts may hang on the same grant.
        and (other.meta_user_id = account.meta_user_id or (other.meta_user_id is null and other.user_id = account.user_id))
    )
  );
end;
$$;

revoke all on function public.mark_needs_reauth(jsonb) from public, anon, authenticated;
grant execute on function public.mark_needs_reauth(jsonb) to service_role;

notify pgrst, 'reload schema';
