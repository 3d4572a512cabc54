"""Stand-ins for Meta and Supabase in unit tests: the real simulator in process, and a Data API that remembers."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt
from postgrest import SyncPostgrestClient

from instagram_connect.identity import IdentityVerifier, SigningKeys

JWT_SECRET = "a-shared-secret-long-enough-for-hs256-tokens"
USER_ID = "7b0f1c5e-0000-4000-8000-000000000001"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def access_token() -> str:
    """The bearer token of a signed-in user."""
    claims = {"sub": USER_ID, "aud": "authenticated", "role": "authenticated", "exp": 4102444800}
    return jwt.encode(claims, JWT_SECRET, algorithm="HS256")


def identity_verifier() -> IdentityVerifier:
    """A verifier for HS256 tokens only: its key set is never asked for."""
    http = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(500)))
    return IdentityVerifier(SigningKeys("https://project.example.com/jwks.json", http), JWT_SECRET)


class FakeDataApi:
    """Answers RPCs like the Data API does, from a list of prepared answers, and keeps the payloads."""

    def __init__(self) -> None:
        self.payloads: list[dict[str, Any]] = []
        self.request_ids: list[str | None] = []
        self.failures: list[httpx.Response | Exception] = []

    def client(self) -> SyncPostgrestClient:
        http = httpx.Client(transport=httpx.MockTransport(self._answer))
        return SyncPostgrestClient("https://project.example.com/rest/v1", http_client=http, retry_enabled=False)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        if request.url.path.endswith("/rpc/reload_schema_cache"):
            return httpx.Response(204)
        payload = json.loads(request.content)["payload"]
        self.payloads.append(payload)
        self.request_ids.append(request.headers.get("X-Request-Id"))
        return httpx.Response(200, json=[_row(account, payload["provider"]) for account in payload["accounts"]])


def _row(account: dict[str, Any], provider: str) -> dict[str, Any]:
    seen = ("instagram_business_id", "username", "name", "page_id", "page_name", "profile_picture_url")
    return {
        "id": f"row-of-{account['instagram_business_id']}",
        "provider": provider,
        **{name: account[name] for name in seen},
        "followers_count": account["followers_count"],
        "token_expires_at": account["expires_at"],
        "status": "active",
    }
