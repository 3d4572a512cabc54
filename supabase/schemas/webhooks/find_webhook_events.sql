create or replace function instagram_connect.find_webhook_events(keys text[], entry_id text) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(
    (
      select jsonb_agg(
        jsonb_build_object(
          'business_account_id', found.business_account_id,
          'entry_id', found.entry_id,
          'event_key', found.event_key,
          'kind', found.kind,
          'event_at', found.event_at,
          'received_at', found.received_at,
          'is_erased', found.payload ? 'erased'
        )
        order by found.received_at
      )
      from (
        -- Account by account, because that is how the index is.
        select event.*
        from public.instagram_business_accounts as account
        cross join lateral (
          select *
          from instagram_connect.webhook_events as one
          where one.business_account_id = account.id and one.event_key = any (keys)
        ) as event
        where find_webhook_events.entry_id is null
          or find_webhook_events.entry_id in (account.instagram_business_id, account.page_id)
        union all
        select *
        from instagram_connect.webhook_events as one
        where one.business_account_id is null and one.event_key = any (keys)
          and (find_webhook_events.entry_id is null or one.entry_id = find_webhook_events.entry_id)
      ) as found
    ),
    '[]'
  );
$$;

comment on function instagram_connect.find_webhook_events(text[], text) is
'Stored events with one of these keys, of one account or of all if `entry_id` is null: ids and times, no content.';

revoke all on function instagram_connect.find_webhook_events(text[], text) from public;
grant execute on function instagram_connect.find_webhook_events(text[], text) to service_role;
