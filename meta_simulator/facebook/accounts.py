"""Edges of a user on graph.facebook.com: their Pages and their permissions.

Sources: Meta, "User Accounts" and "User Permissions" references.
"""

from meta_simulator import errors
from meta_simulator.authentication import Session, authenticate, require_session, visible_pages
from meta_simulator.facebook.nodes import PAGE, page_node, requested_fields
from meta_simulator.graph.call import GraphCall
from meta_simulator.graph.paging import paging_block, slice_of
from meta_simulator.meta_apps import MetaApp
from meta_simulator.permissions import KNOWN_PERMISSIONS
from meta_simulator.revocation import remove_app
from meta_simulator.simulator import Simulator
from meta_simulator.world import Person

DEFAULT_ACCOUNT_FIELDS = "access_token,category,name,id,tasks"


def list_accounts(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Return {"data": [Page, …], "paging"?} with the Pages that the person lets the app see.

    The Page tokens in it never expire if the call used a long-lived user token, and otherwise expire with it. Without
    `pages_show_list` the list is empty; there is no error.
    """
    session = _session_of_user(simulator, call, edge="accounts")
    requested = requested_fields(call, PAGE, DEFAULT_ACCOUNT_FIELDS)
    pages = visible_pages(simulator, session)
    settings = simulator.settings
    shown = slice_of(call, len(pages), max_size=settings.max_page_size, empty_pages=settings.empty_pages)
    data = [
        page_node(simulator, call, session, page, role, requested) for page, role in pages[shown.start : shown.stop]
    ]
    if not pages:
        return {"data": data}
    return {"data": data, "paging": paging_block(call, shown, f"{session.person.id}/accounts")}


def list_permissions(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Return {"data": [{permission, status}]}, where status is "granted" or "declined"."""
    grant = _session_of_user(simulator, call, edge="permissions").grant
    return {
        "data": [
            {"permission": name, "status": "granted" if is_granted else "declined"}
            for name, is_granted in grant.permissions.items()
        ]
    }


def revoke_app(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Remove the app from the person's account. All their tokens for it are revoked (190/458)."""
    person, app_id = _person_and_app(simulator, call)
    remove_app(simulator, person, app_id)
    return {"success": True}


def revoke_permission(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Revoke one permission. Raises GraphError 100 for an unknown one."""
    person, app_id = _person_and_app(simulator, call)
    permission = call.segments[2]
    if permission not in KNOWN_PERMISSIONS:
        raise errors.invalid_parameter(f"Invalid permission {permission}")
    simulator.grants.of(app_id, person.id).decline(permission)
    return {"success": True}


def _session_of_user(simulator: Simulator, call: GraphCall, edge: str) -> Session:
    session = require_session(simulator, call)
    if session.is_page:
        raise errors.nonexisting_field(edge, PAGE.name)
    if call.segments[0] not in ("me", session.person.id):
        raise errors.object_missing(call.segments[0], call.method)
    return session


def _person_and_app(simulator: Simulator, call: GraphCall) -> tuple[Person, str]:
    caller = authenticate(simulator, call)
    if not isinstance(caller, MetaApp):
        return _session_of_user(simulator, call, edge="permissions").person, caller.token.app_id
    person = simulator.world.person(call.segments[0])
    if person is None:
        raise errors.object_missing(call.segments[0], call.method)
    return person, caller.id
