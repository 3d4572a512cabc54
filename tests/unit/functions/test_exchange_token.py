"""The route in front of the connection flow: what it lets through, and how it answers."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.exchange_token.app import Dependencies, build_api
from instagram_connect.deadline import Deadline
from instagram_connect.errors import (
    ConfigurationError,
    MetaRateLimitedError,
    ScopesDeclinedError,
    StorageError,
)
from instagram_connect.models import StoredAccount
from tests.conftest import FakeLambdaContext
from tests.unit.fakes import USER_ID, access_token, identity_verifier

ORIGIN = "https://app.example.com"
ACCOUNT = StoredAccount(
    id="9a000000-0000-4000-8000-000000000001",
    instagram_business_id="17841400000000001",
    username="cafe.azul",
    name='Café "Azul" ☕',
    page_id="27640875392278831",
    page_name="Ana's Estúdio",
    profile_picture_url=None,
    followers_count=942,
    token_expires_at="2027-01-21T12:00:00+00:00",
    status="active",
)


class FakeFlow:
    """Keeps what it was asked to connect; fails with `error` if there is one."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.error: Exception | None = None

    def connect(self, code: str, redirect_uri: str, **more: Any) -> tuple[StoredAccount, ...]:
        self.asked.append({"code": code, "redirect_uri": redirect_uri, **more})
        if self.error:
            raise self.error
        return (ACCOUNT,)


@pytest.fixture
def flow() -> FakeFlow:
    return FakeFlow()


@pytest.fixture
def post(
    flow: FakeFlow, load_event: Callable[[str], dict[str, Any]], lambda_context: FakeLambdaContext
) -> Callable[..., dict[str, Any]]:
    deps = Dependencies(identity_verifier(), flow, redirect_uris=(f"{ORIGIN}/callback",))  # type: ignore[arg-type]
    api = build_api((ORIGIN, "https://admin.example.com"), lambda: deps)

    def send(event_name: str = "exchange_token", **changes: Any) -> dict[str, Any]:
        event = load_event(event_name)
        headers = {"Authorization": f"Bearer {access_token()}", **changes.pop("headers", {})}
        event["headers"] = {**event["headers"], **headers}
        answer = api.resolve({**event, **changes}, lambda_context)  # type: ignore[arg-type]
        return {**answer, "json": json.loads(answer["body"]) if answer.get("body") else None}

    return send


def body(**changes: Any) -> str:
    return json.dumps({"code": "c", "redirectUri": f"{ORIGIN}/callback", **changes})


def header(answer: dict[str, Any], name: str) -> str | None:
    values = answer["multiValueHeaders"].get(name)
    return values[0] if values else None


def test_the_accounts_of_a_login_are_answered_in_the_contracts_shape(post: Callable[..., dict[str, Any]]) -> None:
    answer = post()

    assert answer["statusCode"] == 200
    assert answer["json"] == {
        "success": True,
        "data": {
            "businessAccountId": ACCOUNT.id,
            "accounts": [
                {
                    "id": ACCOUNT.id,
                    "instagramBusinessId": "17841400000000001",
                    "username": "cafe.azul",
                    "name": 'Café "Azul" ☕',
                    "pageId": "27640875392278831",
                    "pageName": "Ana's Estúdio",
                    "profilePictureUrl": None,
                    "followersCount": 942,
                    "tokenExpiresAt": "2027-01-21T12:00:00+00:00",
                    "status": "active",
                }
            ],
        },
        "requestId": "6f1c2e0a-0000-4000-8000-000000000001",
    }
    assert header(answer, "Cache-Control") == "no-store"


def test_the_flow_gets_caller_code_and_the_time_that_is_left(
    post: Callable[..., dict[str, Any]], flow: FakeFlow
) -> None:
    post(body=body(code="AQabc#_"))

    (asked,) = flow.asked
    deadline: Deadline = asked.pop("deadline")
    assert asked == {
        "code": "AQabc",
        "redirect_uri": f"{ORIGIN}/callback",
        "user_id": USER_ID,
        "request_id": "6f1c2e0a-0000-4000-8000-000000000001",
    }
    assert 27 < deadline.remaining_s() <= 27.5


def test_a_base64_body_is_decoded(post: Callable[..., dict[str, Any]]) -> None:
    encoded = base64.b64encode(body().encode()).decode()

    assert post(body=encoded, isBase64Encoded=True)["statusCode"] == 200


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ({"body": None}, "body"),
        ({"body": ""}, "body"),
        ({"body": "{"}, "body"),
        ({"body": "[]"}, "body"),
        ({"body": "null"}, "body"),
        ({"body": "[" * 50_000}, "body"),
        ({"body": "{}"}, "code"),
        ({"body": body(code="")}, "code"),
        ({"body": body(code=5)}, "code"),
        ({"body": body(code=None)}, "code"),
        ({"body": body(code=["c"])}, "code"),
        ({"body": body(code="c" * 300_000)}, "body"),
        ({"body": body(code="c" * 5_000)}, "code"),
        ({"body": body(redirectUri=7)}, "redirectUri"),
        ({"body": json.dumps({"code": "c"})}, "redirectUri"),
        ({"body": body(provider="myspace")}, "provider"),
        ({"body": body(state={})}, "state"),
        ({"body": "not base64!", "isBase64Encoded": True}, "body"),
        ({"body": base64.b64encode(b"\xff\xfe").decode(), "isBase64Encoded": True}, "body"),
        ({"body": body(code="c\ud800")}, "body"),
    ],
)
def test_a_body_that_is_not_as_agreed_is_named_and_costs_no_code(
    post: Callable[..., dict[str, Any]], flow: FakeFlow, sent: dict[str, Any], named: str
) -> None:
    answer = post(**sent)

    assert (answer["statusCode"], answer["json"]["code"]) == (400, "INVALID_REQUEST")
    assert named in answer["json"]["details"]
    assert flow.asked == []


