"""Command line: `python -m meta_simulator` serves the simulator until Ctrl-C."""

import argparse
import os

import uvicorn

from meta_simulator.app import create_app
from meta_simulator.callbacks import callbacks_from_environment
from meta_simulator.connection import DroppableH11Protocol
from meta_simulator.control.api import PREFIX
from meta_simulator.meta_apps import app_from_environment, instagram_app_from_environment
from meta_simulator.public_urls import public_urls
from meta_simulator.simulator import Simulator

DEFAULT_PORT = 4600
LOOPBACK = "127.0.0.1"
# Longer than HTTP clients keep idle connections, so that only a fault ever drops one.
KEEP_ALIVE_SECONDS = 75
# A fault with `hang_seconds` must not delay Ctrl-C.
SHUTDOWN_SECONDS = 1
# Load tests open hundreds of connections at once.
BACKLOG = 2048


def main() -> None:
    """Parse the arguments, print the URLs and serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m meta_simulator",
        description="Simulate Facebook Login, Instagram Login and Meta's webhooks on this machine.",
    )
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port to listen on (default: %(default)s)")
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on (default: %(default)s, loopback only)")
    arguments = parser.parse_args()
    simulator = Simulator(
        app_from_environment(os.environ),
        instagram_app=instagram_app_from_environment(os.environ),
        callbacks=callbacks_from_environment(os.environ),
    )
    print(_banner(simulator, f"http://{arguments.host}:{arguments.port}"), flush=True)
    uvicorn.run(
        create_app(simulator),
        host=arguments.host,
        port=arguments.port,
        http=DroppableH11Protocol,
        ws="none",
        lifespan="off",
        access_log=False,  # URLs contain tokens and codes
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        backlog=BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


def _banner(simulator: Simulator, origin: str) -> str:
    facts = {
        "facebook_app_id": simulator.main_app.id,
        "instagram_app_id": simulator.instagram_app.id,
        **public_urls(origin),
        "control_api_url": f"{origin}{PREFIX}",
    }
    lines = [f"  {name:<20} {fact}" for name, fact in facts.items()]
    return "\n".join([f"Meta simulator is listening on {origin}; press Ctrl-C to stop it.", *lines])


if __name__ == "__main__":
    main()
