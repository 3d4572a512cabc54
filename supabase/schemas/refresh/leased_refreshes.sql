create or replace function instagram_connect.leased_refreshes(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select case when payload is not null then coalesce(
    (
      select jsonb_agg(instagram_connect.refresh_task(credentials, account) order by account.id)
      from instagram_connect.instagram_credentials as credentials
      join public.instagram_business_accounts as account on account.id = credentials.business_account_id
      where account.id = any (array(select value::uuid from jsonb_array_elements_text(payload -> 'account_ids')))
        and credentials.status = 'active'
        and credentials.lease_owner = payload ->> 'owner'
        and credentials.lease_expires_at > (payload ->> 'now')::timestamptz
        and not exists (
          select from instagram_connect.refresh_brakes as brake
          where brake.provider = credentials.provider and brake.paused_until > (payload ->> 'now')::timestamptz
        )
    ),
    '[]'
  ) end;
$$;

comment on function instagram_connect.leased_refreshes(jsonb) is
'Those of the given accounts that the caller still holds the lease of: what is finished, lost, ended or paused is left
out.';

revoke all on function instagram_connect.leased_refreshes(jsonb) from public;
grant execute on function instagram_connect.leased_refreshes(jsonb) to service_role;
