"""Finds out who holds a port, and which ports are free."""

import random
import socket
import time
from collections.abc import Mapping

import psutil

from local.errors import LocalSystemError
from local.settings import HOST

_PORTS_OF_A_SYSTEM = 7
_LETTING_GO_SECONDS = 2.0


def is_free(port: int) -> bool:
    """Whether a server could listen here now."""
    with socket.socket() as probe:
        # As servers do, or a port whose last connections are still being forgotten would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def refuse_taken(wanted: Mapping[int, str]) -> None:
    """Raise an error that names each port that is held by somebody else, what it is for and who holds it."""
    # A program that was ended just now counts as gone a moment before its last thread has let go of its port.
    end = time.monotonic() + _LETTING_GO_SECONDS
    while taken := [(port, purpose) for port, purpose in wanted.items() if not is_free(port)]:
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    if taken:
        lines = [f"  port {port}, for {purpose}, is taken by {_holder(port)}" for port, purpose in taken]
        raise LocalSystemError(
            "Another program is where the local system wants to listen:\n"
            + "\n".join(lines)
            + f"\nEnd that program, or move the local system: LOCAL_PORT_BASE={free_base()} make up"
        )


def free_base() -> int:
    """A LOCAL_PORT_BASE with free ports after it, below those that kernels give to outgoing connections."""
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
        pass  # only root sees everybody's
    return "a program that cannot be named"
