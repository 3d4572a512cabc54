create or replace function instagram_connect.release_refreshes(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  released integer;
begin
  if payload is null then
    return null;
  end if;
  -- Accounts before credentials and in one order, as everybody else locks them.
  perform from public.instagram_business_accounts
  where id in (select entry.account_id from jsonb_to_recordset(payload -> 'accounts') as entry (account_id uuid))
  order by instagram_business_id, id
  for update;

  perform instagram_connect.note_usage(entry.account_id, entry.usage, (payload ->> 'now')::timestamptz)
  from jsonb_to_recordset(payload -> 'accounts') as entry (account_id uuid, usage jsonb)
  -- Not of an account that was deleted meanwhile.
  join instagram_connect.instagram_credentials as credentials on credentials.business_account_id = entry.account_id
  where credentials.lease_owner = payload ->> 'owner';

  update instagram_connect.instagram_credentials as credentials
  set
    lease_owner = null,
    lease_expires_at = null,
    refresh_not_before = coalesce(entry.not_before, credentials.refresh_not_before)
  from jsonb_to_recordset(payload -> 'accounts') as entry (account_id uuid, not_before timestamptz)
  where credentials.business_account_id = entry.account_id
    and credentials.lease_owner = payload ->> 'owner';
  get diagnostics released = row_count;
  return to_jsonb(released);
end;
$$;

comment on function instagram_connect.release_refreshes(jsonb) is
'Gives leases back without having changed anything else; `not_before` keeps an account from the next sweeps.';

revoke all on function instagram_connect.release_refreshes(jsonb) from public;
grant execute on function instagram_connect.release_refreshes(jsonb) to service_role;
