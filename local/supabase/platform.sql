-- What a Supabase project holds before its first migration: the roles, the schemas and the functions that policies call.
-- Applied by host.mjs at every start, after Supabase Lite has made its auth tables, so every statement can be repeated.

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

-- service_role skips policies, never grants.
alter role service_role bypassrls;
-- The Data API signs in as authenticator, which may become the other three and nothing else.
alter role authenticator login;
grant anon, authenticated, service_role to authenticator;

-- A slow introspection or a blocked write ends with the limits that a hosted project has.
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role authenticated set statement_timeout = '8s';
alter role anon set statement_timeout = '3s';

create schema if not exists extensions;
grant usage on schema public, auth, extensions to anon, authenticated, service_role;

-- Since October 2026 new tables and sequences in public are granted to nobody, not even to service_role. Functions keep
-- the EXECUTE that Postgres gives PUBLIC: a schema-wide default cannot take it away, so each migration has to.
alter default privileges for role postgres in schema public revoke all on tables from anon, authenticated, service_role;
alter default privileges for role postgres in schema public revoke all on sequences from anon, authenticated, service_role;
alter default privileges for role postgres in schema public revoke all on functions from anon, authenticated, service_role;

-- Supabase Lite sets one setting per claim, PostgREST one for all of them. These read both, as Supabase's own do.
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
