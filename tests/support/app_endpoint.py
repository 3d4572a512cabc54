"""The app that Meta calls, in this process. It records requests and responds as a test wants."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

URL = "http://127.0.0.1:8080/webhook"


@dataclass(frozen=True)
class Received:
    """A received request."""

    method: str
    url: str
    query: dict[str, str]
    headers: dict[str, bytes]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), strict_parsing=True))


def respond_200(_: Received) -> Response:
    return PlainTextResponse("")


class AppEndpoint:
    """An ASGI application. Tests may replace `respond`, which may raise what an HTTP client would raise."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.respond: Callable[[Received], Response | Awaitable[Response]] = respond_200
        self.max_concurrency = 0
        self._active = 0

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self), trust_env=False)

    def respond_with(self, *statuses: int) -> None:
        """Respond with these statuses in order, then keep repeating the last one."""
        left = list(statuses)
        self.respond = lambda _: Response(status_code=left.pop(0) if len(left) > 1 else left[0])

    @property
    def bodies(self) -> list[Any]:
        return [received.json for received in self.received]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        headers = {name.decode().lower(): value for name, value in request.headers.raw}
        body = await request.body()
        received = Received(request.method, str(request.url), dict(request.query_params), headers, body)
        self.received.append(received)
        self._active += 1
        self.max_concurrency = max(self.max_concurrency, self._active)
        try:
            await asyncio.sleep(0)  # let concurrent requests arrive
            result = self.respond(received)
            response = result if isinstance(result, Response) else await result
        finally:
            self._active -= 1
        await response(scope, receive, send)


async def hang(_: Received) -> Response:
    await asyncio.Event().wait()
    raise AssertionError("the event is never set")


def refuse_connection(_: Received) -> Response:
    raise httpx.ConnectError("connection refused")
