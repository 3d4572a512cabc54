create or replace function instagram_connect.apply_direct_messages(fresh bigint[]) returns void
language plpgsql
security invoker
set search_path = ''
as $$
begin
  perform instagram_connect.store_messages(fresh);
  -- After the message rows are locked: of a message and its unsending at the same moment, the later one finds the other.
  perform instagram_connect.erase_unsent_messages(fresh);
  perform instagram_connect.store_conversations(fresh);
end;
$$;

comment on function instagram_connect.apply_direct_messages(bigint[]) is
'Brings messages and conversations up to date with stored events. Repeating it, or another order, changes nothing.';

revoke all on function instagram_connect.apply_direct_messages(bigint[]) from public;
grant execute on function instagram_connect.apply_direct_messages(bigint[]) to service_role;
