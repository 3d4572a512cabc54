-- Meta's ids are text: they exceed 2^53. Several users may connect the same Instagram account; each has rows of their
-- own and sees nobody else's. Only service_role writes, through functions; a signed-in user reads their own rows.
create table public.instagram_business_accounts (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  provider text not null check (instagram_connect.is_login_product(provider)),
  instagram_business_id text not null check (instagram_business_id <> ''),
  meta_user_id text,
  username text,
  name text,
  biography text,
  website text,
  profile_picture_url text,
  followers_count bigint,
  follows_count bigint,
  media_count bigint,
  page_id text,
  page_name text,
  page_tasks text[] not null default '{}',
  status text not null default 'active' check (status in ('active', 'needs_reauth', 'disconnected')),
  token_expires_at timestamptz,
  webhook_subscribed_at timestamptz,
  webhook_subscription_error text,
  connected_at timestamptz not null,
  disconnected_at timestamptz,
  last_request_id text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  reconnect_reason text,
  reconnect_hint text,
  reconnect_before timestamptz,
  webhook_checked_at timestamptz,
  unique (user_id, instagram_business_id)
);

comment on table public.instagram_business_accounts is
'An Instagram professional account that a user connected. That user can read it; Instagram Connect writes it.';
comment on column public.instagram_business_accounts.instagram_business_id is
'Id of the Instagram professional account (1784…); webhooks carry it as entry.id.';
comment on column public.instagram_business_accounts.meta_user_id is
'App-scoped id of the person who logged in; deauthorize and data-deletion callbacks carry it.';
comment on column public.instagram_business_accounts.profile_picture_url is
'Expires at Meta after some days. Refresh it, do not archive it.';
comment on column public.instagram_business_accounts.status is
'active, needs_reauth (only a new login brings it back) or disconnected.';
comment on column public.instagram_business_accounts.token_expires_at is
'When the login expires, as far as Meta said; null if Meta gave no expiry. Copied from instagram_credentials.';
comment on column public.instagram_business_accounts.webhook_subscription_error is
'Error code of the last webhook subscription if it failed, otherwise null.';
comment on column public.instagram_business_accounts.connected_at is
'When the newest stored login was made. An older login that arrives later changes nothing.';
comment on column public.instagram_business_accounts.last_request_id is
'API Gateway request id of the login that last wrote this row, the correlation id of its log lines.';
comment on column public.instagram_business_accounts.reconnect_reason is
'Why the user has to connect again, now or soon; null if there is nothing to do. docs/errors.md lists the reasons.';
comment on column public.instagram_business_accounts.reconnect_hint is 'What the user should do, to be shown to them.';
comment on column public.instagram_business_accounts.reconnect_before is
'The account works until then unless its user connects again; null if nothing ends soon.';
comment on column public.instagram_business_accounts.webhook_checked_at is
'When the webhook subscription was last checked at Meta.';

-- Webhooks look accounts up by account or Page id, privacy callbacks by person, the daily check by its age.
create index on public.instagram_business_accounts (instagram_business_id);
create index on public.instagram_business_accounts (page_id);
create index on public.instagram_business_accounts (meta_user_id);
create index on public.instagram_business_accounts (coalesce(webhook_checked_at, connected_at)) where status = 'active';

alter table public.instagram_business_accounts enable row level security;

create policy "owners read their accounts" on public.instagram_business_accounts
for select to authenticated using (user_id = (select auth.uid()));

revoke all on public.instagram_business_accounts from public, anon, authenticated;
grant select on public.instagram_business_accounts to authenticated;
grant select, insert, update, delete on public.instagram_business_accounts to service_role;
