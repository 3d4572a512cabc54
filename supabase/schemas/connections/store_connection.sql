create or replace function instagram_connect.store_connection(payload jsonb) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  owner_id constant uuid := payload ->> 'user_id';
  login_provider constant text := payload ->> 'provider';
  account record;
  account_id uuid;
begin
  -- Called with null it does nothing: that is how the backend asks whether it is known and allowed. Not declared STRICT,
  -- because Postgres then answers null without looking at the grants.
  if payload is null then
    return null;
  end if;
  if jsonb_typeof(payload -> 'accounts') is distinct from 'array' or payload -> 'accounts' = '[]' then
    raise exception 'store_connection: accounts must be a non-empty array' using errcode = '22023';
  end if;

  for account in
    select *
    from jsonb_to_recordset(payload -> 'accounts') as entry (
      instagram_business_id text, username text, name text, biography text, website text, profile_picture_url text,
      followers_count bigint, follows_count bigint, media_count bigint, page_id text, page_name text,
      page_tasks text[], webhook_subscribed_at timestamptz, webhook_subscription_error text,
      access_token_ciphertext text, user_token_ciphertext text, scopes text[], issued_at timestamptz,
      expires_at timestamptz, data_access_expires_at timestamptz
    )
    -- Always in the same order: two logins of one user at once then wait for each other instead of deadlocking.
    order by entry.instagram_business_id
  loop
    insert into public.instagram_business_accounts as stored (
      user_id, provider, instagram_business_id, meta_user_id, username, name, biography, website,
      profile_picture_url, followers_count, follows_count, media_count, page_id, page_name, page_tasks,
      webhook_subscribed_at, webhook_subscription_error, connected_at, last_request_id
    )
    values (
      owner_id, login_provider, account.instagram_business_id, nullif(payload ->> 'meta_user_id', ''),
      nullif(account.username, ''), nullif(account.name, ''), nullif(account.biography, ''),
      nullif(account.website, ''), nullif(account.profile_picture_url, ''), account.followers_count,
      account.follows_count, account.media_count, nullif(account.page_id, ''), nullif(account.page_name, ''),
      coalesce(account.page_tasks, '{}'), account.webhook_subscribed_at,
      nullif(account.webhook_subscription_error, ''), account.issued_at, payload ->> 'request_id'
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

    -- This login is stored already, or something newer is. Its token stays, and so does a disconnection.
    continue when not found;

    insert into instagram_connect.instagram_credentials as stored (
      business_account_id, provider, access_token_ciphertext, user_token_ciphertext, scopes, issued_at, expires_at,
      data_access_expires_at
    )
    values (
      account_id, login_provider, account.access_token_ciphertext, nullif(account.user_token_ciphertext, ''),
      coalesce(account.scopes, '{}'), account.issued_at, account.expires_at, account.data_access_expires_at
    )
    on conflict (business_account_id) do update set
      provider = excluded.provider,
      access_token_ciphertext = excluded.access_token_ciphertext,
      user_token_ciphertext = excluded.user_token_ciphertext,  -- null: the access token is the person's own
      -- What Meta did not tell this time stays as it was; what belongs to another product does not.
      scopes = case
        when excluded.provider = stored.provider and excluded.scopes = '{}' then stored.scopes
        else excluded.scopes
      end,
      data_access_expires_at = case
        when excluded.provider = stored.provider
          then coalesce(excluded.data_access_expires_at, stored.data_access_expires_at)
        else excluded.data_access_expires_at
      end,
      issued_at = excluded.issued_at,
      expires_at = excluded.expires_at,  -- of the new token: null says that it does not end
      status = 'active',
      failure_code = null,
      failure_subcode = null,
      failed_at = null,
      -- A refresh under way holds the former token; without its lease it cannot write that one back.
      lease_owner = null,
      lease_expires_at = null,
      updated_at = now();

    update public.instagram_business_accounts set token_expires_at = account.expires_at where id = account_id;
  end loop;

  return (
    select jsonb_agg(instagram_connect.account_view(stored) order by entry.position)
    from jsonb_array_elements(payload -> 'accounts') with ordinality as entry (value, position)
    join public.instagram_business_accounts as stored
      on stored.user_id = owner_id and stored.instagram_business_id = entry.value ->> 'instagram_business_id'
  );
end;
$$;

comment on function instagram_connect.store_connection(jsonb) is
  'Stores the accounts and credentials of one login, all or none, and once: repeated it changes nothing. Something newer '
  'stays, a token as well as a disconnection, and no good value is replaced by a blank. Answers the accounts as their '
  'owner may see them, in the order given.';

revoke all on function instagram_connect.store_connection(jsonb) from public;
grant execute on function instagram_connect.store_connection(jsonb) to service_role;
