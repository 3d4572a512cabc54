create table instagram_connect.instagram_dm_messages (
  business_account_id uuid not null references public.instagram_business_accounts (id) on delete cascade,
  message_id text not null,
  participant_id text,
  is_from_us boolean,
  text text,
  attachments jsonb,
  reply_to jsonb,
  sent_at timestamptz,
  edit_number integer,
  edited_text text,
  unsent_at timestamptz,
  read_at timestamptz,
  reactions jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (business_account_id, message_id)
);

comment on table instagram_connect.instagram_dm_messages is
'Direct messages of customers and of the account itself. Each column moves in one direction only, so the order in which
events arrive does not matter. A row may exist before its message does.';
comment on column instagram_connect.instagram_dm_messages.sent_at is
'Null if only events about the message have arrived so far.';
comment on column instagram_connect.instagram_dm_messages.is_from_us is
'Whether the account wrote it; null if not known yet.';
comment on column instagram_connect.instagram_dm_messages.edited_text is
'The text after the edit with the highest number.';
comment on column instagram_connect.instagram_dm_messages.unsent_at is
'When its author unsent it; its content is erased.';
comment on column instagram_connect.instagram_dm_messages.reactions is
'By the id of the person who reacted: {"action", "reaction", "emoji", "at"}, the latest of each. An "unreact" removes
it.';

create index on instagram_connect.instagram_dm_messages (business_account_id, participant_id, sent_at desc);

alter table instagram_connect.instagram_dm_messages enable row level security;

-- `(select auth.uid())` is evaluated once per query instead of once per row.
create policy "owners read their messages" on instagram_connect.instagram_dm_messages
for select to authenticated using (
  business_account_id in (
    select id from public.instagram_business_accounts
    where user_id = (select auth.uid())
  )
);

revoke all on instagram_connect.instagram_dm_messages from public, anon, authenticated;
grant select on instagram_connect.instagram_dm_messages to authenticated;
grant select, insert, update, delete on instagram_connect.instagram_dm_messages to service_role;
