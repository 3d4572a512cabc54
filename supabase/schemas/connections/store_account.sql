create or replace function instagram_connect.store_account(login jsonb, entry jsonb) returns uuid
language plpgsql
security invoker
set search_path = ''
as $$
declare
  account record;
  account_id uuid;
begin
  select * into account
  from jsonb_to_record(entry) as found (
    instagram_business_id text, username text, name text, biography text, website text, profile_picture_url text,
    followers_count bigint, follows_count bigint, media_count bigint, page_id text, page_name text, page_tasks text[],
    webhook_subscribed_at timestamptz, webhook_subscription_error text, issued_at timestamptz
  );

  insert into public.instagram_business_accounts as stored (
    user_id, provider, instagram_business_id, meta_user_id, username, name, biography, website,
    profile_picture_url, followers_count, follows_count, media_count, page_id, page_name, page_tasks,
    webhook_subscribed_at, webhook_subscription_error, connected_at, last_request_id
  )
  values (
    (login ->> 'user_id')::uuid, login ->> 'provider', account.instagram_business_id,
    nullif(login ->> 'meta_user_id', ''),
    nullif(account.username, ''), nullif(account.name, ''), nullif(account.biography, ''),
    nullif(account.website, ''), nullif(account.profile_picture_url, ''), account.followers_count,
    account.follows_count, account.media_count, nullif(account.page_id, ''), nullif(account.page_name, ''),
    coalesce(account.page_tasks, '{}'), account.webhook_subscribed_at,
    nullif(account.webhook_subscription_error, ''), account.issued_at, login ->> 'request_id'
  )
  on conflict (user_id, instagram_business_id) do update set
    provider = excluded.provider,
    -- Each product has its own namespace of people's ids: one must not outlive the change to the other.
    meta_user_id = case
      when excluded.provider = stored.provider then coalesce(excluded.meta_user_id, stored.meta_user_id)
      else excluded.meta_user_id
    end,
    username = coalesce(excluded.username, stored.username),
    name = coalesce(excluded.name, stored.name),
    biography = coalesce(excluded.biography, stored.biography),
    website = coalesce(excluded.website, stored.website),
    profile_picture_url = coalesce(excluded.profile_picture_url, stored.profile_picture_url),
    followers_count = coalesce(excluded.followers_count, stored.followers_count),
    follows_count = coalesce(excluded.follows_count, stored.follows_count),
    media_count = coalesce(excluded.media_count, stored.media_count),
    page_id = case
      when excluded.provider = stored.provider then coalesce(excluded.page_id, stored.page_id)
      else excluded.page_id
    end,
    page_name = case
      when excluded.provider = stored.provider then coalesce(excluded.page_name, stored.page_name)
      else excluded.page_name
    end,
    page_tasks = case
      when excluded.provider = stored.provider and excluded.page_tasks = '{}' then stored.page_tasks
      else excluded.page_tasks
    end,
    webhook_subscribed_at = coalesce(excluded.webhook_subscribed_at, stored.webhook_subscribed_at),
    webhook_subscription_error = excluded.webhook_subscription_error,
    status = 'active',
    disconnected_at = null,
    connected_at = excluded.connected_at,
    last_request_id = excluded.last_request_id,
    updated_at = now()
  -- Not the same login either: what is stored of it may have been refreshed, or found dead, since.
  where stored.connected_at < excluded.connected_at
    and coalesce(stored.disconnected_at, '-infinity') <= excluded.connected_at
    and not exists (
      select from instagram_connect.instagram_credentials
      where business_account_id = stored.id and status = 'active' and issued_at > excluded.connected_at
    )
  returning id into account_id;
  return account_id;
end;
$$;

comment on function instagram_connect.store_account(jsonb, jsonb) is
'Stores one account of a login and returns its id; null, and nothing stored, if this login is stored already or
something newer is. `login`: user_id, provider, meta_user_id, request_id.';

revoke all on function instagram_connect.store_account(jsonb, jsonb) from public;
grant execute on function instagram_connect.store_account(jsonb, jsonb) to service_role;
