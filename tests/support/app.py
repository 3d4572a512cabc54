"""A frontend and its users, as the end-to-end tests need them: over HTTP only."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support import contract

SCOPES = ["instagram_basic", "pages_show_list", "pages_read_engagement", "pages_manage_metadata"]


@dataclass(frozen=True)
class User:
    """A signed-in user of the app."""

    id: str
    email: str
    password: str
    token: str


class App:
    """A frontend: signs users up, logs them in at the simulated Meta, calls the API and reads the Data API."""

    def __init__(self, stack: dict[str, str], http: httpx.Client) -> None:
        self.stack = stack
        self.http = http
        self.redirect_uri = f"{stack['web_url']}/callback"
        self.exchange_url = f"{stack['api_url']}/api/instagram/exchange-token"

    def sign_up(self) -> User:
        email, password = f"user-{secrets.token_hex(6)}@example.com", secrets.token_urlsafe(12)
        answer = self.http.post(
            f"{self.stack['supabase_url']}/auth/v1/signup",
            headers={"apikey": self.stack["supabase_publishable_key"]},
            json={"email": email, "password": password},
        )
        session = answer.raise_for_status().json()
        return User(session["user"]["id"], email, password, session["access_token"])

    def meta(self, method: str, path: str, body: object = None) -> Any:
        """The simulator's control API."""
        answer = self.http.request(method, f"{self.stack['meta_url']}/_simulator{path}", json=body)
        return answer.raise_for_status().json()

    def log_in(self, person: str = "Ana Souza", **wanted: Any) -> str:
        """The code that the dialog gives."""
        wanted = {"person": person, "redirect_uri": self.redirect_uri, "scopes": SCOPES, **wanted}
        return str(self.meta("POST", "/authorize", wanted)["code"])

    def log_in_to_instagram(self, username: str = "cafe.azul", **wanted: Any) -> str:
        """The code that the dialog of Instagram Login gives."""
        wanted = {"product": "instagram", "person": username, "redirect_uri": self.redirect_uri, **wanted}
        return str(self.meta("POST", "/authorize", wanted)["code"])

    def calls(self, operation: str) -> list[dict[str, Any]]:
        """What Meta was asked."""
        return list(self.meta("GET", f"/calls?operation={operation}"))

    def call(self, user: User, method: str, path: str, body: object = None) -> httpx.Response:
        """A route of the API, as this user."""
        headers = {"Authorization": f"Bearer {user.token}"}
        answer = self.http.request(method, f"{self.stack['api_url']}/api{path}", headers=headers, json=body)
        contract.check(answer)
        return answer

    def exchange(self, user: User, code: str, **changes: Any) -> httpx.Response:
        body = {"code": code, "redirectUri": self.redirect_uri, **changes}
        return self.call(user, "POST", "/instagram/exchange-token", body)

    def connect(self, user: User, person: str = "Ana Souza") -> list[dict[str, Any]]:
        """The accounts of a new connection."""
        answer = self.exchange(user, self.log_in(person)).raise_for_status()
        return list(answer.json()["data"]["accounts"])

    def read(self, user: User, query: str) -> httpx.Response:
        """The Data API with the user's own rights."""
        headers = {"apikey": self.stack["supabase_publishable_key"], "Authorization": f"Bearer {user.token}"}
        return self.http.get(f"{self.stack['supabase_url']}/rest/v1/{query}", headers=headers)


Fault = Callable[..., None]
