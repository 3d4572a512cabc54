-- What a Supabase project contains before its first migration: roles, schemas, and the functions that policies call.
-- host.mjs applies it at every start, after Supabase Lite has created its auth tables, so all statements are idempotent.

do $$
declare
  role_name text;
begin
  foreach role_name in array array['anon', 'authenticated', 'service_role', 'authenticator'] loop
    if not exists (select from pg_roles where rolname = role_name) then
      execute format('create role %I nologin noinherit', role_name);
    end if;
  end loop;
end
$$;

-- service_role bypasses policies, not grants.
alter role service_role bypassrls;
-- The Data API logs in as authenticator, which may switch to the other three roles only.
alter role authenticator login;
grant anon, authenticated, service_role to authenticator;

-- The time limits of a hosted project, for slow introspection and blocked writes.
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role authenticated set statement_timeout = '8s';
alter role anon set statement_timeout = '3s';

create schema if not exists extensions;
grant usage on schema public, auth, extensions to anon, authenticated, service_role;

-- Since October 2026, new tables and sequences in public have no grants, not even for service_role. Functions keep the
-- EXECUTE that Postgres grants to PUBLIC: a schema-wide default cannot remove it, so each migration must.
alter default privileges for role postgres in schema public revoke all on tables from anon, authenticated, service_role;
alter default privileges for role postgres in schema public revoke all on sequences from anon, authenticated, service_role;
alter default privileges for role postgres in schema public revoke all on functions from anon, authenticated, service_role;

-- Supabase Lite sets one setting per claim, PostgREST one for all claims. These functions read both, as Supabase's do.
create or replace function auth.jwt() returns jsonb language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')
  )::jsonb
$$;

create or replace function auth.uid() returns uuid language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.sub', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
  )::uuid
$$;

create or replace function auth.role() returns text language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.role', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
  )
$$;

create or replace function auth.email() returns text language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.email', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'
  )
$$;
