create or replace function instagram_connect.store_connection(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  account jsonb;
  account_id uuid;
begin
  -- Called with null it does nothing, which is how the backend probes it. Not declared STRICT, because PostgreSQL then
  -- returns null without checking the grants.
  if payload is null then
    return null;
  end if;
  if jsonb_typeof(payload -> 'accounts') is distinct from 'array' or payload -> 'accounts' = '[]' then
    raise exception 'store_connection: accounts must be a non-empty array' using errcode = '22023';
  end if;

  for account in
    select entry.value
    from jsonb_array_elements(payload -> 'accounts') as entry
    -- Always in the same order, so that two concurrent logins of one user wait for each other instead of deadlocking.
    order by entry.value ->> 'instagram_business_id'
  loop
    account_id := instagram_connect.store_account(payload - 'accounts', account);
    if account_id is not null then
      perform instagram_connect.store_credentials(account_id, payload ->> 'provider', account);
    end if;
  end loop;

  return (
    select jsonb_agg(instagram_connect.account_view(stored) order by entry.position)
    from jsonb_array_elements(payload -> 'accounts') with ordinality as entry (value, position)
    join public.instagram_business_accounts as stored
      on stored.user_id = (payload ->> 'user_id')::uuid
      and stored.instagram_business_id = entry.value ->> 'instagram_business_id'
  );
end;
$$;

comment on function instagram_connect.store_connection(jsonb) is
'Stores the accounts and credentials of one login, all or none, and once: repeated it changes nothing. Something newer
stays, a token as well as a disconnection, and no good value is replaced by a blank. Answers the accounts as their
owner may see them, in the order given.';

revoke all on function instagram_connect.store_connection(jsonb) from public;
grant execute on function instagram_connect.store_connection(jsonb) to service_role;
