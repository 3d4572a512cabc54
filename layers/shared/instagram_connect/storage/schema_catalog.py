"""Every table, column and function of the database. Made by `make migration` from supabase/schemas.

Names are qualified by their schema. A function's `body` is the SHA-256 of its source, as pg_proc.prosrc holds it, so
that the doctor sees a function that a migration should have replaced.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Function(NamedTuple):
    """A function's argument names and the SHA-256 of its body."""

    arguments: tuple[str, ...]
    body: str


RELATIONS: Mapping[str, tuple[str, ...]] = {
    "instagram_connect.api_usage": (
        "id",
        "business_account_id",
        "usage_type",
        "used_percent",
        "regain_access_at",
        "observed_at",
    ),
    "instagram_connect.automation_workflows": (
        "id",
        "business_account_id",
        "name",
        "is_enabled",
        "definition",
        "created_at",
        "updated_at",
    ),
    "instagram_connect.daily_analytics": ("id", "business_account_id", "day", "metrics", "created_at", "updated_at"),
    "instagram_connect.data_deletion_requests": (
        "id",
        "confirmation_code",
        "meta_user_hash",
        "erased_accounts",
        "erased_entry_hashes",
        "requested_at",
        "completed_at",
        "retained_reason",
    ),
    "instagram_connect.instagram_credentials": (
        "business_account_id",
        "provider",
        "access_token_ciphertext",
        "user_token_ciphertext",
        "scopes",
        "issued_at",
        "expires_at",
        "data_access_expires_at",
        "status",
        "failure_code",
        "failure_subcode",
        "failed_at",
        "last_refreshed_at",
        "lease_owner",
        "lease_expires_at",
        "created_at",
        "updated_at",
        "refresh_not_before",
        "last_attempted_at",
    ),
    "instagram_connect.instagram_dm_conversations": (
        "id",
        "business_account_id",
        "participant_id",
        "participant_username",
        "last_message_id",
        "last_message_at",
        "created_at",
        "updated_at",
        "last_inbound_at",
        "last_read_at",
    ),
    "instagram_connect.instagram_dm_messages": (
        "business_account_id",
        "message_id",
        "participant_id",
        "is_from_us",
        "text",
        "attachments",
        "reply_to",
        "sent_at",
        "edit_number",
        "edited_text",
        "unsent_at",
        "read_at",
        "reactions",
        "created_at",
        "updated_at",
    ),
    "instagram_connect.outgoing_events": ("id", "type", "business_account_id", "detail", "created_at", "taken_until"),
    "instagram_connect.refresh_brakes": (
        "provider",
        "paused_until",
        "app_used_percent",
        "app_used_at",
        "suspended_at",
        "suspended_reason",
        "updated_at",
    ),
    "instagram_connect.webhook_counts": ("entry_id", "day", "received", "stored", "duplicate", "unknown", "failed"),
    "instagram_connect.webhook_events": (
        "id",
        "business_account_id",
        "event_key",
        "field",
        "event_at",
        "payload",
        "received_at",
        "entry_id",
        "kind",
        "message_id",
        "participant_id",
        "is_from_us",
        "data",
    ),
    "public.instagram_business_accounts": (
        "id",
        "user_id",
        "provider",
        "instagram_business_id",
        "meta_user_id",
        "username",
        "name",
        "biography",
        "website",
        "profile_picture_url",
        "followers_count",
        "follows_count",
        "media_count",
        "page_id",
        "page_name",
        "page_tasks",
        "status",
        "token_expires_at",
        "webhook_subscribed_at",
        "webhook_subscription_error",
        "connected_at",
        "disconnected_at",
        "last_request_id",
        "created_at",
        "updated_at",
        "reconnect_reason",
        "reconnect_hint",
        "reconnect_before",
        "webhook_checked_at",
    ),
}

