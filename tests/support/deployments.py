"""The surroundings of an entry point: settings, the deployment's secrets, and a Data API."""

import json
import uuid
from typing import Any

import boto3
import httpx
import pytest

from instagram_connect.meta.products import MetaSettings

SECRETS = {
    "meta": {"facebook_app_secret": "the-facebook-app-secret", "instagram_app_secret": "the-instagram-app-secret"},
    "supabase": {"supabase_secret_key": "sb_secret_of_tests"},
    "signing": {"state_signing_key": "a-signing-key-that-is-long-enough-for-hs256"},
}
META = MetaSettings(
    graph_version="v25.0",
    facebook_app_id=None,
    facebook_scopes=None,
    facebook_login_config_id=None,
    facebook_graph_url="https://graph.facebook.com",
    facebook_dialog_url="https://www.facebook.com",
    instagram_app_id=None,
    instagram_scopes=None,
    instagram_graph_url="https://graph.instagram.com",
    instagram_api_url="https://api.instagram.com",
    instagram_dialog_url="https://www.instagram.com",
)


def deploy(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], **settings: str) -> list[str]:
    """Lets an entry point build its own dependencies, within moto; the functions that it then calls at the Data API.

    `answers` are what those answer.
    """
    called: list[str] = []

    def answer(_: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        function = request.url.path.removeprefix("/rest/v1/rpc/instagram_connect_")
        called.append(function)
        return httpx.Response(200, content=json.dumps(answers[function]))

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    # moto's state may outlive a test, so the name may already be taken.
    prefix = f"instagram-connect-{uuid.uuid4()}"
    for kind, values in SECRETS.items():
        boto3.client("secretsmanager").create_secret(Name=f"{prefix}/{kind}", SecretString=json.dumps(values))
    names = {f"{kind.upper()}_SECRET_NAME": f"{prefix}/{kind}" for kind in SECRETS}
    environment = {**names, "SUPABASE_URL": "https://project.example.com", **settings}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return called
