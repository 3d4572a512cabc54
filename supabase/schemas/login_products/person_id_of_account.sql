create or replace function instagram_connect.person_id_of_account(
  provider text, instagram_business_id text
) returns text
language sql
immutable
security invoker
as $$
  select case provider when 'instagram' then instagram_business_id end;
$$;

comment on function instagram_connect.person_id_of_account(text, text) is
'The id of the account if Meta may use it for the person in privacy callbacks (Instagram Login), otherwise null.';

revoke all on function instagram_connect.person_id_of_account(text, text) from public;
grant execute on function instagram_connect.person_id_of_account(text, text) to service_role;