FUNCTIONS: Mapping[str, Function] = {
    "instagram_connect.account_view": Function(
        ("account",), "d6cae4a61f1c62626729c513fc70bf05707862a2f71ef8dbbaa9fd45d66c798c"
    ),
    "instagram_connect.adopt_webhook_events": Function(
        ("payload",), "778621bc0f8a904689b485c74fdba38a4d3cf881a2cb9f306dfdc9ad80bc6a71"
    ),
    "instagram_connect.announce": Function(
        ("type", "account", "about", "at"), "335d24ddd41abdf9d830a05f97cc71497d8a736dc8f03487af6c05da80a076f3"
    ),
    "instagram_connect.apply_direct_messages": Function(
        ("fresh",), "e2688205875a09e88acb60dd251dffec5b6637ce1ccf0df93fd16ce5a3ce1197"
    ),
    "instagram_connect.brake_refreshes": Function(
        ("payload",), "0a643f77e4011c2dfbbdb3842c111ef80433235aa709c4d9d18c452a85b9fb20"
    ),
    "instagram_connect.claim_refresh": Function(
        ("payload",), "70f5f6b5d8ac06f64810486b1388975caf685be749d48e9dd7c942a45217ae9a"
    ),
    "instagram_connect.claim_refreshes": Function(
        ("payload",), "ebcf950acc5ca0962e9d2f2b388f154ea5f481eb369c1f11da97a591058d83f2"
    ),
    "instagram_connect.count_webhook_events": Function(
        ("events", "fresh", "dropped", "at"), "80f3f27e110b4c5e7a7f7e8779438750496b676e4142cb59ea87b04c11f71148"
    ),
    "instagram_connect.create_public_views": Function(
        (), "9c6ab0ae3c00461b6beecfe29bc9d8adc1f0a8617d7ae3c991b688915db670a0"
    ),
    "instagram_connect.delete_accounts": Function(
        ("accounts", "revived", "entry_ids", "requested_at"),
        "02d36da57700fd7e69c6952ce50b669c99609aaa61bbd4b5574a46a4be16bd27",
    ),
    "instagram_connect.delete_events": Function(
        ("payload",), "11b2d09ae8d8e050c476ab6ab162d5f9c7a8a7fb68bfb5074c4d763bf2022270"
    ),
    "instagram_connect.delete_events_and_messages": Function(
        ("accounts", "revived", "entry_ids", "requested_at", "room"),
        "45d4b0c21d92d88bc817074930918072739c468f8407e97e4ba16e333e862dd1",
    ),
    "instagram_connect.delete_person": Function(
        ("payload",), "5be85e620288c7796c32da5ab60dfcb997170ec58dfd470df3578318c05b562b"
    ),
    "instagram_connect.delete_unknown_events": Function(
        ("entry_ids", "room"), "8700944c3deacaba4eb6c58e114046c5010e2027fc31883b1ab8a3c2bfbecf67"
    ),
    "instagram_connect.deletion_status": Function(
        ("payload",), "8ae711f67e3c2a9a9c4d857411b906fa75d4176c083a432079f9fc9f8d722e97"
    ),
    "instagram_connect.describe_schema": Function(
        ("payload",), "52107b4bbb6938b836f7da208a04aab01ef66c4e9305688a096a0e410132a360"
    ),
    "instagram_connect.disconnect_account": Function(
        ("payload",), "6713dae48dd3448ae2a5fdb9cd54ed5bebb3d4672f82141ed503c7d3983b663e"
    ),
    "instagram_connect.drop_public_views": Function(
        (), "a0d89b53672804d68fd47a23f549e526261dec1b65b96f6ce32ab50dd32accab"
    ),
    "instagram_connect.end_connection": Function(
        ("account", "failure", "at"), "f0dec05f87835f4f0230d46ce5ba4d6a81ea77904572fcfdb2ea92fab0106920"
    ),
    "instagram_connect.erase_tokens": Function(
        ("accounts", "requested_at"), "40d00a2f4bb998a93dc21a20ad9280431351df0b33918f54bb55555d9a455746"
    ),
    "instagram_connect.erase_unsent_messages": Function(
        ("fresh",), "13f7d140b0669749a0a604b59a8b98449d75744f447657979b683f43a1224a58"
    ),
    "instagram_connect.events_of_erased_people": Function(
        ("events", "owners"), "ea4830ae87aa0f59514c4e6fc91e65fe8c5e1ea85d01ab6bd0fc80ffea998765"
    ),
    "instagram_connect.find_webhook_events": Function(
        ("keys", "entry_id"), "20ffa502dbe1818b5671adb4e018bd4ca337a46cfe232574b9b833f4a0f397dc"
    ),
    "instagram_connect.finish_refresh": Function(
        ("payload",), "5d8518847914f608e5ccb50bd771380ceae1a01aced874b9d4f86818e551ffb8"
    ),
    "instagram_connect.forget_reconnect_request": Function(
        (), "27dff75a5cf3a24e0869616b5373852e2d942a84dc6c00efe578e64092b54591"
    ),
    "instagram_connect.forget_refreshes": Function(
        (), "33819f95f8a778594d64d3def610ea2cc7b1a28b6d558e7cb830fcc12c6ee6f8"
    ),
    "instagram_connect.insert_webhook_events": Function(
        ("events", "owners", "locked", "at"), "a4f5a52c74b4066d964eb0ad231abafa8c2f596f5b12bc4fa1d4c0e2ff5464d3"
    ),
    "instagram_connect.install_ddl_watch": Function(
        (), "8921975093dbb6134720b5b3596d7d7bce3d2dfddcf741fa8a7218902b6473d5"
    ),
    "instagram_connect.is_extended_before_expiry": Function(
        ("provider",), "e2fbcfb8a0e688acc30c757fc8ece68c8b73a432233fbf3caaa386d9a7b42f56"
    ),
    "instagram_connect.is_login_product": Function(
        ("provider",), "d9d5e83ac1abb577acd8e9d01612bf4904292c5ede6ae1301b11852ab43cd93f"
    ),
    "instagram_connect.is_of_person": Function(
        ("account", "person"), "f5d749dee89686376a00f4d4c58730f9f87a4e964591462510f4ba3531ad514c"
    ),
    "instagram_connect.kept_webhook_events": Function(
        ("payload",), "4803d268e5e1f792fcb88f1b26f03167acdec2b7c1c22783c3df38d59a9a33b8"
    ),
    "instagram_connect.lacking_grants": Function(
        ("contract",), "e4e8a2630544e04f843b58142855bfcbdf45ae45bb8439fc5f69be9a1f062f03"
    ),
    "instagram_connect.leased_refreshes": Function(
        ("payload",), "93162e2a582742b49e349ba0ffdae0c2d433a5876baf95cc6edeac7d17078c7a"
    ),
    "instagram_connect.list_accounts": Function(
        ("payload",), "22c3728c3be6c5bca2c3099f6f83eecd3051c91797e9edfd69250e151fcfed45"
    ),
    "instagram_connect.lock_accounts_of": Function(
        ("entry_ids",), "23bd3f1428abd9c53eb8faca4cc6117919804514d191f399d20c5d3e0146e656"
    ),
    "instagram_connect.mark_needs_reauth": Function(
        ("payload",), "40e1ba895bae9c021882157fed67232600c4e47f27138197e92eb8a70871fac8"
    ),
    "instagram_connect.merge_reactions": Function(
        ("one", "other"), "1989c3fbfc745fb99de8e8fda67bec605dab8856e3abe48734db9599bedfcbbf"
    ),
    "instagram_connect.message_changes": Function(
        (
            "fresh",
            "business_account_id",
            "message_id",
            "participant_id",
            "is_from_us",
            "text",
            "attachments",
            "reply_to",
            "sent_at",
            "edit_number",
            "edited_text",
            "unsent_at",
            "read_at",
            "reactions",
        ),
        "5bdbc3f0f5c9c72c8db8bd25d4b349c32e46072db1cd2b65f0939d3ea2a3aa6f",
    ),
    "instagram_connect.meta_user_hash": Function(
        ("meta_user_id",), "08b8dbd47325bad6d66c56d3ce069c5297de68e58022961c7d718dab085231c2"
    ),
    "instagram_connect.note_failed_webhook_events": Function(
        ("payload",), "eaed84c0c3da7fae452ccea93541ad0ca7d380def3b14a521b8b54a525f60b38"
    ),
    "instagram_connect.note_usage": Function(
        ("account_id", "observed", "at"), "b898aebabf9818560343a7308d732c010b474dd8ca1e9a14b4254d32f7bf73d8"
    ),
    "instagram_connect.person_id_of_account": Function(
        ("provider", "instagram_business_id"), "4e5e0cef4f7ee0e195c9fb70d843b21d0e8edc538c78f4552d973cda3c2c331c"
    ),
    "instagram_connect.purge_webhook_events": Function(
        ("payload",), "98f638dc8be841f2cd57f9abfb5a3f31bc04fce521173d0336b6915da833eb51"
    ),
    "instagram_connect.refresh_candidates": Function(
        (
            "rules",
            "at",
            "business_account_id",
            "provider",
            "last_attempted_at",
            "due_at",
            "renew",
            "check_subscription",
            "is_suspended",
            "is_slow",
        ),
        "693c69ce5b5648399e51b32540427e32df3be3d73d9cb3256e84a45fd2c9132d",
    ),
    "instagram_connect.refresh_due_at": Function(
        ("credentials", "rules", "is_asked"), "b2f34fb75758b936ac73f9bf45473e8601e95d68c70ae4fbf4b9417eab86e95e"
    ),
    "instagram_connect.refresh_overview": Function(
        ("payload",), "396e687da0427d3ec157031f0b1faca896c3ae68664cae15f8cf9ca6b02b7de9"
    ),
    "instagram_connect.refresh_task": Function(
        ("credentials", "account"), "0e56bdf99c4ddeaeafa68bfbfe99e73fb4579035fd297826637ee6844f704453"
    ),
    "instagram_connect.refresh_witnesses": Function(
        ("payload",), "b2f7a7acbbf85a3c58a1be07739953f0228ffa5aeeb8c55c52a5c049c3ed6a4c"
    ),
    "instagram_connect.refreshable_from": Function(
        ("credentials",), "24693e4535e27d26327777ce642238f6481a2c2e3de1a2468721ef45e2b59c58"
    ),
    "instagram_connect.refuse_deleted_person": Function(
        (), "02edbc3a01272fbb2ec67b9044fa00a15bf745c48cb61451a4ca2b9af7fe4db2"
    ),
    "instagram_connect.release_refreshes": Function(
        ("payload",), "aab40774721436cadc12881d063c5016fb9a3fd48426f62ec6290cb558afb128"
    ),
    "instagram_connect.reload_schema_cache": Function(
        (), "9994708d44170257403b85776ea2f648fbdaa86281732840236e38b98bbf3eb7"
    ),
    "instagram_connect.replay_webhook_events": Function(
        ("payload",), "d9c58cf1e25884154af00fe2e29269364f81120ee7d45854ce07ceba6984d439"
    ),
    "instagram_connect.restrict_public_access": Function(
        (), "81e9cb6d14e5e9b9e962367d0dbe442e1c4c592a6ba472a744a98fde621fc8eb"
    ),
    "instagram_connect.revoke_person": Function(
        ("payload",), "da98e4725ed3ea6c96cf78247ee6c840e5b1948adfd8c6cd6dbf6992aa99089c"
    ),
    "instagram_connect.schema_gaps": Function(
        ("contract",), "dd438717f90cd294fd6c0db181904554262cfb5187975c919d7ac3e24017bc1a"
    ),
    "instagram_connect.spread_place": Function(
        ("account_id",), "66849aae9d2da230781856618f904cb0ae45849ba567525fef8ae4e7b74d4ffd"
    ),
    "instagram_connect.store_account": Function(
        ("login", "entry"), "47e85fbd72ea2365e72f65846e335ed61bf4a979e88d205001a5797ce1b1a278"
    ),
    "instagram_connect.store_connection": Function(
        ("payload",), "ec39b3d67089912d2c7f421571ee868b59a3d17e654c2bdad3dbc2732b7f5298"
    ),
    "instagram_connect.store_conversations": Function(
        ("fresh",), "cb6f28388971cdbe4a71ce2efd8d262322d10284603df0349dcdfe491becb2a2"
    ),
    "instagram_connect.store_credentials": Function(
        ("account_id", "provider", "entry"), "72ee432eb2024e9d3f9544751bce2f70e40ee972dd0f180c6a193b53ee4ce46e"
    ),
    "instagram_connect.store_messages": Function(
        ("fresh",), "f6db50303268d23302ef36d4798b5da4de67bdf328c9a477b66fde1630583d66"
    ),
    "instagram_connect.store_one_by_one": Function(
        ("common", "events", "owners"), "440dce30396b2c6a7d926430802cfd684e203d440c2e759497ec593be900a7da"
    ),
    "instagram_connect.store_webhook_events": Function(
        ("payload",), "e1a6dee781b19ec67e33eb3c9dbe5a2649e068ff07b125609e6a0d0f63617d57"
    ),
    "instagram_connect.take_events": Function(
        ("payload",), "937f14c51bdd2886b7602cd43fe239486392d7111bad3e04be804be47485816a"
    ),
    "instagram_connect.take_unknown_events": Function(
        ("ids",), "79398819d815861c3b0584cd874cec9b95e05362f4d78fb44c0a188b537d932c"
    ),
    "instagram_connect.webhook_report": Function(
        ("payload",), "4e6db52fd64112f06ab8a309ae8918b3737a0e5e973a031a575e67ac0b2f0549"
    ),
    "instagram_connect.write_refresh": Function(
        ("account_id", "payload"), "40f04f5e3949dc1bb7db5edd1e01c1e7b8a56d6b5616d80c1cdbaf14f508b534"
    ),
    "instagram_connect.write_webhook_events": Function(
        ("fresh", "known_before", "at", "lease"), "d20a87823d9a6b0728709424a273c4c8bc4dfebf650f00b11528c3d2f7a9bfe5"
    ),
    "public.instagram_connect_adopt_webhook_events": Function(
        ("payload",), "6bc9efb4ef25aca7fa555b5eaeea789ba8b5ecc526a76277d7d353c8dc50a52d"
    ),
    "public.instagram_connect_brake_refreshes": Function(
        ("payload",), "b7ff98ad645d90939d6d873c4c3ca1685113f61944e5ebd2b574ba3c0831492e"
    ),
    "public.instagram_connect_claim_refresh": Function(
        ("payload",), "e7db2006956d61eeb9b05dcfba14d51fd0ae9f888d828e81c557270446e71935"
    ),
    "public.instagram_connect_claim_refreshes": Function(
        ("payload",), "ed6b9e2838055e1b988ba05a84092156d2d663e6708e032690c7d684556538fd"
    ),
    "public.instagram_connect_delete_events": Function(
        ("payload",), "ae35e09a4f424632f8ebf85987cef157d3515d04076db419db52facc716e5e3c"
    ),
    "public.instagram_connect_delete_person": Function(
        ("payload",), "27097e76fd96ad1a26f324c6c93829715d138823655bff4a5d6a804d37ce2250"
    ),
    "public.instagram_connect_deletion_status": Function(
        ("payload",), "e98da3d7b327b532f527de7013409d9c608d535f5eb04333819ce3fecaeef59d"
    ),
    "public.instagram_connect_describe_schema": Function(
        ("payload",), "6e40247e6267374c3836d2858d0185351a1d164ccff7ed9bdc9e3cc14bc7a2c8"
    ),
    "public.instagram_connect_disconnect_account": Function(
        ("payload",), "d99d6fe6aefe52d52c8b8220ff4df7b2facd7d81616b21c1680f8be6e854e332"
    ),
    "public.instagram_connect_finish_refresh": Function(
        ("payload",), "47277d949452efa9bb4ccea8ec0d3af87209c536f019afba30621057abdd5c77"
    ),
    "public.instagram_connect_kept_webhook_events": Function(
        ("payload",), "369047d3b9096c5be3c58d654777d8e68138228797e82a0c0ef8fed94c3ef840"
    ),
    "public.instagram_connect_leased_refreshes": Function(
        ("payload",), "f42d5390a63a8e14b07245cda751cb278b7ebe3b1c893b58080e904dfa726eaa"
    ),
    "public.instagram_connect_list_accounts": Function(
        ("payload",), "94b9fc789023df7f03fbe9697cbc1997d96881c1abab8a6ed454acc137e410be"
    ),
    "public.instagram_connect_mark_needs_reauth": Function(
        ("payload",), "5c9b6fc719782d877c39087b5026f94f85f11fcadfae30446a54f88015d3ae0a"
    ),
    "public.instagram_connect_note_failed_webhook_events": Function(
        ("payload",), "289676c506178d74481dff2f42e3ee5a8f64caeb390371703abef73531e49569"
    ),
    "public.instagram_connect_purge_webhook_events": Function(
        ("payload",), "09ed16ac36f613cb23a9e8fef7322078e3d2b7b739d5aafef3b132a75e2f81ce"
    ),
    "public.instagram_connect_refresh_overview": Function(
        ("payload",), "d86d8f22186480d22cc9e6a5ff6ff3f12b57c87de5ba96bd259fc647868893e9"
    ),
    "public.instagram_connect_refresh_witnesses": Function(
        ("payload",), "545d9d02193d05c5f41e5228eff8d760bcc35a873dacd0881d538152d8a8c0c9"
    ),
    "public.instagram_connect_release_refreshes": Function(
        ("payload",), "91bfb07eefccbaa26c6c20959bc440b6ae3e9876d7a69e3a27528ba7db9336f5"
    ),
    "public.instagram_connect_reload_schema_cache": Function(
        (), "8f48b943d0f706ecc78f90cc3cb73d79c8a51371c6e8b7a0ac0580275f7a15c5"
    ),
    "public.instagram_connect_replay_webhook_events": Function(
        ("payload",), "fe0e6da4792b77fba03720164bf0d1798295a47479e09ee400ae2812beafaf3d"
    ),
    "public.instagram_connect_revoke_person": Function(
        ("payload",), "029b3cf71f329398d2a8fe0d07b2c53bd78630f5b4f434f43723facd8fe03e9c"
    ),
    "public.instagram_connect_store_connection": Function(
        ("payload",), "0482d85a9381186a68ca28847ca2e8f08feb0f3dc2de3c4cd6863cf0e1476e1b"
    ),
    "public.instagram_connect_store_webhook_events": Function(
        ("payload",), "c94a801e3c637809cf268e62a4a52a491c6fcfb7c1e41cac9a5dd5566869432d"
    ),
    "public.instagram_connect_take_events": Function(
        ("payload",), "ee2565f8ea0a5693d3d81ba14c5bb1843e3a21d9f8582ff49343d7d7d074103e"
    ),
    "public.instagram_connect_webhook_report": Function(
        ("payload",), "8ac861d9b52b4bae71e0c83de36eb452640b1939f4ea3c552d67bf776ebe4d05"
    ),
}