def test_an_error_about_the_body_does_not_repeat_it(post: Callable[..., dict[str, Any]]) -> None:
    answer = post(body=json.dumps({"code": ["AQsecret"], "redirectUri": "AQsecret"}))

    assert "AQsecret" not in answer["body"]


@pytest.mark.parametrize(
    "uri", ["https://evil.example.com/callback", f"{ORIGIN}/callback/", f"{ORIGIN}/callback?x=1", f"{ORIGIN}/CALLBACK"]
)
def test_only_listed_redirect_uris_are_exchanged(post: Callable[..., dict[str, Any]], flow: FakeFlow, uri: str) -> None:
    answer = post(body=body(redirectUri=uri))

    assert (answer["statusCode"], answer["json"]["code"]) == (400, "REDIRECT_URI_NOT_ALLOWED")
    assert flow.asked == []


@pytest.mark.parametrize("authorization", [None, "", "Bearer rubbish", "Bearer sb_secret_x", "Basic abc"])
def test_strangers_get_401_in_the_error_shape_whatever_they_send(
    post: Callable[..., dict[str, Any]], flow: FakeFlow, authorization: str | None
) -> None:
    answer = post(headers={"Authorization": authorization}, body="{")

    assert (answer["statusCode"], answer["json"]["code"]) == (401, "UNAUTHENTICATED")
    assert header(answer, "WWW-Authenticate") == "Bearer"
    assert flow.asked == []


def test_a_failure_has_every_field_of_the_error_shape(post: Callable[..., dict[str, Any]], flow: FakeFlow) -> None:
    flow.error = ScopesDeclinedError("Not granted: instagram_basic.")

    answer = post()

    assert answer["statusCode"] == 403
    assert answer["json"] == {
        "success": False,
        "error": "A permission that the connection needs was declined.",
        "details": "Not granted: instagram_basic.",
        "code": "SCOPES_DECLINED",
        "actor": "user",
        "recoverable": True,
        "hint": ScopesDeclinedError.hint,
        "requestId": "6f1c2e0a-0000-4000-8000-000000000001",
    }


def test_storage_that_fails_keeps_the_words_that_existing_frontends_know(
    post: Callable[..., dict[str, Any]], flow: FakeFlow
) -> None:
    flow.error = StorageError(reason="SCHEMA_CACHE_STALE", recoverable=True)

    answer = post()

    assert answer["statusCode"] == 500
    assert (answer["json"]["error"], answer["json"]["code"]) == ("Failed to store credentials", "STORAGE_FAILED")
    assert (answer["json"]["reason"], answer["json"]["recoverable"]) == ("SCHEMA_CACHE_STALE", True)


def test_a_wait_that_is_known_is_told_twice(post: Callable[..., dict[str, Any]], flow: FakeFlow) -> None:
    flow.error = MetaRateLimitedError(retry_after_s=420)

    answer = post()

    assert answer["json"]["retryAfterSeconds"] == 420
    assert header(answer, "Retry-After") == "420"


def test_a_defect_of_ours_answers_in_the_same_shape_and_says_nothing_of_itself(
    post: Callable[..., dict[str, Any]], flow: FakeFlow
) -> None:
    flow.error = RuntimeError("https://graph.facebook.com/?access_token=EAAsecret")

    answer = post()

    assert (answer["statusCode"], answer["json"]["code"]) == (500, "INTERNAL_ERROR")
    assert "EAAsecret" not in answer["body"]
    assert header(answer, "Access-Control-Allow-Origin") == ORIGIN


def test_a_missing_setting_is_the_operators_and_named_in_the_log_only(
    load_event: Callable[[str], dict[str, Any]], lambda_context: FakeLambdaContext
) -> None:
    def not_configured() -> Dependencies:
        raise ConfigurationError(log_context={"setting": "SUPABASE_URL"})

    answer = build_api((ORIGIN,), not_configured).resolve(load_event("exchange_token"), lambda_context)  # type: ignore[arg-type]

    assert json.loads(answer["body"])["code"] == "CONFIGURATION_INVALID"
    assert "SUPABASE_URL" not in answer["body"]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(ORIGIN, ORIGIN), ("https://admin.example.com", "https://admin.example.com"), ("https://evil.example.com", None)],
)
def test_a_preflight_lets_in_the_listed_origins_only(
    post: Callable[..., dict[str, Any]], origin: str, allowed: str | None
) -> None:
    answer = post("exchange_token_preflight", headers={"Origin": origin})

    assert answer["statusCode"] == 204
    assert header(answer, "Access-Control-Allow-Origin") == allowed
    if allowed:
        assert "POST" in (header(answer, "Access-Control-Allow-Methods") or "")
        assert "Authorization" in (header(answer, "Access-Control-Allow-Headers") or "")


def test_errors_too_can_be_read_by_an_allowed_page(post: Callable[..., dict[str, Any]], flow: FakeFlow) -> None:
    flow.error = StorageError(reason="KEY_REJECTED")

    assert header(post(), "Access-Control-Allow-Origin") == ORIGIN


def test_another_path_is_answered_in_the_error_shape(post: Callable[..., dict[str, Any]]) -> None:
    answer = post(path="/api/instagram/elsewhere")

    assert (answer["statusCode"], answer["json"]["code"]) == (404, "NOT_FOUND")
