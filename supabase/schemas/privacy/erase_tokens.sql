create or replace function instagram_connect.erase_tokens(accounts uuid[], requested_at timestamptz) returns void
language plpgsql
security invoker
set search_path = ''
as $$
begin
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
    status = 'disconnected', disconnected_at = erase_tokens.requested_at, token_expires_at = null, updated_at = now()
  where id = any (accounts) and status <> 'disconnected';
end;
$$;

comment on function instagram_connect.erase_tokens(uuid[], timestamptz) is
'Erases the tokens of accounts and disconnects them as of `requested_at`: a later login brings them back.';

revoke all on function instagram_connect.erase_tokens(uuid[], timestamptz) from public;
grant execute on function instagram_connect.erase_tokens(uuid[], timestamptz) to service_role;
