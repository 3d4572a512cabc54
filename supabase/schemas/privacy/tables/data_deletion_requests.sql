create table instagram_connect.data_deletion_requests (
  id uuid primary key default gen_random_uuid(),
  confirmation_code text not null unique,
  meta_user_hash text not null,
  erased_accounts integer,
  erased_entry_hashes text[] not null default '{}',
  requested_at timestamptz not null default now(),
  completed_at timestamptz,
  retained_reason text
);

comment on table instagram_connect.data_deletion_requests is
'Meta''s data-deletion requests. A row outlives the data, to prove that it was deleted and when.';
comment on column instagram_connect.data_deletion_requests.meta_user_hash is
'SHA-256 of the person''s id, enough to recognise a login made before the request that arrives after it.';
comment on column instagram_connect.data_deletion_requests.erased_entry_hashes is
'SHA-256 of the ids of the erased accounts and Pages, whose webhooks may still arrive.';
comment on column instagram_connect.data_deletion_requests.retained_reason is
'What was kept and why; null if nothing was.';

create index on instagram_connect.data_deletion_requests (meta_user_hash);
create index on instagram_connect.data_deletion_requests using gin (erased_entry_hashes);

alter table instagram_connect.data_deletion_requests enable row level security;
revoke all on instagram_connect.data_deletion_requests from public, anon, authenticated;
grant select, insert, update, delete on instagram_connect.data_deletion_requests to service_role;
