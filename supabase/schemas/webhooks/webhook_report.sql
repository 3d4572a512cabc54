create or replace function instagram_connect.webhook_report(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'days', coalesce(
      (
        select jsonb_agg(to_jsonb(counted) order by counted.day desc, counted.entry_id)
        from (
          select
            counts.entry_id,
            (
              select max(account.username)
              from public.instagram_business_accounts as account
              where account.instagram_business_id = counts.entry_id or account.page_id = counts.entry_id
            ) as username,
            counts.day, counts.received, counts.stored, counts.duplicate, counts.unknown, counts.failed
          from instagram_connect.webhook_counts as counts
          where counts.day >= asked.since and (asked.entry_id is null or counts.entry_id = asked.entry_id)
          -- What somebody has to look at before what is as it should be.
          order by counts.failed desc, counts.unknown desc, counts.day desc, counts.received desc
          limit asked.room
        ) as counted
      ),
      '[]'
    ),
    'totals', (
      select jsonb_build_object(
        'received', coalesce(sum(counts.received), 0),
        'stored', coalesce(sum(counts.stored), 0),
        'duplicate', coalesce(sum(counts.duplicate), 0),
        'unknown', coalesce(sum(counts.unknown), 0),
        'failed', coalesce(sum(counts.failed), 0)
      )
      from instagram_connect.webhook_counts as counts
      where counts.day >= asked.since and (asked.entry_id is null or counts.entry_id = asked.entry_id)
    ),
    'newest_id', (select coalesce(max(id), 0) from instagram_connect.webhook_events),
    'waiting_to_be_published', (select count(*) from instagram_connect.outgoing_events where type like 'instagram.webhook.%'),
    'found', case when asked.id is not null then instagram_connect.find_webhook_events(asked.keys, asked.entry_id) end
  )
  from (
    select
      webhook_report.payload ->> 'entry_id' as entry_id,
      webhook_report.payload ->> 'id' as id,
      array[webhook_report.payload ->> 'id'] || array(
        select prefix || (webhook_report.payload ->> 'id')
        from unnest(array['msg:', 'del:', 'cmt:', 'men:', 'pb:', 'si:']) as prefix
      ) as keys,
      ((webhook_report.payload ->> 'now')::timestamptz at time zone 'UTC')::date
        - (webhook_report.payload ->> 'days')::integer as since,
      (webhook_report.payload ->> 'limit')::integer as room
    where webhook_report.payload is not null
  ) as asked;
$$;

comment on function instagram_connect.webhook_report(jsonb) is
'Who lost it? What became of what Meta delivered, by account and day, and where the event with a given id is.';

revoke all on function instagram_connect.webhook_report(jsonb) from public;
grant execute on function instagram_connect.webhook_report(jsonb) to service_role;
