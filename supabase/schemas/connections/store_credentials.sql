create or replace function instagram_connect.store_credentials(account_id uuid, provider text, entry jsonb) returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  credentials record;
begin
  select * into credentials
  from jsonb_to_record(entry) as found (
    access_token_ciphertext text, user_token_ciphertext text, scopes text[], issued_at timestamptz,
    expires_at timestamptz, data_access_expires_at timestamptz
  );

  insert into instagram_connect.instagram_credentials as stored (
    business_account_id, provider, access_token_ciphertext, user_token_ciphertext, scopes, issued_at, expires_at,
    data_access_expires_at
  )
  values (
    account_id, provider, credentials.access_token_ciphertext, nullif(credentials.user_token_ciphertext, ''),
    coalesce(credentials.scopes, '{}'), credentials.issued_at, credentials.expires_at, credentials.data_access_expires_at
  )
  on conflict (business_account_id) do update set
    provider = excluded.provider,
    access_token_ciphertext = excluded.access_token_ciphertext,
    user_token_ciphertext = excluded.user_token_ciphertext,  -- null: the access token is the person's own
    -- What Meta did not tell this time stays as it was; what belongs to another product does not.
    scopes = case
      when excluded.provider = stored.provider and excluded.scopes = '{}' then stored.scopes
      else excluded.scopes
    end,
    data_access_expires_at = case
      when excluded.provider = stored.provider
        then coalesce(excluded.data_access_expires_at, stored.data_access_expires_at)
      else excluded.data_access_expires_at
    end,
    issued_at = excluded.issued_at,
    expires_at = excluded.expires_at,  -- of the new token: null says that it does not end
    status = 'active',
    failure_code = null,
    failure_subcode = null,
    failed_at = null,
    -- A refresh under way holds the former token; without its lease it cannot write that one back.
    lease_owner = null,
    lease_expires_at = null,
    updated_at = now();

  update public.instagram_business_accounts set token_expires_at = credentials.expires_at where id = account_id;
end;
$$;

comment on function instagram_connect.store_credentials(uuid, text, jsonb) is
'Replaces the credentials of an account with those of a newer login, whatever the former ones went through.';

revoke all on function instagram_connect.store_credentials(uuid, text, jsonb) from public;
grant execute on function instagram_connect.store_credentials(uuid, text, jsonb) to service_role;
