-- The tables of a connection and of what hangs on it.
--
-- Meta's ids are text: they exceed 2^53. Several users may connect the same Instagram account; each has rows of their
-- own and sees nobody else's. Only service_role writes, through functions; a signed-in user reads their own rows, and
-- credentials never. Grants are spelled out, because projects differ in what new tables get by default, and since
-- October 2026 it is nothing.

create table public.instagram_business_accounts (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  provider text not null check (provider in ('facebook', 'instagram')),
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
  unique (user_id, instagram_business_id)
);

comment on table public.instagram_business_accounts is
  'An Instagram professional account that a user connected. Readable by that user; written by store_connection().';
comment on column public.instagram_business_accounts.instagram_business_id is
  'Instagram professional account id (1784…): webhooks carry it as entry.id.';
comment on column public.instagram_business_accounts.meta_user_id is
  'App-scoped id of the person who logged in: deauthorize and data deletion callbacks carry it.';
comment on column public.instagram_business_accounts.profile_picture_url is
  'Expires at Meta after some days; refresh it, do not archive it.';
comment on column public.instagram_business_accounts.status is
  'What the frontend shows: active, needs_reauth (only the user can bring it back) or disconnected.';
comment on column public.instagram_business_accounts.token_expires_at is
  'When the login ends as far as Meta said; null = Meta named no end. Copied from instagram_credentials.';
comment on column public.instagram_business_accounts.webhook_subscription_error is
  'Error code of the last failed webhook subscription; null once it succeeded.';
comment on column public.instagram_business_accounts.connected_at is
  'When the newest stored login was made. An older one that arrives later changes nothing.';
comment on column public.instagram_business_accounts.last_request_id is
  'API Gateway request id of the login that last wrote this row: the correlation id of its logs.';

-- Webhooks look accounts up by either id, the privacy callbacks by the person's.
create index on public.instagram_business_accounts (instagram_business_id);
create index on public.instagram_business_accounts (page_id);
create index on public.instagram_business_accounts (meta_user_id);

create table public.instagram_credentials (
  business_account_id uuid primary key references public.instagram_business_accounts (id) on delete cascade,
  provider text not null check (provider in ('facebook', 'instagram')),
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
  check (status <> 'active' or coalesce(access_token_ciphertext, '') <> '')
);

comment on table public.instagram_credentials is
  'Tokens of a connection, encrypted with KMS and bound to user, provider and Instagram account. service_role only.';
comment on column public.instagram_credentials.access_token_ciphertext is
  'The token to call Meta with for this account: the Page token with Facebook Login. Null once erased.';
comment on column public.instagram_credentials.user_token_ciphertext is
  'The long-lived token of the person, from which Page tokens come. Facebook Login only.';
comment on column public.instagram_credentials.issued_at is
  'When Meta issued the person''s token. Decides which of two tokens is newer.';
comment on column public.instagram_credentials.expires_at is
  'When the person''s token ends; null = Meta named no end.';
comment on column public.instagram_credentials.data_access_expires_at is
  'End of Meta''s 90-day data access, a clock of its own: the token lives on, but data calls fail.';
comment on column public.instagram_credentials.failure_code is
  'Meta''s error code that ended the token, with its subcode.';
comment on column public.instagram_credentials.lease_owner is
  'The worker that is refreshing this token until lease_expires_at; nobody else may write then.';

create index on public.instagram_credentials (expires_at) where status = 'active';

create table public.api_usage (
  id bigint generated by default as identity primary key,
  business_account_id uuid not null references public.instagram_business_accounts (id) on delete cascade,
  usage_type text not null,
  used_percent smallint not null check (used_percent >= 0),
  regain_access_at timestamptz,
  observed_at timestamptz not null default now()
);
comment on table public.api_usage is 'How much of Meta''s call limits an account has used, from Meta''s usage headers.';
create index on public.api_usage (business_account_id, observed_at desc);

