"""The calls that an app makes with Instagram API with Instagram Login, one method each."""

from typing import Any

import httpx

from tests.support.meta_client import REDIRECT_URI, VERSION, MetaClient

GRAPH = "/graph.instagram.com"
EXCHANGE = "/api.instagram.com/oauth/access_token"
CAFE = "17841400000000001"
ALL_SCOPES = (
    "instagram_business_basic",
    "instagram_business_manage_messages",
    "instagram_business_manage_comments",
    "instagram_business_content_publish",
    "instagram_business_manage_insights",
)


class InstagramClient:
    """Calls to the simulated Instagram hosts."""

    def __init__(self, meta: MetaClient, app_id: str, app_secret: str) -> None:
        self.meta = meta
        self.app_id = app_id
        self.app_secret = app_secret

    def call(self, method: str, path: str, **params: str) -> httpx.Response:
        return self.meta.http.request(method, f"{GRAPH}{path}", params=params)

    def get(self, path: str, **params: str) -> httpx.Response:
        return self.call("GET", f"/{VERSION}{path}", **params)

    def me(self, token: str, fields: str = "id,user_id,username") -> Any:
        response = self.get("/me", access_token=token, fields=fields)
        assert response.status_code == 200, response.text
        return response.json()

    def authorize(self, person: str = "cafe.azul", **options: object) -> str:
        body = {"product": "instagram", "person": person, "redirect_uri": REDIRECT_URI, **options}
        return str(self.meta.control("POST", "/authorize", body)["code"])

    def form(self, code: str, **overrides: str) -> dict[str, str]:
        fields = {
            "client_id": self.app_id,
            "client_secret": self.app_secret,
            "grant_type": "authorization_code",
            "redirect_uri": REDIRECT_URI,
            "code": code,
        }
        return {**fields, **overrides}

    def exchange(self, code: str, **overrides: str) -> httpx.Response:
        return self.meta.http.post(EXCHANGE, data=self.form(code, **overrides))

    def extend(self, token: str, /, **overrides: str) -> httpx.Response:
        params = {"grant_type": "ig_exchange_token", "client_secret": self.app_secret, "access_token": token}
        return self.call("GET", "/access_token", **{**params, **overrides})

    def refresh(self, token: str, /, **overrides: str) -> httpx.Response:
        params = {"grant_type": "ig_refresh_token", "access_token": token, **overrides}
        return self.call("GET", "/refresh_access_token", **params)

    def short_token(self, person: str = "cafe.azul", **options: object) -> str:
        return str(self.exchange(self.authorize(person, **options)).json()["access_token"])

    def long_token(self, person: str = "cafe.azul", **options: object) -> str:
        return str(self.extend(self.short_token(person, **options)).json()["access_token"])


def flat_error_of(response: httpx.Response) -> str:
    """Return the message of a code exchange error, after checking its flat format."""
    assert response.status_code == 400, response.text
    body = response.json()
    assert (set(body), body["code"]) == ({"error_type", "code", "error_message"}, 400)
    return str(body["error_message"])
