create or replace function instagram_connect.create_public_views() returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  view record;
  existing record;
begin
  for view in
    select *
    from (
      values
      ('api_usage', true), ('automation_workflows', true), ('daily_analytics', true),
      ('instagram_credentials', false), ('instagram_dm_conversations', true), ('instagram_dm_messages', true),
      ('webhook_events', true)
    ) as wanted (name, is_readable)
  loop
    select class.oid, obj_description(class.oid, 'pg_class') like 'Instagram Connect:%' as is_ours
    into existing
    from pg_catalog.pg_class as class
    where class.relnamespace = 'public'::regnamespace and class.relname = view.name;
    -- A view is a type as well, so an enum or a domain of this name is in the way too.
    if existing.is_ours is not true and (
      existing.oid is not null
      or exists (
        select from pg_catalog.pg_type where typnamespace = 'public'::regnamespace and typname = view.name
      )
    ) then
      raise notice 'public.% exists already and stays as it is', view.name;
      continue;
    end if;
    execute format(
      'create or replace view public.%1$I with (security_invoker = true) as select * from instagram_connect.%1$I', view.name
    );
    execute format(
      'comment on view public.%1$I is %2$L', view.name, 'Instagram Connect: reads instagram_connect.' || view.name || '.'
    );
    execute format('revoke all on public.%I from public, anon, authenticated, service_role', view.name);
    if view.is_readable then
      execute format('grant select on public.%I to authenticated', view.name);
      execute format('grant select, insert, update, delete on public.%I to service_role', view.name);
    end if;
  end loop;
end;
$$;

comment on function instagram_connect.create_public_views() is
'Creates views in `public` through which a signed-in user reads their own rows, under names that the project does not
use itself. Every migration ends with a call.';

revoke all on function instagram_connect.create_public_views() from public;
grant execute on function instagram_connect.create_public_views() to service_role;
