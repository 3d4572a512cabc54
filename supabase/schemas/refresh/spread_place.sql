-- Without a search_path of its own, which would keep Postgres from putting it into the claim's conditions.
create or replace function instagram_connect.spread_place(account_id uuid) returns double precision
language sql
immutable
security invoker
as $$
  select (pg_catalog.uuid_hash_extended(account_id, 0) & 65535) / 65536.0::double precision;
$$;

comment on function instagram_connect.spread_place(uuid) is
'From 0 to 1, by a hash of the account: spreads the refreshes of accounts that were connected together.';

revoke all on function instagram_connect.spread_place(uuid) from public;
grant execute on function instagram_connect.spread_place(uuid) to service_role;
