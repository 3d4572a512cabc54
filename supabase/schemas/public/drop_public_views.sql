create or replace function instagram_connect.drop_public_views() returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  view regclass;
begin
  for view in
    select class.oid::regclass
    from pg_catalog.pg_class as class
    where class.relnamespace = 'public'::regnamespace and class.relkind = 'v'
      and obj_description(class.oid, 'pg_class') like 'Instagram Connect:%'
  loop
    execute format('drop view %s', view);
  end loop;
end;
$$;

comment on function instagram_connect.drop_public_views() is
'Drops the views that create_public_views() made. Migrations that drop, rename or retype a column begin with a call.';

revoke all on function instagram_connect.drop_public_views() from public;
grant execute on function instagram_connect.drop_public_views() to service_role;
