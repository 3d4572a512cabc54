-- A new login brings a token of its own: what the former one went through says nothing about it.
create or replace function instagram_connect.forget_refreshes() returns trigger
language plpgsql
security invoker
set search_path = ''
as $$
begin
  new.last_refreshed_at := null;
  new.last_attempted_at := null;
  new.refresh_not_before := null;
  return new;
end;
$$;

comment on function instagram_connect.forget_refreshes() is
'Trigger: begins the record of refreshes anew with a new login.';

revoke all on function instagram_connect.forget_refreshes() from public;
grant execute on function instagram_connect.forget_refreshes() to service_role;

create or replace trigger forget_refreshes
before update on instagram_connect.instagram_credentials
for each row
when (new.issued_at > old.issued_at)
execute function instagram_connect.forget_refreshes();
