create or replace function instagram_connect.list_accounts(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  -- One value instead of rows: the Data API cuts rows off at its own limit.
  select case when payload is not null then coalesce(
    (
      select jsonb_agg(instagram_connect.account_view(account) order by account.created_at, account.instagram_business_id)
      from public.instagram_business_accounts as account
      where account.user_id = (payload ->> 'user_id')::uuid
    ),
    '[]'
  ) end;
$$;

comment on function instagram_connect.list_accounts(jsonb) is 'All accounts of a user, the first connected one first.';

revoke all on function instagram_connect.list_accounts(jsonb) from public;
grant execute on function instagram_connect.list_accounts(jsonb) to service_role;
