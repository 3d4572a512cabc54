"""A client that runs the simulator in this process, without sockets."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.applications import Starlette

REDIRECT_URI = "https://app.example/instagram/callback"
ORIGIN = "http://meta.test"
GRAPH = "/graph.facebook.com"
VERSION = "v25.0"
ALL_SCOPES = (
    "instagram_basic",
    "instagram_manage_messages",
    "pages_show_list",
    "pages_manage_metadata",
    "business_management",
)


class _InProcess(httpx.BaseTransport):
    """A transport that runs the application for each request on a new event loop."""

    def __init__(self, app: Starlette) -> None:
        self._transport = httpx.ASGITransport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return asyncio.run(self._send(request))

    async def _send(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())


class MetaClient:
    """The calls that an app and a test make, one method each."""

    def __init__(self, app: Starlette, app_id: str, app_secret: str) -> None:
        self.app = app
        self.app_id = app_id
        self.app_secret = app_secret
        self.http = httpx.Client(transport=_InProcess(app), base_url=ORIGIN, trust_env=False)

    @property
    def app_token(self) -> str:
        return f"{self.app_id}|{self.app_secret}"

    def call(self, method: str, path: str, **params: str | int) -> httpx.Response:
        return self.http.request(method, f"{GRAPH}/{VERSION}{path}", params=params)

    def get(self, path: str, **params: str | int) -> httpx.Response:
        return self.call("GET", path, **params)

    def data(self, path: str, **params: str | int) -> Any:
        response = self.get(path, **params)
        assert response.status_code == 200, response.text
        return response.json()

    def control(self, method: str, path: str, body: object = None) -> Any:
        response = self.http.request(method, f"/_simulator{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def authorize(self, person: str = "Ana Souza", **body: object) -> str:
        defaults = {"redirect_uri": REDIRECT_URI, "scopes": list(ALL_SCOPES)}
        response = self.control("POST", "/authorize", {"person": person, **defaults, **body})
        return str(response["code"])

    def exchange(self, code: str, /, **overrides: str) -> httpx.Response:
        credentials = {"client_id": self.app_id, "client_secret": self.app_secret}
        return self.get(
            "/oauth/access_token", **{**credentials, "redirect_uri": REDIRECT_URI, "code": code, **overrides}
        )

    def extend(self, token: str, /, **overrides: str) -> httpx.Response:
        params = {
            "grant_type": "fb_exchange_token",
            "client_id": self.app_id,
            "client_secret": self.app_secret,
            "fb_exchange_token": token,
        }
        return self.get("/oauth/access_token", **{**params, **overrides})

    def short_token(self, person: str = "Ana Souza", **body: object) -> str:
        return str(self.exchange(self.authorize(person, **body)).json()["access_token"])

    def long_token(self, person: str = "Ana Souza", **body: object) -> str:
        return str(self.extend(self.short_token(person, **body)).json()["access_token"])

    def accounts(self, token: str, **params: str | int) -> list[dict[str, Any]]:
        return list(self.data("/me/accounts", access_token=token, **params)["data"])

    def page_token(self, token: str, page_id: str) -> str:
        pages = self.accounts(token, fields="access_token")
        return next(str(page["access_token"]) for page in pages if page["id"] == page_id)

    def debug(self, input_token: str) -> Any:
        return self.data("/debug_token", access_token=self.app_token, input_token=input_token)["data"]

    def advance(self, seconds: float) -> None:
        self.control("POST", "/clock", {"advance_seconds": seconds})

    def at_once(self, urls: Sequence[str]) -> list[httpx.Response]:
        """Send GET requests concurrently on one event loop."""

        async def send_all() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, trust_env=False) as client:
                return list(await asyncio.gather(*(client.get(url) for url in urls)))

        return asyncio.run(send_all())


def error_of(response: httpx.Response) -> tuple[int, int | None]:
    """Return the code and subcode of an error response."""
    assert response.status_code >= 400, response.text
    error = response.json()["error"]
    return error["code"], error.get("error_subcode")


NOON = datetime(2026, 11, 22, 12, 15, tzinfo=UTC)
