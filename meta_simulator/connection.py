"""Closing a connection without a response, which ASGI does not provide for.

uvicorn turns an exception into a 500, so a subclass of its HTTP protocol hands the application a function that closes
the request's transport.
"""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

CLOSE_TRANSPORT = "meta_simulator.close_transport"


class ConnectionDroppedError(ConnectionError):
    """The simulator closed the connection. Raised where the application runs without a socket."""


class DroppableH11Protocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, whose application can close the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Accept a connection and pass its `close` to every request on it."""
        super().connection_made(transport)
        application = self.app

        async def with_close(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[CLOSE_TRANSPORT] = transport.close
            await application(scope, receive, send)

        self.app = with_close


class DroppedConnection(Response):
    """A response that closes the connection before the first byte."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI's signature
        """Close the transport and wait for uvicorn to notice, so that it does not send a 500."""
        close = scope.get("extensions", {}).get(CLOSE_TRANSPORT)
        if close is None:
            raise ConnectionDroppedError("The simulator dropped the connection.")
        close()
        while (await receive())["type"] != "http.disconnect":
            pass
