-- A connection that was made again, or ended, has nothing left to ask of its user.
create or replace function instagram_connect.forget_reconnect_request() returns trigger
language plpgsql
security invoker
set search_path = ''
as $$
begin
  new.reconnect_reason := null;
  new.reconnect_hint := null;
  new.reconnect_before := null;
  return new;
end;
$$;

comment on function instagram_connect.forget_reconnect_request() is
'Trigger: takes back that a user is asked to connect again.';

revoke all on function instagram_connect.forget_reconnect_request() from public;
grant execute on function instagram_connect.forget_reconnect_request() to service_role;

create or replace trigger forget_reconnect_request
before update on public.instagram_business_accounts
for each row
when (
  new.status <> 'needs_reauth'
  and (new.status <> old.status or new.connected_at > old.connected_at)
)
execute function instagram_connect.forget_reconnect_request();
