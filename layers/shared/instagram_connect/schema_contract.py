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
    RELOAD_FUNCTION: (),
    DESCRIBE_FUNCTION: ("payload",),
}

# What only those call: nobody asks the Data API for it, and without it they fail all the same.
INTERNAL_FUNCTIONS: Mapping[str, tuple[str, ...]] = {"account_view": ("account",)}

# The migrations under supabase/migrations by version, each with what it makes of the contract. So the doctor can tell a
# migration that was never applied from one that is recorded as applied and whose objects are not there.
MIGRATIONS: Mapping[str, tuple[str, ...]] = {
    "20261122090000": tuple(RELATIONS),
    "20261122090100": ("store_connection", RELOAD_FUNCTION),
    "20261122200000": ("account_view", "list_accounts", "disconnect_account"),
    "20261122230000": (DESCRIBE_FUNCTION,),
    "20261122231000": ("mark_needs_reauth",),
}
