create table instagram_connect.refresh_brakes (
  provider text primary key check (instagram_connect.is_login_product(provider)),
  paused_until timestamptz,
  app_used_percent smallint check (app_used_percent >= 0),
  app_used_at timestamptz,
  suspended_at timestamptz,
  suspended_reason text,
  updated_at timestamptz not null default now()
);

comment on table instagram_connect.refresh_brakes is
'What slows down or stops the refreshing of all accounts of a login product. No row, or nulls: nothing does.';
comment on column instagram_connect.refresh_brakes.paused_until is
'Meta''s rate limits are nearly used up until then.';
comment on column instagram_connect.refresh_brakes.app_used_percent is
'How much of the app''s rate limit was used at app_used_at.';
comment on column instagram_connect.refresh_brakes.suspended_at is
'Since then many people''s tokens fail the same way, so Meta or the app is to blame and no account is marked. Ends by
itself once a token works.';

alter table instagram_connect.refresh_brakes enable row level security;
revoke all on instagram_connect.refresh_brakes from public, anon, authenticated;
grant select, insert, update, delete on instagram_connect.refresh_brakes to service_role;
