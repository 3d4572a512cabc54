create or replace function instagram_connect.restrict_public_access() returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  function regprocedure;
begin
  revoke all on public.instagram_business_accounts from public, anon, authenticated;
  grant select on public.instagram_business_accounts to authenticated;
  for function in
    select oid::regprocedure
    from pg_catalog.pg_proc
    where pronamespace = 'public'::regnamespace and starts_with(proname, 'instagram_connect_')
  loop
    execute format('revoke all on function %s from public, anon, authenticated', function);
  end loop;
end;
$$;

comment on function instagram_connect.restrict_public_access() is
'Takes back what older projects grant on every new object in `public`. Every migration ends with a call.';

revoke all on function instagram_connect.restrict_public_access() from public;
grant execute on function instagram_connect.restrict_public_access() to service_role;
