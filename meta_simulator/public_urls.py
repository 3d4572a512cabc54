"""The base URLs under which the simulator serves each of Meta's hosts."""

from meta_simulator.facebook import dialog as facebook_dialog
from meta_simulator.facebook import graph as facebook_graph
from meta_simulator.instagram import code_exchange, dialog, graph


def public_urls(origin: str) -> dict[str, str]:
    """Return the base URL of each host by the name that GET /_simulator/health uses for it.

    `origin` is the simulator's own, for example http://127.0.0.1:4600.
    """
    return {
        "facebook_graph_url": f"{origin}/{facebook_graph.HOST}",
        "facebook_dialog_url": f"{origin}/{facebook_dialog.HOST}",
        "instagram_graph_url": f"{origin}/{graph.HOST}",
        "instagram_api_url": f"{origin}/{code_exchange.HOST}",
        "instagram_dialog_url": f"{origin}/{dialog.HOST}",
    }
