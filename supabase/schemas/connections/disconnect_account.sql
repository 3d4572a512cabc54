create or replace function instagram_connect.disconnect_account(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  account public.instagram_business_accounts;
  credentials instagram_connect.instagram_credentials;
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

  select * into credentials from instagram_connect.instagram_credentials where business_account_id = account.id for update;
  update instagram_connect.instagram_credentials
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
    'account', instagram_connect.account_view(account),
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

comment on function instagram_connect.disconnect_account(jsonb) is
'Erases the tokens of a user''s account and marks it as disconnected; null when the user has no such account. Answers
the last copies of the tokens, so that Meta can be told. Safe to repeat: then there are no tokens left to answer.';

revoke all on function instagram_connect.disconnect_account(jsonb) from public;
grant execute on function instagram_connect.disconnect_account(jsonb) to service_role;
