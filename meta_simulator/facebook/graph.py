"""graph.facebook.com: routing of methods and paths to operations."""

from typing import Final

from starlette.routing import Mount

from meta_simulator import errors
from meta_simulator.facebook.accounts import list_accounts, list_permissions, revoke_app, revoke_permission
from meta_simulator.facebook.debug_token import debug_token
from meta_simulator.facebook.nodes import read_node
from meta_simulator.facebook.oauth import exchange_code, extend_token, issue_app_token
from meta_simulator.facebook.subscriptions import list_page_subscriptions, subscribe_page, unsubscribe_page
from meta_simulator.graph.call import GraphCall
from meta_simulator.graph.host import Operation, mount_graph_host
from meta_simulator.simulator import Simulator

HOST: Final = "graph.facebook.com"

_TOKEN_GRANTS = {
    "fb_exchange_token": Operation("extend_token", extend_token),
    "client_credentials": Operation("issue_app_token", issue_app_token),
}
_EXCHANGE_CODE = Operation("exchange_code", exchange_code)
_DEBUG_TOKEN = Operation("debug_token", debug_token)
_EDGES = {
    ("GET", "accounts"): Operation("list_accounts", list_accounts),
    ("GET", "permissions"): Operation("permissions", list_permissions),
    ("DELETE", "permissions"): Operation("revoke_app", revoke_app),
    ("GET", "subscribed_apps"): Operation("list_page_subscriptions", list_page_subscriptions),
    ("POST", "subscribed_apps"): Operation("subscribe_page", subscribe_page),
    ("DELETE", "subscribed_apps"): Operation("unsubscribe_page", unsubscribe_page),
}
_REVOKE_PERMISSION = Operation("revoke_permission", revoke_permission)


def mount_facebook_graph(simulator: Simulator) -> Mount:
    """Return the routes of the host."""
    return mount_graph_host(simulator, HOST, _resolve)


def _resolve(simulator: Simulator, call: GraphCall) -> Operation:
    match call.segments:
        case ("oauth", "access_token") if call.method in {"GET", "POST"}:
            return _TOKEN_GRANTS.get(call.params.get("grant_type", ""), _EXCHANGE_CODE)
        case ("debug_token",) if call.method == "GET":
            return _DEBUG_TOKEN
        case (node_id,) if call.method == "GET":
            return Operation(_node_operation(simulator, node_id), read_node)
        case (_, edge) if (call.method, edge) in _EDGES:
            return _EDGES[(call.method, edge)]
        case (_, "permissions", _) if call.method == "DELETE":
            return _REVOKE_PERMISSION
        case _:
            return Operation("unknown", _refuse)


def _node_operation(simulator: Simulator, node_id: str) -> str:
    """Return an operation name that depends on the node type, so that faults can distinguish them."""
    if node_id == "me":
        return "read_me"
    if simulator.world.page(node_id):
        return "read_page"
    if simulator.world.page_of_instagram_account(node_id):
        return "read_instagram_account"
    return "read_user" if simulator.world.person(node_id) else "read_node"


def _refuse(_: Simulator, call: GraphCall) -> object:
    known_edges = {edge for _, edge in _EDGES}
    if len(call.segments) == 1 or (call.segments[1:] and call.segments[1] in known_edges):
        raise errors.unsupported_method(call.method)
    raise errors.unknown_path(call.segments[1:])
