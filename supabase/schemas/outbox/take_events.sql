create or replace function instagram_connect.take_events(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  taken jsonb;
begin
  if payload is null then
    return null;
  end if;
  with
  waiting as (
    select id
    from instagram_connect.outgoing_events
    where coalesce(taken_until, '-infinity') <= at
    order by created_at
    limit (payload ->> 'limit')::integer
    for update skip locked
  ),
  mine as (
    update instagram_connect.outgoing_events as event
    set taken_until = at + make_interval(secs => (payload ->> 'lease_s')::double precision)
    from waiting
    where event.id = waiting.id
    returning event.*
  )
  select coalesce(jsonb_agg(jsonb_build_object('id', id, 'type', type, 'detail', detail) order by created_at), '[]')
  into taken
  from mine;
  return taken;
end;
$$;

comment on function instagram_connect.take_events(jsonb) is
'Events to publish, the oldest first. They are another''s again if they are not deleted within `lease_s`.';

revoke all on function instagram_connect.take_events(jsonb) from public;
grant execute on function instagram_connect.take_events(jsonb) to service_role;
