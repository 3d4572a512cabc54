"""What an app does at Instagram, one method per call, over the client of the simulator."""

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
    """Calls of Instagram API with Instagram Login."""

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

    def authorize(self, person: str = "cafe.azul", **wanted: object) -> str:
        body = {"product": "instagram", "person": person, "redirect_uri": REDIRECT_URI, **wanted}
        return str(self.meta.control("POST", "/authorize", body)["code"])

    def form(self, code: str, **changed: str) -> dict[str, str]:
        given = {
            "client_id": self.app_id,
            "client_secret": self.app_secret,
            "grant_type": "authorization_code",
            "redirect_uri": REDIRECT_URI,
            "code": code,
        }
        return {**given, **changed}

    def exchange(self, code: str, **changed: str) -> httpx.Response:
        return self.meta.http.post(EXCHANGE, data=self.form(code, **changed))

    def extend(self, token: str, /, **changed: str) -> httpx.Response:
        params = {"grant_type": "ig_exchange_token", "client_secret": self.app_secret, "access_token": token}
        return self.call("GET", "/access_token", **{**params, **changed})

    def refresh(self, token: str, /, **changed: str) -> httpx.Response:
        params = {"grant_type": "ig_refresh_token", "access_token": token, **changed}
        return self.call("GET", "/refresh_access_token", **params)

    def short_token(self, person: str = "cafe.azul", **wanted: object) -> str:
        return str(self.exchange(self.authorize(person, **wanted)).json()["access_token"])

    def long_token(self, person: str = "cafe.azul", **wanted: object) -> str:
        return str(self.extend(self.short_token(person, **wanted)).json()["access_token"])


def flat_error_of(response: httpx.Response) -> str:
    """Return the text of an error of the token endpoint, whose shape is always the same."""
    assert response.status_code == 400, response.text
    body = response.json()
    assert (set(body), body["code"]) == ({"error_type", "code", "error_message"}, 400)
    return str(body["error_message"])
