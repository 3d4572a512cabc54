create or replace function instagram_connect.end_connection(
  account public.instagram_business_accounts, failure jsonb, at timestamptz
) returns void
language plpgsql
security invoker
set search_path = ''
as $$
begin
  update instagram_connect.instagram_credentials
  set
    status = 'needs_reauth',
    failure_code = (failure ->> 'code')::integer,
    failure_subcode = (failure ->> 'subcode')::integer,
    failed_at = at,
    lease_owner = null,
    lease_expires_at = null,
    updated_at = now()
  where business_account_id = account.id and status = 'active';
  if not found then
    return;
  end if;
  update public.instagram_business_accounts
  set
    status = 'needs_reauth',
    reconnect_reason = failure ->> 'reason',
    reconnect_hint = failure ->> 'hint',
    reconnect_before = null,
    updated_at = now()
  where id = account.id;
  perform instagram_connect.announce('instagram.connection.needs_reauth', account, failure, at);
end;
$$;

comment on function instagram_connect.end_connection(public.instagram_business_accounts, jsonb, timestamptz) is
'Marks an account whose token is dead, once, and announces it. `failure`: code, subcode, reason, hint.';

revoke all on function instagram_connect.end_connection(public.instagram_business_accounts, jsonb, timestamptz)
from public;
grant execute on function instagram_connect.end_connection(public.instagram_business_accounts, jsonb, timestamptz)
to service_role;
