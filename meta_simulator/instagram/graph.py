"""graph.instagram.com: routing of methods and paths to operations."""

from typing import Final

from starlette.routing import Mount

from meta_simulator import errors
from meta_simulator.graph.call import GraphCall
from meta_simulator.graph.host import Operation, mount_graph_host
from meta_simulator.instagram.long_lived_tokens import (
    extend_instagram_token,
    refresh_instagram_token,
    unsupported_request,
)
from meta_simulator.instagram.me import read_instagram_me
from meta_simulator.instagram.subscriptions import (
    list_instagram_subscriptions,
    subscribe_instagram,
    unsubscribe_instagram,
)
from meta_simulator.simulator import Simulator

HOST: Final = "graph.instagram.com"

_TOKEN_PATHS = {
    "/access_token": Operation("extend_instagram_token", extend_instagram_token),
    "/refresh_access_token": Operation("refresh_instagram_token", refresh_instagram_token),
}
_READ_ME = Operation("read_instagram_me", read_instagram_me)
_SUBSCRIBED_APPS = {
    "GET": Operation("list_instagram_subscriptions", list_instagram_subscriptions),
    "POST": Operation("subscribe_instagram", subscribe_instagram),
    "DELETE": Operation("unsubscribe_instagram", unsubscribe_instagram),
}


def mount_instagram_graph(simulator: Simulator) -> Mount:
    """Return the routes of the host."""
    return mount_graph_host(simulator, HOST, _resolve)


def _resolve(_: Simulator, call: GraphCall) -> Operation:
    if call.path in _TOKEN_PATHS:
        return _TOKEN_PATHS[call.path] if call.method == "GET" else Operation("unknown", _refuse_method)
    match call.segments:
        case ("access_token" | "refresh_access_token",):  # the token endpoints have no version
            return Operation("unknown", _refuse_path)
        case (_,):
            return _READ_ME if call.method == "GET" else Operation("unknown", _refuse_method)
        case (_, "subscribed_apps"):
            return _SUBSCRIBED_APPS[call.method]
        case _:
            return Operation("unknown", _refuse_path)


def _refuse_method(_: Simulator, call: GraphCall) -> object:
    raise unsupported_request(call.method) if call.path in _TOKEN_PATHS else errors.unsupported_method(call.method)


def _refuse_path(_: Simulator, call: GraphCall) -> object:
    raise errors.unknown_path(call.segments[-1:])
