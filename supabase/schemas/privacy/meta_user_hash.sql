create or replace function instagram_connect.meta_user_hash(meta_user_id text) returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select encode(sha256(convert_to(meta_user_id, 'UTF8')), 'hex');
$$;

comment on function instagram_connect.meta_user_hash(text) is
'What remains of an id of Meta''s once the data behind it is deleted.';

revoke all on function instagram_connect.meta_user_hash(text) from public;
grant execute on function instagram_connect.meta_user_hash(text) to service_role;
