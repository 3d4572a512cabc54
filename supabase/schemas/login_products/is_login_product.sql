create or replace function instagram_connect.is_login_product(provider text) returns boolean
language sql
immutable
security invoker
as $$
  select provider in ('facebook', 'instagram');
$$;

comment on function instagram_connect.is_login_product(text) is
'Whether this is the name of a login product. The other functions of this folder hold its rules; no other SQL names
one.';

revoke all on function instagram_connect.is_login_product(text) from public;
grant execute on function instagram_connect.is_login_product(text) to service_role;
