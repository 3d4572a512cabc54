"""What the simulator sends to the app: to this machine only, following no redirect, within a time limit.

A request that fails is an answer without a status; nothing here raises for what the other side does.
"""

import asyncio
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from time import monotonic
from typing import Annotated

import httpx
from pydantic import AfterValidator

USER_AGENT = "facebookexternalua"
MAX_AT_ONCE = 50
MAX_ANSWER_BYTES = 65_536
_PORTS = range(1, 65_536)

Headers = list[tuple[bytes, bytes]]


def require_loopback(url: str) -> str:
    """Return the URL; raises ValueError unless it is plain HTTP to this machine."""
    try:
        parts = httpx.URL(url)  # the parser that also decides where a request goes
    except httpx.InvalidURL as error:
        raise ValueError("this is not a URL") from error
    if parts.scheme != "http" or not _is_loopback(parts.host) or (parts.port or 80) not in _PORTS:
        raise ValueError("only http:// to localhost or another loopback address is allowed")
    return url


LoopbackUrl = Annotated[str, AfterValidator(require_loopback)]


@dataclass(frozen=True)
class Answer:
    """What came back: a status, or None and the `problem` ("timeout", "no_answer"); only the start of a long body."""

    milliseconds: float
    status: int | None = None
    problem: str | None = None
    content_type: str = ""
    body: bytes = b""

    @property
    def outcome(self) -> str:
        """The status or the problem, in a word."""
        return self.problem or str(self.status)

    def view(self) -> dict[str, object]:
        """Return what the control API shows of every answer."""
        return {"status": self.status, "problem": self.problem, "milliseconds": self.milliseconds}


def open_client() -> httpx.AsyncClient:
    """Return a client for requests to this machine, one after another; `exchange` limits their time."""
    return httpx.AsyncClient(
        # An empty context: the system's certificates take longer to load than most requests take.
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        trust_env=False,
        timeout=None,
    )


async def exchange(client: httpx.AsyncClient, request: httpx.Request, timeout_seconds: float) -> Answer:
    """Send a request and return what came back within the time."""
    started = monotonic()
    try:
        async with asyncio.timeout(timeout_seconds):
            response = await client.send(request, stream=True)
            try:
                body = await _start_of(response)
            finally:
                await response.aclose()
    except TimeoutError:
        return Answer(_milliseconds_since(started), problem="timeout")
    except httpx.RequestError:
        return Answer(_milliseconds_since(started), problem="no_answer")
    content_type = response.headers.get("content-type", "")
    return Answer(_milliseconds_since(started), response.status_code, content_type=content_type, body=body)


async def _start_of(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= MAX_ANSWER_BYTES:
            break
    return body[:MAX_ANSWER_BYTES]


def _milliseconds_since(started: float) -> float:
    return round((monotonic() - started) * 1000, 3)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
