create or replace function instagram_connect.refresh_due_at(
  credentials instagram_connect.instagram_credentials, rules jsonb, is_asked boolean
) returns timestamptz
language sql
stable
security invoker
set search_path = ''
as $$
  select case
    when
      instagram_connect.is_extended_before_expiry(credentials.provider) and credentials.expires_at is not null
      then greatest(
      instagram_connect.refreshable_from(credentials),
      -- Spread to earlier, never to later: the lead stays whole.
      credentials.expires_at
        - make_interval(secs => (rules ->> 'lead_s')::double precision)
        - make_interval(secs => (rules ->> 'spread_s')::double precision)
          * instagram_connect.spread_place(credentials.business_account_id)
    )
    else greatest(
      instagram_connect.refreshable_from(credentials),
      least(
        coalesce(credentials.last_refreshed_at, credentials.issued_at)
          + make_interval(secs => (rules ->> 'recheck_s')::double precision)
            * (1 - instagram_connect.spread_place(credentials.business_account_id) / 7),
        -- In time to ask the user, who is asked once.
        case when not is_asked then
          least(credentials.expires_at, credentials.data_access_expires_at)
            - make_interval(secs => (rules ->> 'lead_s')::double precision)
        end
      )
    )
  end;
$$;

comment on function instagram_connect.refresh_due_at(instagram_connect.instagram_credentials, jsonb, boolean) is
'When a token is to be refreshed: Instagram''s a lead before its end, Facebook''s weekly, and a lead before anything
ends that the user was not asked about yet. `rules`: lead_s, spread_s, recheck_s.';

revoke all on function instagram_connect.refresh_due_at(instagram_connect.instagram_credentials, jsonb, boolean)
from public;
grant execute on function instagram_connect.refresh_due_at(instagram_connect.instagram_credentials, jsonb, boolean)
to service_role;
