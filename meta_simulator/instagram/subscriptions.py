"""graph.instagram.com/{version}/{account}/subscribed_apps: webhook subscriptions of an account.

Source: Meta, "Instagram API with Instagram Login: Webhooks". `{account}` is `me` or the professional id.
"""

from meta_simulator.graph.call import GraphCall
from meta_simulator.graph.subscribed_fields import subscribed_fields
from meta_simulator.instagram.authentication import InstagramSession, require_instagram_session, require_own_account
from meta_simulator.simulator import Simulator

INSTAGRAM_FIELDS = (
    "comments",
    "live_comments",
    "mentions",
    "message_edit",
    "message_reactions",
    "messages",
    "messaging_handover",
    "messaging_optins",
    "messaging_policy_enforcement",
    "messaging_postbacks",
    "messaging_referral",
    "messaging_seen",
    "response_feedback",
    "standby",
    "story_insights",
)


def subscribe_instagram(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Subscribe the app to `subscribed_fields` (a comma-separated or JSON list).

    Raises GraphError as `require_instagram_session`; another account 100/33; without `instagram_business_basic` 10;
    an unknown field 100.
    """
    session = _session(simulator, call)
    fields = subscribed_fields(call, INSTAGRAM_FIELDS)
    account_id = session.account.id
    simulator.instagram_subscriptions.subscribe(account_id, session.token.app_id, fields, subscriber_id=account_id)
    return {"success": True}


def unsubscribe_instagram(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Remove the app's subscription. Succeeds even if there is none."""
    session = _session(simulator, call)
    simulator.instagram_subscriptions.unsubscribe(session.account.id, session.token.app_id)
    return {"success": True}


def list_instagram_subscriptions(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Return {"data": [{id, name, subscribed_fields}]} for the apps subscribed to the account."""
    account_id = _session(simulator, call).account.id
    return {
        "data": [
            {"id": app_id, "name": simulator.instagram_apps[app_id].name, "subscribed_fields": list(fields)}
            for app_id, fields in simulator.instagram_subscriptions.fields_by_app(account_id).items()
        ]
    }


def _session(simulator: Simulator, call: GraphCall) -> InstagramSession:
    session = require_instagram_session(simulator, call)
    require_own_account(session, call)
    session.require_basic()
    return session
