"""Finds free ports, and the programs that use others."""

import random
import socket
import time
from collections.abc import Mapping

import psutil

from local.errors import LocalSystemError
from local.settings import HOST

_PORTS_OF_A_SYSTEM = 7
_RELEASE_SECONDS = 2.0


def is_free(port: int) -> bool:
    """Whether a server could listen on a port now."""
    with socket.socket() as probe:
        # As servers do; without it, a port with connections in TIME_WAIT would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def refuse_taken(wanted: Mapping[int, str]) -> None:
    """Raise an error if other programs use any of these ports; it names each port, its purpose and the program."""
    # A killed program counts as ended a moment before its last thread has released its port.
    end = time.monotonic() + _RELEASE_SECONDS
    while taken := [(port, purpose) for port, purpose in wanted.items() if not is_free(port)]:
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    if taken:
        lines = [f"  port {port}, for {purpose}, is used by {_holder(port)}" for port, purpose in taken]
        raise LocalSystemError(
            "Ports that the local system needs are in use:\n"
            + "\n".join(lines)
            + f"\nStop that program, or use other ports: LOCAL_PORT_BASE={free_base()} make up"
        )


def free_base() -> int:
    """Return a LOCAL_PORT_BASE whose ports are free, below the range that kernels use for outgoing connections."""
    for _ in range(100):
        base = random.randrange(20000, 32000, 10)
        if all(is_free(port) for port in range(base, base + _PORTS_OF_A_SYSTEM)):
            return base
    raise LocalSystemError("No free ports were found between 20000 and 32000.")


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, OSError):
        pass  # only root sees other users' processes
    return "an unknown program"
