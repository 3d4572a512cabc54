"""POST exchange_token: which requests it accepts, and the shape of its responses."""

import base64
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.exchange_token.app import Dependencies, build_api
from instagram_connect.errors import (
    ConfigurationError,
    MetaRateLimitedError,
    ScopesDeclinedError,
    StorageError,
)
from instagram_connect.models import Provider
from tests.support.arbitrary import any_text, json_values
from tests.support.exchanging import (
    CALLBACK,
    DATA_DELETED,
    STATES,
    FakeFlow,
    body,
)
from tests.support.fakes import USER_ID
from tests.support.lambda_context import FakeLambdaContext
from tests.support.routes import ACCOUNT, ORIGIN, LoadEvent, Send, header


def test_response_matches_the_contract(post: Send) -> None:
    answer = post()

    assert answer["statusCode"] == 200
    assert answer["json"] == {
        "success": True,
        "data": {
            "businessAccountId": ACCOUNT.id,
            "accounts": [
                {
                    "id": ACCOUNT.id,
                    "provider": "facebook",
                    "instagramBusinessId": "17841400000000001",
                    "username": "cafe.azul",
                    "name": 'Café "Azul" ☕',
                    "pageId": "27640875392278831",
                    "pageName": "Ana's Estúdio",
                    "profilePictureUrl": None,
                    "followersCount": 942,
                    "tokenExpiresAt": "2027-01-21T12:00:00+00:00",
                    "connectedAt": "2026-11-22T12:00:00Z",
                    "reconnectReason": None,
                    "reconnectHint": None,
                    "reconnectBefore": None,
                    "status": "active",
                }
            ],
        },
        "requestId": "6f1c2e0a-0000-4000-8000-000000000001",
    }
    assert header(answer, "Cache-Control") == "no-store"


def test_flow_gets_user_code_and_remaining_time(post: Send, flow: FakeFlow) -> None:
    post(body=body(code="AQabc#_"))

    (request,) = flow.requests
    assert flow.asked == [(Provider.FACEBOOK, "AQabc", CALLBACK)]
    assert (request.user_id, request.request_id) == (USER_ID, "6f1c2e0a-0000-4000-8000-000000000001")
    assert 27 < request.deadline.remaining_s() <= 27.5


def test_base64_body_is_decoded(post: Send) -> None:
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
def test_invalid_body_is_rejected_without_spending_the_code(
    post: Send, flow: FakeFlow, sent: dict[str, Any], named: str
) -> None:
    answer = post(**sent)

    assert (answer["statusCode"], answer["json"]["code"]) == (400, "INVALID_REQUEST")
    assert named in answer["json"]["details"]
    assert flow.asked == []


def test_body_errors_do_not_quote_the_body(post: Send) -> None:
    answer = post(body=json.dumps({"code": ["AQsecret"], "redirectUri": "AQsecret"}))

    assert "AQsecret" not in answer["body"]


@pytest.mark.parametrize(
    "uri", ["https://evil.example.com/callback", f"{ORIGIN}/callback/", f"{ORIGIN}/callback?x=1", f"{ORIGIN}/CALLBACK"]
)
def test_only_listed_redirect_uris_are_accepted(post: Send, flow: FakeFlow, uri: str) -> None:
    answer = post(body=body(redirectUri=uri))

    assert (answer["statusCode"], answer["json"]["code"]) == (400, "REDIRECT_URI_NOT_ALLOWED")
    assert flow.asked == []


@pytest.mark.parametrize("authorization", [None, "", "Bearer rubbish", "Bearer sb_secret_x", "Basic abc"])
def test_unauthenticated_requests_get_401(post: Send, flow: FakeFlow, authorization: str | None) -> None:
    answer = post(headers={"Authorization": authorization}, body="{")

    assert (answer["statusCode"], answer["json"]["code"]) == (401, "UNAUTHENTICATED")
    assert header(answer, "WWW-Authenticate") == "Bearer"
    assert flow.asked == []


def test_error_response_has_every_field(post: Send, flow: FakeFlow) -> None:
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


def test_storage_failure_keeps_the_established_error_text(post: Send, flow: FakeFlow) -> None:
    flow.error = StorageError(reason="SCHEMA_CACHE_STALE", recoverable=True)

    answer = post()

    assert answer["statusCode"] == 500
    assert (answer["json"]["error"], answer["json"]["code"]) == ("Failed to store credentials", "STORAGE_FAILED")
    assert (answer["json"]["reason"], answer["json"]["recoverable"]) == ("SCHEMA_CACHE_STALE", True)


def test_retry_after_is_in_body_and_header(post: Send, flow: FakeFlow) -> None:
    flow.error = MetaRateLimitedError(retry_after_s=420)

    answer = post()

    assert answer["json"]["retryAfterSeconds"] == 420
    assert header(answer, "Retry-After") == "420"


def test_unexpected_exception_returns_500_without_details(post: Send, flow: FakeFlow) -> None:
    flow.error = RuntimeError("https://graph.facebook.com/?access_token=EAAsecret")

    answer = post()

    assert (answer["statusCode"], answer["json"]["code"]) == (500, "INTERNAL_ERROR")
    assert "EAAsecret" not in answer["body"]
    assert header(answer, "Access-Control-Allow-Origin") == ORIGIN


