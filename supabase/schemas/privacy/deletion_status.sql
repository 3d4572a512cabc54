create or replace function instagram_connect.deletion_status(payload jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'requested_at', requested_at, 'completed_at', completed_at, 'retained_reason', retained_reason
  )
  from instagram_connect.data_deletion_requests
  where confirmation_code = payload ->> 'confirmation_code';
$$;

comment on function instagram_connect.deletion_status(jsonb) is
'How far a deletion is, for whoever has its confirmation code; null for an unknown one. Nothing personal.';

revoke all on function instagram_connect.deletion_status(jsonb) from public;
grant execute on function instagram_connect.deletion_status(jsonb) to service_role;
