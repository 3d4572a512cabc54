"""Fuzzes the deployed API: responses match docs/openapi.json and reveal nothing about what is behind it.

schemathesis generates valid and invalid requests from the document. They are sent signed in, signed out, and as Meta,
whose bodies must be signed to be read at all.
"""

import base64
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import pytest
import requests
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from requests import PreparedRequest
from schemathesis import Case, CheckContext, Response
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.support import budget
from tests.support.app import App, User
from tests.support.arbitrary import json_values
from tests.support.budget import examples
from tools import openapi

Send = Callable[..., Response]
Test = TypeVar("Test", bound=Callable[..., None])

# How API Gateway, and its local stand-in, mark responses of their own that reached no function.
GATEWAY_ERROR_HEADER = "x-amzn-errortype"
NO_SUCH_ROUTE = "MissingAuthenticationTokenException"
# Raw texts of PostgREST, Postgres, Meta, AWS and Python, which must not reach users.
RAW = re.compile(
    r"PGRST|SQLSTATE|schema cache|violates|relation \"|instagram_business_accounts|instagram_credentials"
    r"|fbtrace_id|OAuthException|IGApi|Error validating"
    r"|botocore|ClientError|Traceback|File \"|line \d+, in |[a-z]Error\b|Exception\b|\bNone\b| at 0x[0-9a-f]{6}"
)
MIN_RECOGNISABLE_LENGTH = 12


def described(*, coverage: bool = True, **generation: Any) -> Any:
    """The OpenAPI document with the fuzzing settings."""
    return schemathesis.openapi.from_path(
        openapi.PATH,
        config=schemathesis.Config.from_dict(
            {
                "generation": {"max-examples": examples(6), "database": "none", **generation},
                "phases": {"coverage": {"enabled": coverage}},
                # For a method that a path does not have, API Gateway returns 403 rather than 405.
                "checks": {"unsupported_method": {"enabled": False}},
                **({} if budget.SEED is None else {"seed": budget.SEED}),
            }
        ),
    )


def each_case_of(document: Any) -> Callable[[Test], Test]:
    decorate: Callable[[Test], Test] = document.parametrize()
    return decorate


api = described()
# Unauthenticated requests are all rejected alike, wherever the fault is.
few = described(coverage=budget.FACTOR > 1)


def is_unknown_route(response: Response, case: Case[Any]) -> bool:
    """Whether the request reached no function because the route does not exist: the only response that is not ours.

    The gateway's 502 for a failed function is marked too, but counts as a finding.
    """
    if response.headers.get(GATEWAY_ERROR_HEADER) != [NO_SUCH_ROUTE]:
        return False
    known = list(case.operation.schema[case.operation.path])
    is_elsewhere = "{" in case.operation.path and case.formatted_path.count("/") != case.operation.path.count("/")
    is_empty = case.formatted_path.endswith("/")
    return case.method.lower() not in known or is_elsewhere or is_empty


