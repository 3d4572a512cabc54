create or replace function instagram_connect.merge_reactions(one jsonb, other jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(jsonb_object_agg(latest.sender, latest.reaction), '{}')
  from (
    select distinct on (each.key) each.key as sender, each.value as reaction
    from (select * from jsonb_each(one) union all select * from jsonb_each(other)) as each
    -- Of two at the same moment always the same one, whichever came first.
    order by each.key, (each.value ->> 'at')::timestamptz desc nulls last, each.value ->> 'action', each.value::text
  ) as latest;
$$;

comment on function instagram_connect.merge_reactions(jsonb, jsonb) is
'The latest reaction of each sender, out of two collections of instagram_dm_messages.reactions.';

revoke all on function instagram_connect.merge_reactions(jsonb, jsonb) from public;
grant execute on function instagram_connect.merge_reactions(jsonb, jsonb) to service_role;
