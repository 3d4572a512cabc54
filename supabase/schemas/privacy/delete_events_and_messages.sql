create or replace function instagram_connect.delete_events_and_messages(
  accounts uuid[], revived uuid[], entry_ids text[], requested_at timestamptz, room integer
) returns boolean
language plpgsql
security invoker
set search_path = ''
as $$
declare
  deleted integer;
begin
  -- In steps, each of which fits a statement's time-out. Materialized, because a subquery that the planner runs again for
  -- each row deletes more than its limit.
  with gone as materialized (
    select id
    from instagram_connect.webhook_events
    where business_account_id = any (accounts)
      or business_account_id = any (revived) and received_at <= delete_events_and_messages.requested_at
    limit room
  )
  delete from instagram_connect.webhook_events as doomed
  using gone
  where doomed.id = gone.id;
  get diagnostics deleted = row_count;
  if deleted = room then
    return false;
  end if;
  with gone as materialized (
    select business_account_id, message_id
    from instagram_connect.instagram_dm_messages
    where business_account_id = any (accounts)
      or business_account_id = any (revived) and coalesce(sent_at, created_at) <= delete_events_and_messages.requested_at
    limit room
  )
  delete from instagram_connect.instagram_dm_messages as doomed
  using gone
  where doomed.business_account_id = gone.business_account_id and doomed.message_id = gone.message_id;
  get diagnostics deleted = row_count;
  if deleted = room then
    return false;
  end if;
  with gone as materialized (
    select id
    from instagram_connect.instagram_dm_conversations
    where business_account_id = any (accounts)
      or business_account_id = any (revived) and coalesce(last_message_at, created_at) <= delete_events_and_messages.requested_at
    limit room
  )
  delete from instagram_connect.instagram_dm_conversations as doomed
  using gone
  where doomed.id = gone.id;
  get diagnostics deleted = row_count;
  if deleted = room then
    return false;
  end if;
  return instagram_connect.delete_unknown_events(entry_ids, room);
end;
$$;

comment on function instagram_connect.delete_events_and_messages(uuid[], uuid[], text[], timestamptz, integer) is
'Deletes at most `room` rows of each kind that may be large, and returns whether nothing of them is left. `revived` are
accounts that their person has connected again since: of those, only rows from before the request.';

revoke all on function instagram_connect.delete_events_and_messages(uuid[], uuid[], text[], timestamptz, integer)
from public;
grant execute on function instagram_connect.delete_events_and_messages(uuid[], uuid[], text[], timestamptz, integer)
to service_role;
