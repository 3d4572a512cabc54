create table instagram_connect.instagram_dm_conversations (
  id uuid primary key default gen_random_uuid(),
  business_account_id uuid not null references public.instagram_business_accounts (id) on delete cascade,
  participant_id text not null,
  participant_username text,
  last_message_id text,
  last_message_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  last_inbound_at timestamptz,
  last_read_at timestamptz,
  unique (business_account_id, participant_id)
);

comment on table instagram_connect.instagram_dm_conversations is 'Direct-message conversations of an account.';
comment on column instagram_connect.instagram_dm_conversations.participant_id is
'Instagram-scoped id of the customer, different for each business account.';
comment on column instagram_connect.instagram_dm_conversations.last_message_at is
'When the newest message was sent, by either side and in whatever order messages arrived.';
comment on column instagram_connect.instagram_dm_conversations.last_inbound_at is
'When the customer last wrote; Meta''s reply window counts from then.';
comment on column instagram_connect.instagram_dm_conversations.last_read_at is
'When the customer was last seen reading.';

create index on instagram_connect.instagram_dm_conversations (business_account_id, last_message_at desc);

alter table instagram_connect.instagram_dm_conversations enable row level security;

-- `(select auth.uid())` is evaluated once per query instead of once per row.
create policy "owners read their conversations" on instagram_connect.instagram_dm_conversations
for select to authenticated using (
  business_account_id in (
    select id from public.instagram_business_accounts
    where user_id = (select auth.uid())
  )
);

revoke all on instagram_connect.instagram_dm_conversations from public, anon, authenticated;
grant select on instagram_connect.instagram_dm_conversations to authenticated;
grant select, insert, update, delete on instagram_connect.instagram_dm_conversations to service_role;
