"""The route that starts a login: returns a dialog URL with a state bound to the user."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from functions.authorize.app import Dependencies, build_api
from instagram_connect.errors import ConfigurationError
from instagram_connect.meta.graph import GraphClient
from instagram_connect.meta.products import LoginProducts, MetaSettings
from instagram_connect.models import Provider
from instagram_connect.runtime.settings import Secrets
from instagram_connect.security.oauth_state import StateSigner
from tests.support.fakes import NOW, USER_ID, identity_verifier
from tests.support.lambda_context import FakeLambdaContext
from tests.support.routes import ORIGIN, ORIGINS, STATE_KEY, Answer, LoadEvent, Send, header, sender

REDIRECT_URI = f"{ORIGIN}/callback"
STATES = StateSigner(STATE_KEY, lambda: NOW)
SETTINGS = {
    "GRAPH_VERSION": "v25.0",
    "FACEBOOK_APP_ID": "1111",
    "FACEBOOK_GRAPH_URL": "https://graph.facebook.com/",
    "FACEBOOK_DIALOG_URL": "https://www.facebook.com/",
    "FACEBOOK_SCOPES": "instagram_basic,pages_show_list",
    "INSTAGRAM_APP_ID": "7777",
    "INSTAGRAM_GRAPH_URL": "https://graph.instagram.com",
    "INSTAGRAM_API_URL": "https://api.instagram.com",
    "INSTAGRAM_DIALOG_URL": "https://www.instagram.com",
    "INSTAGRAM_SCOPES": "instagram_business_basic",
}


def asked_meta(request: httpx.Request) -> httpx.Response:
    raise AssertionError("authorize asked Meta")


def login_products(**settings: str) -> LoginProducts:
    http = httpx.Client(transport=httpx.MockTransport(asked_meta))
    secrets = Secrets({"facebook_app_secret": "fs-secret", "instagram_app_secret": "is-secret"})
    return LoginProducts(MetaSettings.from_env({**SETTINGS, **settings}), secrets, GraphClient(http), lambda: NOW)


def body(**changes: Any) -> str:
    return json.dumps({"redirectUri": REDIRECT_URI, **changes})


def question(answer: Answer) -> tuple[str, dict[str, list[str]]]:
    """The dialog's address and its parameters, without the state."""
    address = urlsplit(answer["json"]["data"]["authorizeUrl"])
    parameters = parse_qs(address.query, strict_parsing=True)
    assert parameters.pop("state") == [answer["json"]["data"]["state"]]
    return f"{address.scheme}://{address.netloc}{address.path}", parameters


@pytest.fixture
def post_to(load_event: LoadEvent, lambda_context: FakeLambdaContext) -> Callable[..., Send]:
    """A deployment with other settings."""

    def deployed(**settings: str) -> Send:
        uris = (REDIRECT_URI, "http://localhost:5173/callback")
        deps = Dependencies(identity_verifier(), login_products(**settings), STATES, redirect_uris=uris)
        return sender(build_api(ORIGINS, lambda: deps), load_event, lambda_context, "authorize")

    return deployed


@pytest.fixture
def post(post_to: Callable[..., Send]) -> Send:
    return post_to()


def test_response_matches_the_contract(post: Send) -> None:
    answer = post()

    data = answer["json"]["data"]
    assert answer["statusCode"] == 200
    assert answer["json"] == {
        "success": True,
        "data": {"authorizeUrl": data["authorizeUrl"], "state": data["state"], "expiresAt": "2026-11-22T12:30:00Z"},
        "requestId": "6f1c2e0a-0000-4000-8000-000000000006",
    }
    assert header(answer, "Cache-Control") == "no-store"
    assert header(answer, "Access-Control-Allow-Origin") == ORIGIN


def test_instagram_url_is_its_dialog(post: Send) -> None:
    assert question(post(body=body(provider="instagram"))) == (
        "https://www.instagram.com/oauth/authorize",
        {
            "client_id": ["7777"],
            "redirect_uri": [REDIRECT_URI],
            "response_type": ["code"],
            "scope": ["instagram_business_basic"],
        },
    )


def test_facebook_dialog_is_the_default(post: Send) -> None:
    untold, told = post(body=body()), post(body=body(provider="facebook"))

    assert question(untold) == question(told)
    assert question(told) == (
        "https://www.facebook.com/v25.0/dialog/oauth",
        {
            "client_id": ["1111"],
            "redirect_uri": [REDIRECT_URI],
            "response_type": ["code"],
            "scope": ["instagram_basic,pages_show_list"],
        },
    )


def test_login_configuration_replaces_scopes(post_to: Callable[..., Send]) -> None:
    post = post_to(FACEBOOK_LOGIN_CONFIG_ID="5555")

    _, parameters = question(post(body=body(provider="facebook")))

    assert (parameters["config_id"], parameters["override_default_response_type"]) == (["5555"], ["true"])
    assert "scope" not in parameters


@pytest.mark.parametrize(
    ("provider", "parameter"),
    [("facebook", {"auth_type": ["rerequest"]}), ("instagram", {"force_reauth": ["true"]})],
)
def test_declined_permissions_are_requested_again_only_on_demand(
    post: Send, provider: str, parameter: dict[str, list[str]]
) -> None:
    _, usual = question(post(body=body(provider=provider, rerequest=False)))
    _, again = question(post(body=body(provider=provider, rerequest=True)))

    assert again == {**usual, **parameter}