def test_missing_setting_is_not_named_in_the_response(load_event: LoadEvent, lambda_context: FakeLambdaContext) -> None:
    def not_configured() -> Dependencies:
        raise ConfigurationError(log_context={"setting": "SUPABASE_URL"})

    answer = build_api((ORIGIN,), not_configured).resolve(load_event("exchange_token"), lambda_context)  # type: ignore[arg-type]

    assert json.loads(answer["body"])["code"] == "CONFIGURATION_INVALID"
    assert "SUPABASE_URL" not in answer["body"]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(ORIGIN, ORIGIN), ("https://admin.example.com", "https://admin.example.com"), ("https://evil.example.com", None)],
)
def test_preflight_allows_listed_origins_only(post: Send, origin: str, allowed: str | None) -> None:
    answer = post("exchange_token_preflight", headers={"Origin": origin})

    assert answer["statusCode"] == 204
    assert header(answer, "Access-Control-Allow-Origin") == allowed
    if allowed:
        assert "POST" in (header(answer, "Access-Control-Allow-Methods") or "")
        assert "Authorization" in (header(answer, "Access-Control-Allow-Headers") or "")


def test_errors_are_readable_by_an_allowed_origin(post: Send, flow: FakeFlow) -> None:
    flow.error = StorageError(reason="KEY_REJECTED")

    assert header(post(), "Access-Control-Allow-Origin") == ORIGIN


def test_unknown_path_returns_an_error_body(post: Send) -> None:
    answer = post(path="/api/instagram/elsewhere")

    assert (answer["statusCode"], answer["json"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("sent", [{"code": "c", "redirectUri": CALLBACK}, {"accessToken": "EAAx"}])
def test_data_deletion_error_asks_for_a_new_login(post: Send, flow: FakeFlow, sent: dict[str, str]) -> None:
    """Raised for an access token, returned as the outcome for a code."""
    flow.outcome, flow.error = DATA_DELETED, DATA_DELETED if "accessToken" in sent else None

    answer = post(body=json.dumps(sent))

    assert answer["statusCode"] == 409
    assert (answer["json"]["code"], answer["json"]["reason"]) == ("ACCOUNT_DISCONNECTED", "DATA_DELETED")
    assert (answer["json"]["actor"], answer["json"]["recoverable"]) == ("user", True)


def test_access_token_is_accepted_instead_of_a_code(post: Send, flow: FakeFlow) -> None:
    answer = post(body=json.dumps({"accessToken": "EAAx"}))

    assert answer["statusCode"] == 200
    assert flow.asked == [(Provider.FACEBOOK, "EAAx")]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"code": "c", "redirectUri": CALLBACK, "accessToken": "EAAx"}, "not both"),
        ({"provider": "facebook"}, "code: Field required"),
        ({"code": None, "accessToken": None}, "code"),
        ({"accessToken": ""}, "accessToken"),
        ({"accessToken": ["EAAx"]}, "accessToken"),
        ({"accessToken": "EAAx", "provider": "threads"}, "provider"),
        ({"code": "#_", "redirectUri": CALLBACK}, "code"),
        ({"code": "c", "redirectUri": CALLBACK, "state": 7}, "state"),
    ],
)
def test_body_must_have_exactly_one_complete_credential(
    post: Send, flow: FakeFlow, sent: dict[str, Any], said: str
) -> None:
    answer = post(body=json.dumps(sent))

    assert (answer["statusCode"], answer["json"]["code"]) == (400, "INVALID_REQUEST")
    assert said in answer["json"]["details"]
    assert "EAAx" not in answer["body"]
    assert flow.asked == []


def test_null_counts_as_missing(post: Send, flow: FakeFlow) -> None:
    assert post(body=body(accessToken=None, state=None, provider=None))["statusCode"] == 200
    assert flow.asked == [(Provider.FACEBOOK, "c", CALLBACK)]


SECRET = "what-nobody-else-may-read"
secrets = any_text.map(lambda text: f"{SECRET}{text}")
values = st.none() | secrets | json_values
sent_bodies = st.fixed_dictionaries(
    {},
    optional={
        "code": values,
        "accessToken": values,
        "redirectUri": st.sampled_from([CALLBACK, f"{CALLBACK}/", f"{CALLBACK}#", CALLBACK.upper()]) | values,
        "provider": st.sampled_from(Provider) | values,
        "state": st.just(STATES.issue(USER_ID, Provider.FACEBOOK, CALLBACK)[0]) | values,
    },
)


@given(
    raw=(sent_bodies | json_values).map(json.dumps) | st.text(),
    is_encoded=st.booleans(),
)
@example(raw="[" * 60_000, is_encoded=False)
@example(raw=body(code="\ud800"), is_encoded=False)
def test_any_body_is_accepted_or_rejected_without_being_quoted(
    post: Send, flow: FakeFlow, raw: str, is_encoded: bool
) -> None:
    flow.asked.clear()

    answer = post(body=base64.b64encode(raw.encode()).decode() if is_encoded else raw, isBase64Encoded=is_encoded)

    assert answer["statusCode"] in (200, 400)
    assert SECRET not in answer["body"]
    for product, credential, *redirect_uri in flow.asked:
        assert product in Provider
        assert 0 < len(credential) <= 4096
        assert redirect_uri in ([], [CALLBACK])
    assert answer["statusCode"] == 200 or not flow.asked


@given(raw=st.binary())
def test_arbitrary_bytes_are_rejected_without_calling_meta(post: Send, flow: FakeFlow, raw: bytes) -> None:
    answer = post(body=base64.b64encode(raw).decode(), isBase64Encoded=True)

    assert (answer["statusCode"], answer["json"]["code"], flow.asked) == (400, "INVALID_REQUEST", [])