create table public.automation_workflows (
  id uuid primary key default gen_random_uuid(),
  business_account_id uuid not null references public.instagram_business_accounts (id) on delete cascade,
  name text not null,
  is_enabled boolean not null default false,
  definition jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table public.automation_workflows is 'Automations that the app runs for an account; `definition` is the app''s.';
create index on public.automation_workflows (business_account_id);

create table public.daily_analytics (
  id bigint generated by default as identity primary key,
  business_account_id uuid not null references public.instagram_business_accounts (id) on delete cascade,
  day date not null,
  metrics jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (business_account_id, day)
);
comment on table public.daily_analytics is 'Insights of an account, one row a day.';

create table public.instagram_dm_conversations (
  id uuid primary key default gen_random_uuid(),
  business_account_id uuid not null references public.instagram_business_accounts (id) on delete cascade,
  participant_id text not null,
  participant_username text,
  last_message_id text,
  last_message_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (business_account_id, participant_id)
);
comment on table public.instagram_dm_conversations is 'Direct message conversations of an account.';
comment on column public.instagram_dm_conversations.participant_id is
  'Instagram-scoped id of the customer: differs per business account.';

create table public.webhook_events (
  id bigint generated by default as identity primary key,
  business_account_id uuid references public.instagram_business_accounts (id) on delete cascade,
  event_key text not null,
  field text not null,
  event_at timestamptz,
  payload jsonb not null,
  received_at timestamptz not null default now(),
  -- Not distinct, so that an event of an account that nobody connected is kept once as well.
  unique nulls not distinct (business_account_id, event_key)
);
comment on table public.webhook_events is 'Every event that Meta delivered, once: event_key makes repeated deliveries equal.';

create table public.data_deletion_requests (
  id uuid primary key default gen_random_uuid(),
  confirmation_code text not null unique,
  meta_user_id text not null,
  requested_at timestamptz not null default now(),
  completed_at timestamptz,
  retained_reason text
);
comment on table public.data_deletion_requests is
  'Meta''s data deletion requests. Outlives the data, to prove that and when it was deleted.';

-- Row-level security: a signed-in user sees rows of their own accounts. `(select auth.uid())` is evaluated once a
-- query instead of once a row.

alter table public.instagram_business_accounts enable row level security;
alter table public.instagram_credentials enable row level security;
alter table public.api_usage enable row level security;
alter table public.automation_workflows enable row level security;
alter table public.daily_analytics enable row level security;
alter table public.instagram_dm_conversations enable row level security;
alter table public.webhook_events enable row level security;
alter table public.data_deletion_requests enable row level security;

create policy "owners read their accounts" on public.instagram_business_accounts
  for select to authenticated using (user_id = (select auth.uid()));

create policy "owners read their usage" on public.api_usage
  for select to authenticated using (business_account_id in (
    select id from public.instagram_business_accounts where user_id = (select auth.uid())));

create policy "owners read their workflows" on public.automation_workflows
  for select to authenticated using (business_account_id in (
    select id from public.instagram_business_accounts where user_id = (select auth.uid())));

create policy "owners read their analytics" on public.daily_analytics
  for select to authenticated using (business_account_id in (
    select id from public.instagram_business_accounts where user_id = (select auth.uid())));

create policy "owners read their conversations" on public.instagram_dm_conversations
  for select to authenticated using (business_account_id in (
    select id from public.instagram_business_accounts where user_id = (select auth.uid())));

create policy "owners read their events" on public.webhook_events
  for select to authenticated using (business_account_id in (
    select id from public.instagram_business_accounts where user_id = (select auth.uid())));

-- Grants. The revokes matter in projects that still hand out everything by default.

revoke all on
  public.instagram_business_accounts, public.instagram_credentials, public.api_usage, public.automation_workflows,
  public.daily_analytics, public.instagram_dm_conversations, public.webhook_events, public.data_deletion_requests
from public, anon, authenticated;

grant select on
  public.instagram_business_accounts, public.api_usage, public.automation_workflows, public.daily_analytics,
  public.instagram_dm_conversations, public.webhook_events
to authenticated;

grant select, insert, update, delete on
  public.instagram_business_accounts, public.instagram_credentials, public.api_usage, public.automation_workflows,
  public.daily_analytics, public.instagram_dm_conversations, public.webhook_events, public.data_deletion_requests
to service_role;

notify pgrst, 'reload schema';
