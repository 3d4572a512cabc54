create table instagram_connect.automation_workflows (
  id uuid primary key default gen_random_uuid(),
  business_account_id uuid not null references public.instagram_business_accounts (id) on delete cascade,
  name text not null,
  is_enabled boolean not null default false,
  definition jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

comment on table instagram_connect.automation_workflows is
'Automations that the app runs for an account. The app decides what `definition` holds.';

create index on instagram_connect.automation_workflows (business_account_id);

alter table instagram_connect.automation_workflows enable row level security;

-- `(select auth.uid())` is evaluated once per query instead of once per row.
create policy "owners read their workflows" on instagram_connect.automation_workflows
for select to authenticated using (
  business_account_id in (
    select id from public.instagram_business_accounts
    where user_id = (select auth.uid())
  )
);

revoke all on instagram_connect.automation_workflows from public, anon, authenticated;
grant select on instagram_connect.automation_workflows to authenticated;
grant select, insert, update, delete on instagram_connect.automation_workflows to service_role;
