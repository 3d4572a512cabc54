create or replace function instagram_connect.revoke_person(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  account public.instagram_business_accounts;
  revoked integer := 0;
begin
  if payload is null then
    return null;
  end if;
  for account in
    select stored.*
    from public.instagram_business_accounts as stored
    where stored.status <> 'disconnected'
      and stored.connected_at <= (payload ->> 'moment')::timestamptz
      and (stored.meta_user_id = payload ->> 'meta_user_id' or stored.instagram_business_id = payload ->> 'meta_user_id')
      and instagram_connect.is_of_person(stored, payload ->> 'meta_user_id')
    order by stored.instagram_business_id, stored.id
    for update
  loop
    perform instagram_connect.end_connection(account, payload -> 'failure', at);
    update instagram_connect.instagram_credentials
    set
      status = 'revoked',
      access_token_ciphertext = null,
      user_token_ciphertext = null,
      lease_owner = null,
      lease_expires_at = null,
      updated_at = now()
    where business_account_id = account.id and status not in ('revoked', 'erased');
    update public.instagram_business_accounts
    set
      reconnect_reason = payload -> 'failure' ->> 'reason',
      reconnect_hint = payload -> 'failure' ->> 'hint',
      reconnect_before = null,
      webhook_subscribed_at = null,
      updated_at = now()
    where id = account.id;
    revoked := revoked + 1;
  end loop;
  return to_jsonb(revoked);
end;
$$;

comment on function instagram_connect.revoke_person(jsonb) is
'Erases the tokens of a person who removed the app and marks their accounts, which only a new login brings back;
answers how many. Safe to repeat; a login made after `moment` stays.';

revoke all on function instagram_connect.revoke_person(jsonb) from public;
grant execute on function instagram_connect.revoke_person(jsonb) to service_role;