@schemathesis.check
def names_a_documented_code(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """Check that the status and error code belong together."""
    definition = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    if response.status_code >= 400 and "application/json" in definition.get("content", {}):
        code = response.json()["code"]
        assert f"`{code}`" in definition["description"], f"{code} is not documented for {response.status_code}"


@schemathesis.check
def reveals_no_internals(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """Check for raw texts and, in an error, for anything the client sent."""
    text = response.content.decode()
    leaked = RAW.search(text)
    assert leaked is None, f"it reveals {leaked[0] if leaked else ''!r}"
    if response.status_code >= 400:
        sent = [value for value in body_of(case).values() if isinstance(value, str)]
        repeated = [value for value in sent if len(value) >= MIN_RECOGNISABLE_LENGTH and value in text]
        assert not repeated, f"it repeats {repeated[0]!r}"


@schemathesis.check
def is_not_cacheable(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """Check that caches must not store the response."""
    assert response.headers.get("cache-control") == ["no-store"] or case.method == "OPTIONS"


@pytest.fixture
def send(app: App) -> Iterator[Send]:
    """Send a case and check the response if it is ours."""
    with requests.Session() as session:
        session.trust_env = False

        def send(case: Case[Any], headers: Mapping[str, str] | None = None, **kwargs: Any) -> Response:
            transport = {"base_url": app.stack["api_url"], "session": session, "headers": dict(headers or {}), **kwargs}
            response = case.call(**transport)
            # An unknown code is well-formed but still rejected with 400.
            is_login = case.operation.definition.raw["operationId"] == "exchangeToken"
            unchecked: list[Any] = [positive_data_acceptance] if is_login else []
            if not is_unknown_route(response, case):
                case.validate_response(
                    response, headers=transport["headers"], transport_kwargs=transport, excluded_checks=unchecked
                )
            return response

        yield send


# As a frontend


@each_case_of(few)
def test_unauthenticated_requests_are_rejected_in_our_format(case: Case[Any], send: Send) -> None:
    response = send(case)

    is_public = case.operation.definition.raw.get("security") == []
    assert is_public or response.status_code in (401, 403, 404) or case.method == "OPTIONS"


@each_case_of(api)
def test_any_user_request_gets_a_documented_response(case: Case[Any], send: Send, app: App, user: User) -> None:
    if case.operation.definition.raw["operationId"] in ("authorize", "exchangeToken"):
        redirect_uri(case, app.redirect_uri)

    send(case, {"Authorization": f"Bearer {user.token}"})


def redirect_uri(case: Case[Any], known: str) -> None:
    """Use the deployment's redirect URI where valid; otherwise no request would get past that check."""
    body = body_of(case)
    sent = body.get("redirectUri")
    if isinstance(sent, str) and 0 < len(sent) <= 2048:
        body["redirectUri"] = known


def body_of(case: Case[Any]) -> dict[str, Any]:
    return case.body if isinstance(case.body, dict) else {}


# A hook inserts what the document cannot know: existing ids and codes.

of_accounts = described(coverage=False, mode="positive").include(operation_id=["disconnectAccount", "refreshToken"])
of_logins = described(coverage=False, mode="positive").include(operation_id="exchangeToken")


@each_case_of(of_accounts)
def test_any_request_for_an_own_account_gets_a_documented_response(
    case: Case[Any], send: Send, account: tuple[User, str]
) -> None:
    user, account_id = account
    if "id" in case.path_parameters:
        case.path_parameters["id"] = account_id
    else:
        body_of(case)["businessAccountId"] = account_id

    assert send(case, {"Authorization": f"Bearer {user.token}"}).status_code in (200, 409)


@pytest.fixture
def account(app: App, user: User) -> tuple[User, str]:
    return user, str(app.connect(user)[0]["id"])


@each_case_of(of_logins)
def test_unknown_fields_beside_the_code_do_not_prevent_a_login(
    case: Case[Any], send: Send, app: App, user: User
) -> None:
    body = body_of(case)
    if "accessToken" in body:
        body.pop("accessToken")
        body.pop("provider", None)
    code = app.log_in_to_instagram() if body.get("provider") == "instagram" else app.log_in()
    body.update(code=code, redirectUri=app.redirect_uri, state=None)

    assert send(case, {"Authorization": f"Bearer {user.token}"}).status_code == 200


# As Meta

WEBHOOK, DEAUTHORIZE, DELETION = (f"/api/instagram/{name}" for name in ("webhook", "deauthorize", "data-deletion"))
as_meta = described(mode="positive")
# Text, because API Gateway passes bodies on as text.
payloads = st.text(max_size=200).map(str.encode) | json_values.map(lambda value: json.dumps(value).encode())
signing = settings(max_examples=examples(30))


def signed_body(secret: str) -> Callable[[PreparedRequest], PreparedRequest]:
    """Sign the bytes that are sent."""

    def sign(request: PreparedRequest) -> PreparedRequest:
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        assert isinstance(body, bytes)
        request.headers["X-Hub-Signature-256"] = f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"
        return request

    return sign


def signed_request(secret: str, payload: bytes) -> str:
    def encoded(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    signed = encoded(payload)
    return f"{encoded(hmac.digest(secret.encode(), signed.encode(), 'sha256'))}.{signed}"


@signing
@given(body=payloads, product=st.sampled_from(["facebook", "instagram"]))
def test_any_webhook_signed_by_meta_is_accepted(send: Send, app: App, body: bytes, product: str) -> None:
    case = as_meta[WEBHOOK]["POST"].Case(body=body, media_type="application/json")

    response = send(case, auth=signed_body(app.stack[f"{product}_app_secret"]))

    assert response.status_code == 200


@signing
@given(body=payloads)
def test_webhooks_signed_with_another_secret_are_rejected(send: Send, body: bytes) -> None:
    case = as_meta[WEBHOOK]["POST"].Case(body=body, media_type="application/json")

    assert send(case, auth=signed_body("a secret of somebody else")).json()["code"] == "SIGNATURE_INVALID"


said = st.fixed_dictionaries(
    {"algorithm": st.sampled_from(["HMAC-SHA256", "HMAC-SHA256", "HMAC-SHA256", "none", None])},
    optional={"user_id": st.from_regex(r"[0-9]{1,20}", fullmatch=True) | json_values, "issued_at": json_values},
)


@pytest.mark.parametrize("path", [DEAUTHORIZE, DELETION])
@signing
@given(payload=payloads | said.map(lambda value: json.dumps(value).encode()))
def test_any_signed_request_is_carried_out_or_rejected(send: Send, app: App, path: str, payload: bytes) -> None:
    text = signed_request(app.stack["instagram_app_secret"], payload)

    response = send(as_meta[path]["POST"].Case(body={"signed_request": text}, media_type=FORM))

    assert response.status_code in (200, 400, 403)
    if path == DELETION and response.status_code == 200:
        code = response.json()["confirmation_code"]
        assert send(as_meta[DELETION]["GET"].Case(query={"code": code})).status_code == 200


@signing
@given(challenge=st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_-]{1,256}", fullmatch=True))
def test_handshake_returns_or_rejects_the_challenge(send: Send, app: App, challenge: str) -> None:
    asked = {
        "hub.mode": "subscribe",
        "hub.verify_token": app.stack["webhook_verify_token"],
        "hub.challenge": challenge,
    }

    response = send(as_meta[WEBHOOK]["GET"].Case(query=asked))

    is_possible = re.fullmatch(r"[A-Za-z0-9_-]{1,256}", challenge) is not None
    assert response.status_code == (200 if is_possible else 400)
    assert not is_possible or response.content.decode() == challenge


FORM = "application/x-www-form-urlencoded"
