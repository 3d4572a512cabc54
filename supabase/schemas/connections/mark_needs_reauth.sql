create or replace function instagram_connect.mark_needs_reauth(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  ended integer := 0;
  account public.instagram_business_accounts;
begin
  if payload is null then
    return null;
  end if;

  -- Accounts before credentials and in one order, as everybody else locks them.
  for account in
    select stored.*
    from public.instagram_business_accounts as stored
    join instagram_connect.instagram_credentials as credentials on credentials.business_account_id = stored.id
    where stored.user_id = (payload ->> 'user_id')::uuid
      and stored.instagram_business_id in (select jsonb_array_elements_text(payload -> 'instagram_business_ids'))
      -- The token that is dead, and none that came after it.
      and credentials.issued_at <= (payload ->> 'issued_at')::timestamptz
      and credentials.status = 'active'
    order by stored.instagram_business_id
    for update of stored
  loop
    -- A refresh or a login may have written between the look and the lock.
    continue when not exists (
      select from instagram_connect.instagram_credentials as credentials
      where credentials.business_account_id = account.id and credentials.status = 'active'
        and credentials.issued_at <= (payload ->> 'issued_at')::timestamptz
    );
    perform instagram_connect.end_connection(
      account,
      jsonb_build_object(
        'code', payload -> 'failure_code',
        'subcode', payload -> 'failure_subcode',
        'reason', payload -> 'reason',
        'hint', payload -> 'hint'
      ),
      now()
    );
    ended := ended + 1;
  end loop;
  return to_jsonb(ended);
end;
$$;

comment on function instagram_connect.mark_needs_reauth(jsonb) is
'Marks accounts of a user whose token, issued at the given time or before, is dead: only a new login brings them back.
Answers how many. A newer token is left alone; safe to repeat.';

revoke all on function instagram_connect.mark_needs_reauth(jsonb) from public;
grant execute on function instagram_connect.mark_needs_reauth(jsonb) to service_role;
