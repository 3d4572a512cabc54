create or replace function instagram_connect.note_usage(account_id uuid, observed jsonb, at timestamptz) returns void
language sql
security invoker
set search_path = ''
as $$
  insert into instagram_connect.api_usage (business_account_id, usage_type, used_percent, regain_access_at, observed_at)
  select account_id, entry.usage_type, entry.used_percent, entry.regain_access_at, at
  from jsonb_to_recordset(coalesce(nullif(observed, 'null'), '[]')) as entry (
    usage_type text, used_percent smallint, regain_access_at timestamptz
  )
  on conflict (business_account_id, usage_type) do update set
    used_percent = excluded.used_percent,
    regain_access_at = excluded.regain_access_at,
    observed_at = excluded.observed_at
  where api_usage.observed_at <= excluded.observed_at;
$$;

comment on function instagram_connect.note_usage(uuid, jsonb, timestamptz) is
'Keeps what Meta''s usage headers said when an account was called.';

revoke all on function instagram_connect.note_usage(uuid, jsonb, timestamptz) from public;
grant execute on function instagram_connect.note_usage(uuid, jsonb, timestamptz) to service_role;
