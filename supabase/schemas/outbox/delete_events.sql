create or replace function instagram_connect.delete_events(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  deleted integer;
begin
  if payload is null then
    return null;
  end if;
  delete from instagram_connect.outgoing_events
  where id in (select value::uuid from jsonb_array_elements_text(payload -> 'ids'));
  get diagnostics deleted = row_count;
  return to_jsonb(deleted);
end;
$$;

comment on function instagram_connect.delete_events(jsonb) is 'Deletes events that the event bus has taken.';

revoke all on function instagram_connect.delete_events(jsonb) from public;
grant execute on function instagram_connect.delete_events(jsonb) to service_role;
