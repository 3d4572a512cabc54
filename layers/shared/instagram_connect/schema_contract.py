"""What the code needs the Data API to know: every relation with its columns, every function with its arguments.

One declaration for the deploy gate, the probes and the tests. A test compares it with the migrations, so that a
column that is used here cannot be missing there.
"""

from collections.abc import Mapping

RELATIONS: Mapping[str, tuple[str, ...]] = {
    "instagram_business_accounts": (
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
        "reconnect_reason",
        "reconnect_hint",
        "reconnect_before",
        "webhook_checked_at",
        "last_request_id",
        "created_at",
        "updated_at",
    ),
    "instagram_credentials": (
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
        "last_attempted_at",
        "refresh_not_before",
        "lease_owner",
        "lease_expires_at",
        "created_at",
        "updated_at",
    ),
    "api_usage": (
        "id",
        "business_account_id",
        "usage_type",
        "used_percent",
        "regain_access_at",
        "observed_at",
    ),
    "automation_workflows": (
        "id",
        "business_account_id",
        "name",
        "is_enabled",
        "definition",
        "created_at",
        "updated_at",
    ),
    "daily_analytics": ("id", "business_account_id", "day", "metrics", "created_at", "updated_at"),
    "instagram_dm_conversations": (
        "id",
        "business_account_id",
        "participant_id",
        "participant_username",
        "last_message_id",
        "last_message_at",
        "created_at",
        "updated_at",
    ),
    "webhook_events": (
        "id",
        "business_account_id",
        "event_key",
        "field",
        "event_at",
        "payload",
        "received_at",
    ),
    "data_deletion_requests": (
        "id",
        "confirmation_code",
        "meta_user_id",
        "requested_at",
        "completed_at",
        "retained_reason",
    ),
    "refresh_brakes": (
        "provider",
        "paused_until",
        "app_used_percent",
        "app_used_at",
        "suspended_at",
        "suspended_reason",
        "updated_at",
    ),
    "outgoing_events": ("id", "type", "business_account_id", "detail", "created_at", "taken_until"),
}

# Every function that takes a payload does nothing and answers null when called with null. So the Data API can be asked
# whether it knows the function, and whether we may call it, without any effect.
RELOAD_FUNCTION = "reload_schema_cache"
DESCRIBE_FUNCTION = "describe_schema"
FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "store_connection": ("payload",),
    "list_accounts": ("payload",),
    "disconnect_account": ("payload",),
    "mark_needs_reauth": ("payload",),
    "claim_refreshes": ("payload",),
    "claim_refresh": ("payload",),
    "leased_refreshes": ("payload",),
    "finish_refresh": ("payload",),
    "release_refreshes": ("payload",),
    "refresh_witnesses": ("payload",),
    "brake_refreshes": ("payload",),
    "take_events": ("payload",),
    "delete_events": ("payload",),
    "refresh_overview": ("payload",),
    RELOAD_FUNCTION: (),
    DESCRIBE_FUNCTION: ("payload",),
}

# What only those call: nobody asks the Data API for it, and without it they fail all the same.
INTERNAL_FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "account_view": ("account",),
    "forget_reconnect_request": (),
    "forget_refreshes": (),
    "refreshable_from": ("credentials",),
    "spread_place": ("account_id",),
    "refresh_due_at": ("credentials", "rules", "is_asked"),
    "refresh_task": ("credentials", "account"),
    "end_connection": ("account", "failure", "at"),
    "announce": ("type", "account", "about", "at"),
    "note_usage": ("account_id", "observed", "at"),
}

_RELATIONS_OF_REFRESHING = ("refresh_brakes", "outgoing_events")

# The migrations under supabase/migrations by version, each with what it makes of the contract. So the doctor can tell a
# migration that was never applied from one that is recorded as applied and whose objects are not there.
MIGRATIONS: Mapping[str, tuple[str, ...]] = {
    "20261122090000": tuple(name for name in RELATIONS if name not in _RELATIONS_OF_REFRESHING),
    "20261122090100": ("store_connection", RELOAD_FUNCTION),
    "20261122200000": ("account_view", "list_accounts", "disconnect_account"),
    "20261122230000": (DESCRIBE_FUNCTION,),
    "20261122231000": ("mark_needs_reauth",),
    "20261128090000": (
        *_RELATIONS_OF_REFRESHING,
        "forget_reconnect_request",
        "forget_refreshes",
        "refreshable_from",
        "spread_place",
        "refresh_due_at",
        "refresh_task",
        "end_connection",
        "announce",
        "note_usage",
        "claim_refreshes",
        "claim_refresh",
        "leased_refreshes",
        "finish_refresh",
        "release_refreshes",
        "refresh_witnesses",
        "brake_refreshes",
        "take_events",
        "delete_events",
    ),
    "20261128090100": ("refresh_overview",),
}
