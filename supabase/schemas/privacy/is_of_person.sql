create or replace function instagram_connect.is_of_person(
  account public.instagram_business_accounts, person text
) returns boolean
language sql
immutable
security invoker
as $$
  select account.meta_user_id = person
    or instagram_connect.person_id_of_account(account.provider, account.instagram_business_id) = person;
$$;

comment on function instagram_connect.is_of_person(public.instagram_business_accounts, text) is
'Whether an account was connected by the person with this id of Meta''s.';

revoke all on function instagram_connect.is_of_person(public.instagram_business_accounts, text) from public;
grant execute on function instagram_connect.is_of_person(public.instagram_business_accounts, text) to service_role;
