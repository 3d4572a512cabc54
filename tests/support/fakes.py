"""Stand-ins for Meta and Supabase in unit tests: the in-process simulator and a recording Data API."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt

from instagram_connect.security.identity import IdentityVerifier, SigningKeys
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.schema_contract import FUNCTIONS, RELOAD_FUNCTION

JWT_SECRET = "a-shared-secret-long-enough-for-hs256-tokens"
USER_ID = "7b0f1c5e-0000-4000-8000-000000000001"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SUPABASE_URL = "https://project.example.com"


def access_token() -> str:
    """The bearer token of a signed-in user."""
    claims = {"sub": USER_ID, "aud": "authenticated", "role": "authenticated", "exp": 4102444800}
    return jwt.encode(claims, JWT_SECRET, algorithm="HS256")


def identity_verifier() -> IdentityVerifier:
    """A verifier for HS256 tokens only, which never fetches a key set."""
    http = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(500)))
    return IdentityVerifier(SigningKeys("https://project.example.com/jwks.json", http), JWT_SECRET)


def data_api(answer: Callable[[httpx.Request], httpx.Response]) -> DataApi:
    """A client of a Data API whose responses the function decides."""
    return DataApi(SUPABASE_URL, "sb_secret_of_tests", transport=httpx.MockTransport(answer))


def refusal(status: int, code: str, **texts: str) -> httpx.Response:
    """A rejection by PostgREST, with the code in the header too."""
    body = {"code": code, "message": "m", "details": None, "hint": None, **texts}
    return httpx.Response(status, json=body, headers={"Proxy-Status": f"PostgREST; error={code}"})


class FakeDataApi:
    """Answers RPCs like PostgREST does, and keeps the payloads.

    `failures` are what the next calls meet; `answers` are what functions other than store_connection answer to a
    payload: an empty list and null unless a test says so.
    """

    def __init__(self) -> None:
        self.payloads: list[dict[str, Any]] = []
        self.request_ids: list[str | None] = []
        self.failures: list[httpx.Response | Exception] = []
        self.answers: dict[str, Any] = {"list_accounts": []}

    def client(self) -> DataApi:
        return data_api(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return httpx.Response(failure.status_code, headers=failure.headers, content=failure.content)
        function = request.url.path.removeprefix("/rest/v1/rpc/")
        arguments = json.loads(request.content)
        # PostgREST identifies a function by its name and the names of all arguments.
        if tuple(arguments) != FUNCTIONS.get(function):
            return refusal(404, "PGRST202")
        if function == RELOAD_FUNCTION:
            return httpx.Response(204)
        function = function.removeprefix("instagram_connect_")
        payload = arguments["payload"]
        if payload is None:
            return httpx.Response(200, content="null")
        self.payloads.append(payload)
        self.request_ids.append(request.headers.get("X-Request-Id"))
        if function == "store_connection":
            rows = [_row(account, payload["provider"]) for account in payload["accounts"]]
            return httpx.Response(200, json=rows)
        return httpx.Response(200, content=json.dumps(self.answers.get(function)))


def _row(account: dict[str, Any], provider: str) -> dict[str, Any]:
    seen = ("instagram_business_id", "username", "name", "page_id", "page_name", "profile_picture_url")
    return {
        "id": f"row-of-{account['instagram_business_id']}",
        "provider": provider,
        **{name: account[name] for name in seen},
        "followers_count": account["followers_count"],
        "token_expires_at": account["expires_at"],
        "connected_at": account["issued_at"],
        "status": "active",
    }
