-- Without a search_path of its own, so that PostgreSQL inlines it into conditions and recognises it in indexes.
create or replace function instagram_connect.is_extended_before_expiry(provider text) returns boolean
language sql
immutable
security invoker
as $$
  select provider = 'instagram';
$$;

comment on function instagram_connect.is_extended_before_expiry(text) is
'Whether a refresh moves the expiry of the token (Instagram Login), so that it is due shortly before. Otherwise
(Facebook Login) the login is verified on a schedule, and its user is asked before it or its data access ends.';

revoke all on function instagram_connect.is_extended_before_expiry(text) from public;
grant execute on function instagram_connect.is_extended_before_expiry(text) to service_role;
