"""Plays the frontend and its users: creates people at Meta, signs users up, logs in, and sends requests."""

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

import httpx
import jwt

from bench.system import context, redirect_uri, silent
from instagram_connect.models import Provider
from instagram_connect.runtime.clock import utc_now
from instagram_connect.security.oauth_state import StateSigner
from local.database import connect
from local.settings import Keys


class Frontend:
    """Signs users up, logs people in at the Meta simulator, and calls exchange_token as API Gateway does."""

    def __init__(self, stack: Mapping[str, str], keys: Keys) -> None:
        self.stack = stack
        self._keys = keys
        self._states = StateSigner(keys.state_signing_key, utc_now)
        self._meta = httpx.Client(base_url=f"{stack['meta_url']}/_simulator", timeout=60, trust_env=False)

    def close(self) -> None:
        """Close its connections."""
        self._meta.close()

    def meta(self, method: str, path: str, body: object = None) -> Any:
        """Call the simulator's control API."""
        return self._meta.request(method, path, json=body).raise_for_status().json()

    def add_person(self, provider: Provider, pages: int) -> str:
        """Create a person with Pages that have an Instagram account each or, for Instagram Login, with one account."""
        name = f"bench.{uuid.uuid4().hex[:12]}"
        if provider is Provider.INSTAGRAM:
            self.meta("POST", "/people", {"instagram": {"username": name}})
            return name
        own = [{"name": f"Page {number}", "instagram": {"username": f"{name}.{number}"}} for number in range(pages)]
        self.meta("POST", "/people", {"name": name, "email": f"{name}@people.example", "pages": own})
        return name

    def slow_down(self, latency_ms: float) -> None:
        """Delay each call to Meta from now on."""
        self.meta("DELETE", "/faults")
        if latency_ms:
            for host in ("graph.facebook.com", "graph.instagram.com", "api.instagram.com"):
                self.meta("POST", "/faults", {"host": host, "latency_ms": latency_ms, "times": None})

    def log_in(self, provider: Provider, person: str) -> str:
        """Log a person in and return the dialog's code."""
        login = {"product": provider, "person": person, "redirect_uri": redirect_uri(self.stack)}
        return str(self.meta("POST", "/authorize", login)["code"])

    def sign_up(self) -> str:
        """Create a user and return the id."""
        user_id = str(uuid.uuid4())
        with connect(self.stack["database_url"], autocommit=True) as database:
            database.execute("insert into auth.users (id, email) values (%s, %s)", [user_id, f"{user_id}@example.com"])
        return user_id

    def request(self, user_id: str, provider: Provider, code: str) -> dict[str, Any]:
        """Return the event in which a user's browser sends a code, with a valid state."""
        claims = {"sub": user_id, "aud": "authenticated", "role": "authenticated", "exp": int(time.time()) + 3600}
        token = jwt.encode(claims, self._keys.supabase_jwt_secret, algorithm="HS256")
        state, _ = self._states.issue(user_id, provider, redirect_uri(self.stack))
        path = "/api/instagram/exchange-token"
        body = {"code": code, "redirectUri": redirect_uri(self.stack), "provider": provider, "state": state}
        return {
            "resource": path,
            "path": path,
            "httpMethod": "POST",
            "headers": {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            "multiValueHeaders": {},
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "pathParameters": None,
            "stageVariables": None,
            "requestContext": {"requestId": str(uuid.uuid4()), "path": f"/live{path}", "resourcePath": path},
            "body": json.dumps(body),
            "isBase64Encoded": False,
        }

    def connect(self, event: dict[str, Any], accounts: int) -> None:
        """Send a code. Raises RuntimeError unless all accounts are stored."""
        from functions.exchange_token import app  # reads the environment on import

        with silent():
            answer = app.lambda_handler(event, context())
        body = json.loads(answer["body"])
        if answer["statusCode"] != 200 or len(body["data"]["accounts"]) != accounts:
            raise RuntimeError(f"No connection was made: {answer['statusCode']} {body.get('code')}")
