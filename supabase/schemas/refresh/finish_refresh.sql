create or replace function instagram_connect.finish_refresh(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  renewal constant jsonb := nullif(payload -> 'renewal', 'null');
  request constant jsonb := nullif(payload -> 'renewal' -> 'reconnect', 'null');
  failure constant jsonb := nullif(payload -> 'failure', 'null');
  is_kept constant boolean := coalesce((payload ->> 'is_kept')::boolean, false);
  account public.instagram_business_accounts;
  credentials instagram_connect.instagram_credentials;
begin
  if payload is null then
    return null;
  end if;

  -- Accounts before credentials, as everybody else locks them.
  select * into account
  from public.instagram_business_accounts
  where id = (payload ->> 'account_id')::uuid
  for update;
  select * into credentials
  from instagram_connect.instagram_credentials
  where business_account_id = account.id
    -- What was kept may come after a sweep that found the former token dead, where Meta ends it with the new one: then Meta
    -- names no cause of its person's.
    and (status = 'active' or status = 'needs_reauth' and is_kept and coalesce(failure_subcode, 0) in (0, 463, 467))
  for update;
  if not found then
    return jsonb_build_object('is_written', false);
  end if;
  -- Whoever claims, connects or disconnects the account takes the lease away. What was kept because storage did not take
  -- it may come after that, if nothing newer has been stored.
  if credentials.lease_owner is distinct from payload ->> 'owner' and not (
    is_kept
    and credentials.issued_at = (payload ->> 'issued_at')::timestamptz
    and credentials.last_refreshed_at is not distinct from (payload ->> 'last_refreshed_at')::timestamptz
  ) then
    -- The same once more, because the first answer was lost, is written already.
    return jsonb_build_object(
      'is_written', renewal is not null and credentials.last_refreshed_at = (renewal ->> 'obtained_at')::timestamptz,
      'account', instagram_connect.account_view(account)
    );
  end if;

  if failure is not null then
    perform instagram_connect.end_connection(account, failure, at);
  else
    perform instagram_connect.write_refresh(account.id, payload);
    if credentials.status = 'needs_reauth' then
      perform instagram_connect.announce('instagram.connection.recovered', account, '{}', at);
    end if;
    if request is not null and account.reconnect_before is null then
      perform instagram_connect.announce('instagram.connection.reconnect_requested', account, request, at);
    end if;
    if renewal is not null then
      -- One that works tells that it is not Meta or the app.
      update instagram_connect.refresh_brakes
      set suspended_at = null, suspended_reason = null, updated_at = now()
      where provider = credentials.provider and suspended_at is not null;
    end if;
  end if;

  perform instagram_connect.note_usage(account.id, payload -> 'usage', at);
  select * into account from public.instagram_business_accounts where id = account.id;
  return jsonb_build_object('is_written', true, 'account', instagram_connect.account_view(account));
end;
$$;

comment on function instagram_connect.finish_refresh(jsonb) is
'Writes what came of a refresh and gives the lease back, in one transaction; writes nothing for whoever lost the lease.
A token that was made meanwhile, by a login or another refresh, took the lease with it and so is never overwritten.';

revoke all on function instagram_connect.finish_refresh(jsonb) from public;
grant execute on function instagram_connect.finish_refresh(jsonb) to service_role;
