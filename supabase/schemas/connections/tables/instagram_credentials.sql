create table instagram_connect.instagram_credentials (
  business_account_id uuid primary key references public.instagram_business_accounts (id) on delete cascade,
  provider text not null check (instagram_connect.is_login_product(provider)),
  access_token_ciphertext text,
  user_token_ciphertext text,
  scopes text[] not null default '{}',
  issued_at timestamptz not null,
  expires_at timestamptz,
  data_access_expires_at timestamptz,
  status text not null default 'active' check (status in ('active', 'needs_reauth', 'revoked', 'erased')),
  failure_code integer,
  failure_subcode integer,
  failed_at timestamptz,
  last_refreshed_at timestamptz,
  lease_owner text,
  lease_expires_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  refresh_not_before timestamptz,
  last_attempted_at timestamptz,
  check (status <> 'active' or coalesce(access_token_ciphertext, '') <> '')
);

comment on table instagram_connect.instagram_credentials is
'Tokens of a connection, encrypted with KMS and bound to user, provider and Instagram account. For service_role only.';
comment on column instagram_connect.instagram_credentials.access_token_ciphertext is
'The token for calls on behalf of this account; with Facebook Login the Page token. Null once erased.';
comment on column instagram_connect.instagram_credentials.user_token_ciphertext is
'The person''s long-lived token, from which Page tokens come. Facebook Login only.';
comment on column instagram_connect.instagram_credentials.issued_at is
'When Meta issued the person''s token. Decides which of two tokens is newer.';
comment on column instagram_connect.instagram_credentials.expires_at is
'When the person''s token expires; null if Meta gave no expiry.';
comment on column instagram_connect.instagram_credentials.data_access_expires_at is
'End of Meta''s 90-day data access. The token stays valid after it, but data calls fail.';
comment on column instagram_connect.instagram_credentials.failure_code is
'Meta''s error code that ended the token; failure_subcode has the subcode.';
comment on column instagram_connect.instagram_credentials.last_refreshed_at is
'When Meta last extended this token, or when a Facebook login was last verified and exchanged.';
comment on column instagram_connect.instagram_credentials.lease_owner is
'The worker that refreshes this token until lease_expires_at; nobody else may write until then.';
comment on column instagram_connect.instagram_credentials.refresh_not_before is
'No refresh before then: Meta gave a time, or the failure will not pass by itself.';
comment on column instagram_connect.instagram_credentials.last_attempted_at is
'When the last refresh began, whatever its result.';

-- A sweep looks for the few tokens that are due among many.
create index on instagram_connect.instagram_credentials (expires_at) where status = 'active';
create index on instagram_connect.instagram_credentials (coalesce(last_refreshed_at, issued_at))
where status = 'active' and (not instagram_connect.is_extended_before_expiry(provider) or expires_at is null);
create index on instagram_connect.instagram_credentials (least(expires_at, data_access_expires_at))
where status = 'active' and not instagram_connect.is_extended_before_expiry(provider);

alter table instagram_connect.instagram_credentials enable row level security;
revoke all on instagram_connect.instagram_credentials from public, anon, authenticated;
grant select, insert, update, delete on instagram_connect.instagram_credentials to service_role;
