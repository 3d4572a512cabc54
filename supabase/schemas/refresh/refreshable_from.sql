create or replace function instagram_connect.refreshable_from(
  credentials instagram_connect.instagram_credentials
) returns timestamptz
language sql
stable
security invoker
set search_path = ''
as $$
  -- Meta extends no token in its first 24 hours. A long-lived one lives sixty days at most: one that ends in sixty days
  -- is new, also where the login that it came from is older.
  select greatest(
    credentials.issued_at, credentials.last_refreshed_at, credentials.expires_at - interval '60 days'
  ) + interval '24 hours';
$$;

comment on function instagram_connect.refreshable_from(instagram_connect.instagram_credentials) is
'From when Meta extends the token: at 24 hours of the token''s own age, whatever the age of the row.';

revoke all on function instagram_connect.refreshable_from(instagram_connect.instagram_credentials) from public;
grant execute on function instagram_connect.refreshable_from(instagram_connect.instagram_credentials) to service_role;
