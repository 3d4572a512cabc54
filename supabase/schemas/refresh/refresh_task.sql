create or replace function instagram_connect.refresh_task(
  credentials instagram_connect.instagram_credentials, account public.instagram_business_accounts
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'account_id', account.id,
    'user_id', account.user_id,
    'provider', credentials.provider,
    'instagram_business_id', account.instagram_business_id,
    'meta_user_id', account.meta_user_id,
    'page_id', account.page_id,
    'issued_at', credentials.issued_at,
    'last_refreshed_at', credentials.last_refreshed_at,
    'expires_at', credentials.expires_at,
    'data_access_expires_at', credentials.data_access_expires_at,
    'access_token_ciphertext', credentials.access_token_ciphertext,
    'user_token_ciphertext', credentials.user_token_ciphertext,
    'is_suspended', exists (
      select from instagram_connect.refresh_brakes as brake
      where brake.provider = credentials.provider and brake.suspended_at is not null
    )
  );
$$;

comment on function instagram_connect.refresh_task(
  instagram_connect.instagram_credentials, public.instagram_business_accounts
) is
'What a worker needs to refresh an account; its tokens are ciphertexts.';

revoke all on function instagram_connect.refresh_task(
  instagram_connect.instagram_credentials, public.instagram_business_accounts
)
from public;
grant execute on function instagram_connect.refresh_task(
  instagram_connect.instagram_credentials, public.instagram_business_accounts
)
to service_role;
