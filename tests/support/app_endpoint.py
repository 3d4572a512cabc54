"""The app that Meta calls, in this process: it keeps what came and answers as a test wants."""

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
    """One request as it arrived."""

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


def answer_200(_: Received) -> Response:
    return PlainTextResponse("")


class AppEndpoint:
    """An ASGI application; `answer` may be replaced, and may raise what a client would raise."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[Received], Response | Awaitable[Response]] = answer_200
        self.most_at_once = 0
        self._at_once = 0

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self), trust_env=False)

    def answers(self, *statuses: int) -> None:
        """Answer with these statuses, the last one for ever."""
        left = list(statuses)
        self.answer = lambda _: Response(status_code=left.pop(0) if len(left) > 1 else left[0])

    @property
    def bodies(self) -> list[Any]:
        return [received.json for received in self.received]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        headers = {name.decode().lower(): value for name, value in request.headers.raw}
        body = await request.body()
        received = Received(request.method, str(request.url), dict(request.query_params), headers, body)
        self.received.append(received)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(0)  # lets others arrive
            answer = self.answer(received)
            response = answer if isinstance(answer, Response) else await answer
        finally:
            self._at_once -= 1
        await response(scope, receive, send)


async def never(_: Received) -> Response:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets the event")


def refuse(_: Received) -> Response:
    raise httpx.ConnectError("nobody listens")
