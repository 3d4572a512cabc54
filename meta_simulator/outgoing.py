"""Requests from the simulator to the app: loopback only, no redirects, with a time limit.

A failed request is a response without a status. Nothing here raises for what the app does.
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
MAX_RESPONSE_BYTES = 65_536
_PORTS = range(1, 65_536)

Headers = list[tuple[bytes, bytes]]


def require_loopback(url: str) -> str:
    """Return the URL. Raises ValueError unless it is plain HTTP to this machine."""
    try:
        parts = httpx.URL(url)  # the same parser that sends the request
    except httpx.InvalidURL as error:
        raise ValueError("not a URL") from error
    if parts.scheme != "http" or not _is_loopback(parts.host) or (parts.port or 80) not in _PORTS:
        raise ValueError("only http:// to localhost or another loopback address is allowed")
    return url


LoopbackUrl = Annotated[str, AfterValidator(require_loopback)]


@dataclass(frozen=True)
class AppResponse:
    """The app's response: a `status`, or None and a `problem` ("timeout" or "no_answer").

    `body` holds at most the first 64 KiB.
    """

    milliseconds: float
    status: int | None = None
    problem: str | None = None
    content_type: str = ""
    body: bytes = b""

    @property
    def outcome(self) -> str:
        """The status as text, or the problem."""
        return self.problem or str(self.status)

    def view(self) -> dict[str, object]:
        """Return the part that the control API shows for every request."""
        return {"status": self.status, "problem": self.problem, "milliseconds": self.milliseconds}


def open_client() -> httpx.AsyncClient:
    """Return a client for sequential requests to this machine. `send_request` limits their time."""
    return httpx.AsyncClient(
        # An empty TLS context, because loading the system's certificates is slower than most requests.
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        trust_env=False,
        timeout=None,
    )


async def send_request(client: httpx.AsyncClient, request: httpx.Request, timeout_seconds: float) -> AppResponse:
    """Send a request and return the response, or the problem after `timeout_seconds`."""
    started = monotonic()
    try:
        async with asyncio.timeout(timeout_seconds):
            response = await client.send(request, stream=True)
            try:
                body = await _start_of(response)
            finally:
                await response.aclose()
    except TimeoutError:
        return AppResponse(_milliseconds_since(started), problem="timeout")
    except httpx.RequestError:
        return AppResponse(_milliseconds_since(started), problem="no_answer")
    content_type = response.headers.get("content-type", "")
    return AppResponse(_milliseconds_since(started), response.status_code, content_type=content_type, body=body)


async def _start_of(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= MAX_RESPONSE_BYTES:
            break
    return body[:MAX_RESPONSE_BYTES]


def _milliseconds_since(started: float) -> float:
    return round((monotonic() - started) * 1000, 3)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