# The tables and functions that each migration creates, replaces or adds columns to.
MIGRATIONS: Mapping[str, tuple[str, ...]] = {
    "20261201025719": (
        "instagram_connect.account_view",
        "instagram_connect.adopt_webhook_events",
        "instagram_connect.announce",
        "instagram_connect.api_usage",
        "instagram_connect.apply_direct_messages",
        "instagram_connect.automation_workflows",
        "instagram_connect.brake_refreshes",
        "instagram_connect.claim_refresh",
        "instagram_connect.claim_refreshes",
        "instagram_connect.count_webhook_events",
        "instagram_connect.create_public_views",
        "instagram_connect.daily_analytics",
        "instagram_connect.data_deletion_requests",
        "instagram_connect.delete_accounts",
        "instagram_connect.delete_events",
        "instagram_connect.delete_events_and_messages",
        "instagram_connect.delete_person",
        "instagram_connect.delete_unknown_events",
        "instagram_connect.deletion_status",
        "instagram_connect.describe_schema",
        "instagram_connect.disconnect_account",
        "instagram_connect.drop_public_views",
        "instagram_connect.end_connection",
        "instagram_connect.erase_tokens",
        "instagram_connect.erase_unsent_messages",
        "instagram_connect.events_of_erased_people",
        "instagram_connect.find_webhook_events",
        "instagram_connect.finish_refresh",
        "instagram_connect.forget_reconnect_request",
        "instagram_connect.forget_refreshes",
        "instagram_connect.insert_webhook_events",
        "instagram_connect.instagram_credentials",
        "instagram_connect.instagram_dm_conversations",
        "instagram_connect.instagram_dm_messages",
        "instagram_connect.install_ddl_watch",
        "instagram_connect.is_extended_before_expiry",
        "instagram_connect.is_login_product",
        "instagram_connect.is_of_person",
        "instagram_connect.kept_webhook_events",
        "instagram_connect.lacking_grants",
        "instagram_connect.leased_refreshes",
        "instagram_connect.list_accounts",
        "instagram_connect.lock_accounts_of",
        "instagram_connect.mark_needs_reauth",
        "instagram_connect.merge_reactions",
        "instagram_connect.message_changes",
        "instagram_connect.meta_user_hash",
        "instagram_connect.note_failed_webhook_events",
        "instagram_connect.note_usage",
        "instagram_connect.outgoing_events",
        "instagram_connect.person_id_of_account",
        "instagram_connect.purge_webhook_events",
        "instagram_connect.refresh_brakes",
        "instagram_connect.refresh_candidates",
        "instagram_connect.refresh_due_at",
        "instagram_connect.refresh_overview",
        "instagram_connect.refresh_task",
        "instagram_connect.refresh_witnesses",
        "instagram_connect.refreshable_from",
        "instagram_connect.refuse_deleted_person",
        "instagram_connect.release_refreshes",
        "instagram_connect.reload_schema_cache",
        "instagram_connect.replay_webhook_events",
        "instagram_connect.restrict_public_access",
        "instagram_connect.revoke_person",
        "instagram_connect.schema_gaps",
        "instagram_connect.spread_place",
        "instagram_connect.store_account",
        "instagram_connect.store_connection",
        "instagram_connect.store_conversations",
        "instagram_connect.store_credentials",
        "instagram_connect.store_messages",
        "instagram_connect.store_one_by_one",
        "instagram_connect.store_webhook_events",
        "instagram_connect.take_events",
        "instagram_connect.take_unknown_events",
        "instagram_connect.webhook_counts",
        "instagram_connect.webhook_events",
        "instagram_connect.webhook_report",
        "instagram_connect.write_refresh",
        "instagram_connect.write_webhook_events",
        "public.instagram_business_accounts",
        "public.instagram_connect_adopt_webhook_events",
        "public.instagram_connect_brake_refreshes",
        "public.instagram_connect_claim_refresh",
        "public.instagram_connect_claim_refreshes",
        "public.instagram_connect_delete_events",
        "public.instagram_connect_delete_person",
        "public.instagram_connect_deletion_status",
        "public.instagram_connect_describe_schema",
        "public.instagram_connect_disconnect_account",
        "public.instagram_connect_finish_refresh",
        "public.instagram_connect_kept_webhook_events",
        "public.instagram_connect_leased_refreshes",
        "public.instagram_connect_list_accounts",
        "public.instagram_connect_mark_needs_reauth",
        "public.instagram_connect_note_failed_webhook_events",
        "public.instagram_connect_purge_webhook_events",
        "public.instagram_connect_refresh_overview",
        "public.instagram_connect_refresh_witnesses",
        "public.instagram_connect_release_refreshes",
        "public.instagram_connect_reload_schema_cache",
        "public.instagram_connect_replay_webhook_events",
        "public.instagram_connect_revoke_person",
        "public.instagram_connect_store_connection",
        "public.instagram_connect_store_webhook_events",
        "public.instagram_connect_take_events",
        "public.instagram_connect_webhook_report",
    ),
}
