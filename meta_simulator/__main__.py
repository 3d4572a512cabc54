"""Run the simulator: `python -m meta_simulator --port 4600`, on 127.0.0.1 only."""

import argparse
import os

import uvicorn

from meta_simulator.app import create_app
from meta_simulator.callbacks import callbacks_from_environment
from meta_simulator.connection import DroppableH11Protocol
from meta_simulator.meta_apps import app_from_environment, instagram_app_from_environment
from meta_simulator.simulator import Simulator

DEFAULT_PORT = 4600
# Longer than clients keep idle connections: the simulator never drops one unasked.
KEEP_ALIVE_SECONDS = 75
# A planned hang must not hold up Ctrl-C.
SHUTDOWN_SECONDS = 1
# Tests open hundreds of connections at the same moment.
BACKLOG = 2048


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m meta_simulator", description="A simulated Meta.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    port = parser.parse_args().port
    simulator = Simulator(
        app_from_environment(os.environ),
        instagram_app=instagram_app_from_environment(os.environ),
        callbacks=callbacks_from_environment(os.environ),
    )
    print(
        f"Meta simulator on http://127.0.0.1:{port}, app {simulator.main_app.id},"
        f" at Instagram {simulator.instagram_app.id}",
        flush=True,
    )
    uvicorn.run(
        create_app(simulator),
        host="127.0.0.1",
        port=port,
        http=DroppableH11Protocol,
        ws="none",
        lifespan="off",
        access_log=False,  # its lines would hold tokens and codes
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        backlog=BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


if __name__ == "__main__":
    main()
