"""The permissions of each login product, with the descriptions that its dialog shows.

Source: Meta, "Permissions Reference" and "Facebook Login for Business".
"""

ALWAYS_GRANTED = "public_profile"

INSTAGRAM_PERMISSIONS = {
    "instagram_basic": "See the profile and posts of your Instagram accounts",
    "instagram_content_publish": "Publish to your Instagram accounts",
    "instagram_manage_comments": "Read and reply to comments on Instagram",
    "instagram_manage_contents": "Delete content on Instagram",
    "instagram_manage_engagement": "Like content on Instagram",
    "instagram_manage_insights": "See insights of your Instagram accounts",
    "instagram_manage_messages": "Read and reply to messages on Instagram",
}
PAGE_PERMISSIONS = {
    "pages_manage_engagement": "Manage comments on your Pages",
    "pages_manage_metadata": "Manage settings and webhooks of your Pages",
    "pages_manage_posts": "Publish to your Pages",
    "pages_messaging": "Manage conversations of your Pages",
    "pages_read_engagement": "Read posts and reactions on your Pages",
    "pages_read_user_content": "Read what people write on your Pages",
    "pages_show_list": "See the list of your Pages",
}
OTHER_PERMISSIONS = {
    "ads_management": "Manage your ads",
    "ads_read": "Read statistics of your ads",
    "business_management": "Manage your business portfolios",
    "email": "See your e-mail address",
    ALWAYS_GRANTED: "See your name and profile picture",
}
KNOWN_PERMISSIONS = {**INSTAGRAM_PERMISSIONS, **PAGE_PERMISSIONS, **OTHER_PERMISSIONS}

# The permissions of Instagram API with Instagram Login.
INSTAGRAM_BASIC = "instagram_business_basic"
INSTAGRAM_LOGIN_PERMISSIONS = {
    INSTAGRAM_BASIC: "See your profile and your posts",
    "instagram_business_manage_messages": "Read and reply to your messages",
    "instagram_business_manage_comments": "Read and reply to comments on your posts",
    "instagram_business_content_publish": "Publish posts for you",
    "instagram_business_manage_insights": "See insights of your account and your posts",
}

# All that connecting an account needs: requested by a "Facebook Login for Business" configuration (config_id), and the
# default of POST /_simulator/authorize.
CONFIGURED_PERMISSIONS = (
    "instagram_basic",
    "instagram_manage_comments",
    "instagram_manage_messages",
    "pages_show_list",
    "pages_read_engagement",
    "pages_manage_metadata",
    "business_management",
)


def split_permissions(text: str) -> tuple[str, ...]:
    """Split a `scope` value at commas or spaces, in order and without repeats."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))