@pytest.mark.parametrize("provider", list(Provider))
def test_state_is_bound_to_the_user_and_login(post: Send, provider: Provider) -> None:
    answer = post(body=body(provider=provider, redirectUri="http://localhost:5173/callback"))

    state = STATES.read(answer["json"]["data"]["state"])
    STATES.check(state, USER_ID, provider, "http://localhost:5173/callback")
    assert (state.user_id, state.provider) == (USER_ID, provider)


def test_every_call_creates_a_new_state(post: Send) -> None:
    assert len({post()["json"]["data"]["state"] for _ in range(5)}) == 5


@pytest.mark.parametrize("authorization", [None, "", "Bearer rubbish", "Bearer sb_secret_x", "Basic abc"])
def test_unauthenticated_requests_get_401(post: Send, authorization: str | None) -> None:
    answer = post(headers={"Authorization": authorization}, body="{")

    assert (answer["statusCode"], answer["json"]["code"]) == (401, "UNAUTHENTICATED")
    assert header(answer, "WWW-Authenticate") == "Bearer"
    assert "data" not in answer["json"]


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ({"body": None}, "body"),
        ({"body": ""}, "body"),
        ({"body": "{"}, "body"),
        ({"body": "[]"}, "body"),
        ({"body": "null"}, "body"),
        ({"body": "[" * 50_000}, "body"),
        ({"body": body(more="x" * 300_000)}, "body"),
        ({"body": "{}"}, "redirectUri"),
        ({"body": body(redirectUri="")}, "redirectUri"),
        ({"body": body(redirectUri=7)}, "redirectUri"),
        ({"body": body(redirectUri=None)}, "redirectUri"),
        ({"body": body(redirectUri=[REDIRECT_URI])}, "redirectUri"),
        ({"body": body(redirectUri=f"{REDIRECT_URI}?{'x' * 3_000}")}, "redirectUri"),
        ({"body": body(provider="myspace")}, "provider"),
        ({"body": body(provider="Facebook")}, "provider"),
        ({"body": body(provider=None)}, "provider"),
        ({"body": body(provider=["facebook"])}, "provider"),
        ({"body": body(rerequest="true")}, "rerequest"),
        ({"body": body(rerequest=1)}, "rerequest"),
        ({"body": "not base64!", "isBase64Encoded": True}, "body"),
    ],
)
def test_invalid_body_is_rejected_naming_the_field(post: Send, sent: dict[str, Any], named: str) -> None:
    answer = post(**sent)

    assert (answer["statusCode"], answer["json"]["code"]) == (400, "INVALID_REQUEST")
    assert named in answer["json"]["details"]


def test_body_errors_do_not_quote_the_body(post: Send) -> None:
    answer = post(body=body(provider="a-private-word", rerequest="a-private-word"))

    assert "a-private-word" not in answer["body"]


@pytest.mark.parametrize(
    "uri", ["https://evil.example.com/callback", f"{REDIRECT_URI}/", f"{REDIRECT_URI}?x=1", f"{ORIGIN}/CALLBACK"]
)
def test_only_listed_redirect_uris_are_accepted(post: Send, uri: str) -> None:
    answer = post(body=body(redirectUri=uri))

    assert (answer["statusCode"], answer["json"]["code"]) == (400, "REDIRECT_URI_NOT_ALLOWED")


def test_product_without_settings_fails_alone(post_to: Callable[..., Send]) -> None:
    post = post_to(INSTAGRAM_APP_ID="")

    answer = post(body=body(provider="instagram"))

    assert (answer["statusCode"], answer["json"]["code"]) == (500, "CONFIGURATION_INVALID")
    assert "INSTAGRAM_APP_ID" not in answer["body"]
    assert post(body=body(provider="facebook"))["statusCode"] == 200


def test_responses_contain_no_secret(post: Send) -> None:
    answers = f"{post(body=body(provider='facebook'))} {post(body=body(provider='instagram'))}"

    assert "-secret" not in answers


def test_missing_setting_is_not_named_in_the_response(load_event: LoadEvent, lambda_context: FakeLambdaContext) -> None:
    def not_configured() -> Dependencies:
        raise ConfigurationError(log_context={"secret_key": "state_signing_key"})

    answer = build_api((ORIGIN,), not_configured).resolve(load_event("authorize"), lambda_context)  # type: ignore[arg-type]

    assert json.loads(answer["body"])["code"] == "CONFIGURATION_INVALID"
    assert "state_signing_key" not in answer["body"]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(ORIGIN, ORIGIN), ("https://admin.example.com", "https://admin.example.com"), ("https://evil.example.com", None)],
)
def test_preflight_allows_listed_origins_only(post: Send, origin: str, allowed: str | None) -> None:
    answer = post(httpMethod="OPTIONS", body=None, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})

    assert answer["statusCode"] == 204
    assert header(answer, "Access-Control-Allow-Origin") == allowed
    if allowed:
        assert "POST" in (header(answer, "Access-Control-Allow-Methods") or "")
        assert "Authorization" in (header(answer, "Access-Control-Allow-Headers") or "")
