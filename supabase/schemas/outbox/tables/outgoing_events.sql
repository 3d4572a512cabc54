create table instagram_connect.outgoing_events (
  id uuid primary key default gen_random_uuid(),
  type text not null,
  business_account_id uuid not null references public.instagram_business_accounts (id) on delete cascade,
  detail jsonb not null,
  created_at timestamptz not null default now(),
  taken_until timestamptz
);

comment on table instagram_connect.outgoing_events is
'Transactional outbox: events committed together with what they report, until they are published on the event bus.';
comment on column instagram_connect.outgoing_events.taken_until is
'A publisher has it until then; afterwards another one may take it.';

create index on instagram_connect.outgoing_events (created_at);
create index on instagram_connect.outgoing_events (business_account_id);

alter table instagram_connect.outgoing_events enable row level security;
revoke all on instagram_connect.outgoing_events from public, anon, authenticated;
grant select, insert, update, delete on instagram_connect.outgoing_events to service_role;
