create table instagram_connect.webhook_counts (
  entry_id text not null,
  day date not null,
  received bigint not null default 0,
  stored bigint not null default 0,
  duplicate bigint not null default 0,
  unknown bigint not null default 0,
  failed bigint not null default 0,
  primary key (entry_id, day)
);

comment on table instagram_connect.webhook_counts is
'What became of the events that the worker took from the queue, by Meta''s id of the account and by day (UTC): received
= stored + duplicate + unknown + failed.';
comment on column instagram_connect.webhook_counts.unknown is
'Kept until somebody connects the account. In the row without an id: not kept, because the person''s data was deleted.';
comment on column instagram_connect.webhook_counts.failed is
'Rejected by the database and moved to the dead-letter queue with the reason.';

create index on instagram_connect.webhook_counts (day);

alter table instagram_connect.webhook_counts enable row level security;
revoke all on instagram_connect.webhook_counts from public, anon, authenticated;
grant select, insert, update, delete on instagram_connect.webhook_counts to service_role;
