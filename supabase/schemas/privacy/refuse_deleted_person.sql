create or replace function instagram_connect.refuse_deleted_person() returns trigger
language plpgsql
security invoker
set search_path = ''
as $$
begin
  -- A deletion of the same person that is under way is waited for; it takes the same locks alone.
  perform pg_advisory_xact_lock_shared(hashtextextended('deletion ' || person, 0))
  from unnest(
    array[new.meta_user_id, instagram_connect.person_id_of_account(new.provider, new.instagram_business_id)]
  ) as person
  where person is not null;
  if exists (
    select from instagram_connect.data_deletion_requests
    where meta_user_hash in (
        instagram_connect.meta_user_hash(new.meta_user_id),
        instagram_connect.meta_user_hash(
          instagram_connect.person_id_of_account(new.provider, new.instagram_business_id)
        )
      )
      and requested_at >= new.connected_at
  ) then
    -- PostgREST makes an HTTP status of such a code: 410, gone.
    raise exception 'The person has asked for the deletion of their data since this login.' using errcode = 'PT410';
  end if;
  return new;
end;
$$;

comment on function instagram_connect.refuse_deleted_person() is
'Trigger: a login that was made before its person asked for deletion is not stored after it, however late it comes.';

revoke all on function instagram_connect.refuse_deleted_person() from public;
grant execute on function instagram_connect.refuse_deleted_person() to service_role;

create or replace trigger refuse_deleted_person
before insert on public.instagram_business_accounts
for each row
execute function instagram_connect.refuse_deleted_person();
