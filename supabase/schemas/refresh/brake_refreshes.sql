create or replace function instagram_connect.brake_refreshes(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  at constant timestamptz := payload ->> 'now';
  was_suspended boolean;
begin
  if payload is null then
    return null;
  end if;
  insert into instagram_connect.refresh_brakes (provider) values (payload ->> 'provider') on conflict (provider) do nothing;
  select suspended_at is not null into was_suspended
  from instagram_connect.refresh_brakes
  where provider = payload ->> 'provider'
  for update;
  update instagram_connect.refresh_brakes
  set
    paused_until = greatest(paused_until, (payload ->> 'paused_until')::timestamptz),
    app_used_percent = coalesce((payload ->> 'app_used_percent')::smallint, app_used_percent),
    app_used_at = case when payload ->> 'app_used_percent' is null then app_used_at else at end,
    suspended_at = case
      when (payload ->> 'is_resumed')::boolean then null
      when payload ->> 'suspended_reason' is null then suspended_at
      else coalesce(suspended_at, at)
    end,
    suspended_reason = case
      when (payload ->> 'is_resumed')::boolean then null
      else coalesce(payload ->> 'suspended_reason', suspended_reason)
    end,
    updated_at = now()
  where provider = payload ->> 'provider';
  return jsonb_build_object('is_new_suspension', payload ->> 'suspended_reason' is not null and not was_suspended);
end;
$$;

comment on function instagram_connect.brake_refreshes(jsonb) is
'Slows, pauses, suspends or resumes the refreshing of a login product; tells whether it suspended what ran before.';

revoke all on function instagram_connect.brake_refreshes(jsonb) from public;
grant execute on function instagram_connect.brake_refreshes(jsonb) to service_role;
