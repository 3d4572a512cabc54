create or replace function instagram_connect.delete_accounts(
  accounts uuid[], revived uuid[], entry_ids text[], requested_at timestamptz
) returns void
language plpgsql
security invoker
set search_path = ''
as $$
begin
  -- Who has connected again since keeps the account, and what came with it.
  delete from instagram_connect.outgoing_events
  where business_account_id = any (revived) and created_at <= delete_accounts.requested_at;
  delete from instagram_connect.api_usage
  where business_account_id = any (revived) and observed_at <= delete_accounts.requested_at;
  delete from instagram_connect.daily_analytics
  where business_account_id = any (revived) and day <= (delete_accounts.requested_at at time zone 'UTC')::date;
  delete from instagram_connect.automation_workflows
  where business_account_id = any (revived) and created_at <= delete_accounts.requested_at;
  -- Everything else hangs on the account.
  delete from public.instagram_business_accounts where id = any (accounts);
  -- Unless somebody else has the account connected too, whose counts these then are.
  delete from instagram_connect.webhook_counts as counts
  where counts.entry_id = any (entry_ids)
    and not exists (
      select from public.instagram_business_accounts as other
      where counts.entry_id in (other.instagram_business_id, other.page_id) and other.status <> 'disconnected'
    );
end;
$$;

comment on function instagram_connect.delete_accounts(uuid[], uuid[], text[], timestamptz) is
'Deletes accounts with everything that references them, and what is older than the request of accounts that their
person has connected again.';

revoke all on function instagram_connect.delete_accounts(uuid[], uuid[], text[], timestamptz) from public;
grant execute on function instagram_connect.delete_accounts(uuid[], uuid[], text[], timestamptz) to service_role;
