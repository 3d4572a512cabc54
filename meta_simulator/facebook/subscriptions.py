"""graph.facebook.com/{version}/{page-id}/subscribed_apps: webhook subscriptions of a Page.

Source: Meta, "Page Subscribed Apps" reference.
"""

from meta_simulator import errors
from meta_simulator.authentication import Session, authenticate
from meta_simulator.errors import GraphError
from meta_simulator.graph.call import GraphCall
from meta_simulator.graph.subscribed_fields import subscribed_fields
from meta_simulator.simulator import Simulator

# The fields that the Page edge accepts; it rejects Instagram's.
PAGE_FIELDS = (
    "feed",
    "mention",
    "messages",
    "message_deliveries",
    "message_echoes",
    "message_reactions",
    "message_reads",
    "messaging_handovers",
    "messaging_optins",
    "messaging_postbacks",
    "messaging_referrals",
    "standby",
)


def subscribe_page(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Subscribe the app to `subscribed_fields` (a comma-separated or JSON list).

    Raises GraphError: not a Page token 210; another Page's token, or no `pages_manage_metadata` 200; an unknown field
    100.
    """
    page_id, session = _page_and_session(simulator, call)
    fields = subscribed_fields(call, PAGE_FIELDS)
    simulator.subscriptions.subscribe(page_id, session.token.app_id, fields, session.person.id)
    return {"success": True}


def unsubscribe_page(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Remove the app's subscription. Succeeds even if there is none."""
    page_id, session = _page_and_session(simulator, call)
    simulator.subscriptions.unsubscribe(page_id, session.token.app_id)
    return {"success": True}


def list_page_subscriptions(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Return {"data": [{id, name, subscribed_fields}]} for the apps subscribed to the Page."""
    page_id, _ = _page_and_session(simulator, call)
    return {
        "data": [
            {"id": app_id, "name": simulator.apps[app_id].name, "subscribed_fields": list(fields)}
            for app_id, fields in simulator.subscriptions.fields_by_app(page_id).items()
        ]
    }


def _page_and_session(simulator: Simulator, call: GraphCall) -> tuple[str, Session]:
    caller = authenticate(simulator, call)
    page_id = caller.token.page_id if isinstance(caller, Session) else None
    if not isinstance(caller, Session) or page_id is None:
        raise GraphError("(#210) A page access token is required to request this resource.", errors.PAGE_TOKEN_REQUIRED)
    if call.segments[0] not in ("me", page_id):
        raise GraphError(
            "(#200) User does not have sufficient administrative permission for this action on this page.",
            errors.PERMISSION_ERROR,
        )
    if not caller.grant.allows("pages_manage_metadata"):
        raise GraphError(
            "(#200) Requires pages_manage_metadata permission to manage the object", errors.PERMISSION_ERROR
        )
    return page_id, caller
