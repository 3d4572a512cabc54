create or replace function instagram_connect.refresh_witnesses(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select case when payload is not null then coalesce(
    (
      select jsonb_agg(witness.task)
      from (
        select person.task
        from (
          select distinct on (coalesce(account.meta_user_id, account.user_id::text))
            instagram_connect.refresh_task(credentials, account) as task,
            coalesce(credentials.last_refreshed_at, credentials.issued_at) as worked_at
          from instagram_connect.instagram_credentials as credentials
          join public.instagram_business_accounts as account on account.id = credentials.business_account_id
          where credentials.status = 'active'
            and credentials.provider = payload ->> 'provider'
            and coalesce(account.meta_user_id, account.user_id::text) not in (
              select jsonb_array_elements_text(payload -> 'except_people')
            )
          order by coalesce(account.meta_user_id, account.user_id::text),
            coalesce(credentials.last_refreshed_at, credentials.issued_at) desc
        ) as person
        -- Those that were last known to work.
        order by person.worked_at desc
        limit (payload ->> 'limit')::integer
      ) as witness
    ),
    '[]'
  ) end;
$$;

comment on function instagram_connect.refresh_witnesses(jsonb) is
'One account each of other people, to find out whether their tokens work: that tells a dead token from a blocked app.';

revoke all on function instagram_connect.refresh_witnesses(jsonb) from public;
grant execute on function instagram_connect.refresh_witnesses(jsonb) to service_role;
