create or replace function instagram_connect.announce(
  type text, account public.instagram_business_accounts, about jsonb, at timestamptz
) returns void
language sql
security invoker
set search_path = ''
as $$
  insert into instagram_connect.outgoing_events (type, business_account_id, detail, created_at)
  values (
    type,
    account.id,
    jsonb_build_object(
      'businessAccountId', account.id,
      'userId', account.user_id,
      'provider', account.provider,
      'instagramBusinessId', account.instagram_business_id,
      'username', account.username,
      'reason', about -> 'reason',
      'hint', about -> 'hint',
      'reconnectBefore', about -> 'before',
      'metaCode', about -> 'code',
      'metaSubcode', about -> 'subcode',
      'occurredAt', at
    ),
    at
  );
$$;

comment on function instagram_connect.announce(text, public.instagram_business_accounts, jsonb, timestamptz) is
'Writes an event down, in the same transaction as what it tells of.';

revoke all on function instagram_connect.announce(text, public.instagram_business_accounts, jsonb, timestamptz)
from public;
grant execute on function instagram_connect.announce(text, public.instagram_business_accounts, jsonb, timestamptz)
to service_role;
