"""The ASGI application: every simulated host and the control API on one port."""

from starlette.applications import Starlette

from meta_simulator.control.api import mount_control
from meta_simulator.facebook.dialog import mount_facebook_dialog
from meta_simulator.facebook.graph import mount_facebook_graph
from meta_simulator.instagram.code_exchange import mount_instagram_api
from meta_simulator.instagram.dialog import mount_instagram_dialog
from meta_simulator.instagram.graph import mount_instagram_graph
from meta_simulator.profile_pictures import picture_routes
from meta_simulator.simulator import Simulator


def create_app(simulator: Simulator) -> Starlette:
    """Return the application. Each of Meta's hosts is mounted under the path prefix /<host>."""
    return Starlette(
        routes=[
            mount_facebook_graph(simulator),
            mount_facebook_dialog(simulator),
            mount_instagram_graph(simulator),
            mount_instagram_api(simulator),
            mount_instagram_dialog(simulator),
            picture_routes(),
            mount_control(simulator),
        ]
    )
