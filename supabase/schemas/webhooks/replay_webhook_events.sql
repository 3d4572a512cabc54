create or replace function instagram_connect.replay_webhook_events(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  ids constant bigint[] := array(select value::bigint from jsonb_array_elements_text(payload -> 'ids'));
  replaced jsonb;
  owners jsonb;
begin
  if payload is null then
    return null;
  end if;
  perform instagram_connect.lock_accounts_of(
    array(
      select entry_id from instagram_connect.webhook_events where id = any (ids)
      union
      select entry ->> 'entry_id' from jsonb_array_elements(payload -> 'events') as entry where entry ->> 'entry_id' <> ''
    )
  );
  -- Takes events away that others wait for while they hold what this waits for; so it waits for all of them first.
  lock table instagram_connect.webhook_events in share row exclusive mode;
  if (select count(*) from instagram_connect.webhook_events where id = any (ids)) <> cardinality(ids) then
    raise exception 'replay_webhook_events: events have been deleted since they were read' using errcode = '40001';
  end if;

  with taken as (
    delete from instagram_connect.webhook_events
    where id = any (ids)
    returning business_account_id, entry_id, event_key, received_at
  )
  select
    coalesce(jsonb_agg(jsonb_build_array(business_account_id, event_key)), '[]'),
    -- Each stays whose it was: of who has disconnected since, and of nobody who has connected since.
    coalesce(
      jsonb_agg(
        distinct jsonb_build_object(
          'entry_id', entry_id, 'received_at', received_at, 'business_account_id', business_account_id
        )
      ),
      '[]'
    )
  into replaced, owners
  from taken;
  return instagram_connect.store_webhook_events(
    jsonb_build_object(
      'now', payload -> 'now', 'lease_s', payload -> 'lease_s', 'events', payload -> 'events',
      'known_before', replaced, 'owners', owners, 'is_first_time', false
    )
  );
end;
$$;

comment on function instagram_connect.replay_webhook_events(jsonb) is
'Puts what a parser makes of stored events today in their place, in one transaction. What was told before is not told
again. Answers as store_webhook_events() does.';

revoke all on function instagram_connect.replay_webhook_events(jsonb) from public;
grant execute on function instagram_connect.replay_webhook_events(jsonb) to service_role;
