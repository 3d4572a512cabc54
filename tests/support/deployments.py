"""The surroundings of an entry point: settings, the deployment's secret, and a Data API."""

import json
import uuid
from typing import Any

import boto3
import httpx
import pytest

SECRETS = {
    "supabase_secret_key": "sb_secret_of_tests",
    "facebook_app_secret": "the-facebook-app-secret",
    "instagram_app_secret": "the-instagram-app-secret",
    "state_signing_key": "a-signing-key-that-is-long-enough-for-hs256",
}


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
    name = f"instagram-connect-{uuid.uuid4()}"
    secret = boto3.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(SECRETS))
    environment = {"SECRET_NAME": secret["Name"], "SUPABASE_URL": "https://project.example.com", **settings}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return called
