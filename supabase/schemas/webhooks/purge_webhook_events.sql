create or replace function instagram_connect.purge_webhook_events(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  unknown_until constant timestamptz := at - make_interval(days => (payload ->> 'unknown_days')::integer);
  known_until constant timestamptz := at - make_interval(days => (payload ->> 'known_days')::integer);
  room constant integer := payload ->> 'limit';
  purged integer;
begin
  if payload is null then
    return null;
  end if;
  -- Materialized, because a subquery that the planner runs again for each row deletes more than its limit.
  with old as materialized (
    select id
    from instagram_connect.webhook_events
    where received_at < unknown_until and (business_account_id is null or received_at < known_until)
    limit room
    -- A locked row may belong to a transaction that waits for another one of these. It is still old tomorrow.
    for update skip locked
  )
  delete from instagram_connect.webhook_events as event
  using old
  where event.id = old.id;
  get diagnostics purged = row_count;
  delete from instagram_connect.webhook_counts
  where day < (at at time zone 'UTC')::date - (payload ->> 'count_days')::integer;
  return to_jsonb(purged);
end;
$$;

comment on function instagram_connect.purge_webhook_events(jsonb) is
'Deletes events of accounts that nobody connected, and events that are old; messages and conversations stay.';

revoke all on function instagram_connect.purge_webhook_events(jsonb) from public;
grant execute on function instagram_connect.purge_webhook_events(jsonb) to service_role;
