create or replace function instagram_connect.store_messages(fresh bigint[]) returns void
language plpgsql
security invoker
set search_path = ''
as $$
begin
  insert into instagram_connect.instagram_dm_messages as stored (
    business_account_id, message_id, participant_id, is_from_us, text, attachments, reply_to, sent_at, edit_number,
    edited_text, unsent_at, read_at, reactions
  )
  select
    change.business_account_id, change.message_id, change.participant_id, change.is_from_us,
    case when change.unsent_at is null then change.text end,
    case when change.unsent_at is null then change.attachments end,
    case when change.unsent_at is null then change.reply_to end,
    change.sent_at, change.edit_number,
    case when change.unsent_at is null then change.edited_text end,
    change.unsent_at, change.read_at, change.reactions
  from instagram_connect.message_changes(fresh) as change
  order by change.business_account_id, change.message_id
  on conflict (business_account_id, message_id) do update set
    participant_id = greatest(stored.participant_id, excluded.participant_id),
    is_from_us = greatest(stored.is_from_us, excluded.is_from_us),
    text = case when least(stored.unsent_at, excluded.unsent_at) is null then coalesce(stored.text, excluded.text) end,
    attachments = case
      when least(stored.unsent_at, excluded.unsent_at) is null then coalesce(stored.attachments, excluded.attachments)
    end,
    reply_to = case
      when least(stored.unsent_at, excluded.unsent_at) is null then coalesce(stored.reply_to, excluded.reply_to)
    end,
    sent_at = coalesce(stored.sent_at, excluded.sent_at),
    edit_number = greatest(stored.edit_number, excluded.edit_number),
    edited_text = case
      when least(stored.unsent_at, excluded.unsent_at) is not null then null
      -- Of two with the same number always the same one, whichever came first.
      when (excluded.edit_number, excluded.edited_text is not null, coalesce(excluded.edited_text, ''))
        > (coalesce(stored.edit_number, -1), stored.edited_text is not null, coalesce(stored.edited_text, ''))
        then excluded.edited_text
      else stored.edited_text
    end,
    unsent_at = least(stored.unsent_at, excluded.unsent_at),
    read_at = least(stored.read_at, excluded.read_at),
    reactions = instagram_connect.merge_reactions(stored.reactions, excluded.reactions),
    updated_at = now();
end;
$$;

comment on function instagram_connect.store_messages(bigint[]) is
'Brings instagram_dm_messages up to date with stored events. Repeating it, or another order, changes nothing.';

revoke all on function instagram_connect.store_messages(bigint[]) from public;
grant execute on function instagram_connect.store_messages(bigint[]) to service_role;
