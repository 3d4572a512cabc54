create or replace function instagram_connect.delete_unknown_events(entry_ids text[], room integer) returns boolean
language plpgsql
security invoker
set search_path = ''
as $$
declare
  deleted integer;
begin
  -- Unless somebody else has the account connected too, whose events these then are.
  with gone as materialized (
    select event.id
    from instagram_connect.webhook_events as event
    where event.business_account_id is null
      and event.entry_id = any (entry_ids)
      and not exists (
        select from public.instagram_business_accounts as other
        where event.entry_id in (other.instagram_business_id, other.page_id)
          and other.status <> 'disconnected'
      )
    limit room
  )
  delete from instagram_connect.webhook_events as doomed
  using gone
  where doomed.id = gone.id;
  get diagnostics deleted = row_count;
  if deleted = room then
    return false;
  end if;

  -- What nobody could read names no account; where it holds the id of one of these, it is about them.
  with gone as materialized (
    select event.id
    from instagram_connect.webhook_events as event
    where event.business_account_id is null
      and event.entry_id = ''
      and exists (
        select from unnest(entry_ids) as entry_id
        where position(entry_id in event.payload::text) > 0
          or position(convert_to(entry_id, 'UTF8') in decode(coalesce(event.payload ->> 'unparsed_base64', ''), 'base64')) > 0
      )
    limit room
  )
  delete from instagram_connect.webhook_events as doomed
  using gone
  where doomed.id = gone.id;
  get diagnostics deleted = row_count;
  if deleted = room then
    return false;
  end if;
  return true;
end;
$$;

comment on function instagram_connect.delete_unknown_events(text[], integer) is
'Deletes at most `room` events that no account has, of each kind: those of these entries, and unreadable ones that
mention them. Returns whether nothing of them is left.';

revoke all on function instagram_connect.delete_unknown_events(text[], integer) from public;
grant execute on function instagram_connect.delete_unknown_events(text[], integer) to service_role;
