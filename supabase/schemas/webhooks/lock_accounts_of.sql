create or replace function instagram_connect.lock_accounts_of(entry_ids text[]) returns uuid[]
language sql
security invoker
set search_path = ''
as $$
  -- Whatever their state: a deletion waits for events of an account that it has disconnected already, too.
  select coalesce(array_agg(locked.id), '{}')
  from (
    select account.id
    from public.instagram_business_accounts as account
    where account.instagram_business_id = any (entry_ids) or account.page_id = any (entry_ids)
    order by account.instagram_business_id, account.id
    for key share
  ) as locked;
$$;

comment on function instagram_connect.lock_accounts_of(text[]) is
'Keeps accounts from being deleted before the events that refer to them are written, and answers them; to be called
before anything else is locked.';

revoke all on function instagram_connect.lock_accounts_of(text[]) from public;
grant execute on function instagram_connect.lock_accounts_of(text[]) to service_role;
