"""The route in front of the connection flow: what it lets through, and how it answers."""

import base64
import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.exchange_token.app import Dependencies, build_api
from instagram_connect.connections.account_list import AccountsOfUser
from instagram_connect.connections.connect import PendingConnection, Request
from instagram_connect.connections.connect_once import LEAST_TIME_BETWEEN_ATTEMPTS_S, ConnectOnce
from instagram_connect.connections.login_records import LoginKey, LoginOutcome
from instagram_connect.connections.parking import ParkedRecord
from instagram_connect.errors import (
    AccountDisconnectedError,
    ConfigurationError,
    InstagramConnectError,
    LateStartError,
    LoginCodeUsedError,
    MetaRateLimitedError,
    MetaUnavailableError,
    OAuthStateError,
    ScopesDeclinedError,
    StorageError,
)
from instagram_connect.models import Account, Provider
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.security.oauth_state import LIFETIME, StateSigner
from tests.support.arbitrary import any_text, json_values
from tests.support.fakes import NOW, USER_ID, identity_verifier
from tests.support.lambda_context import FakeLambdaContext
from tests.support.routes import ACCOUNT, ORIGIN, ORIGINS, STATE_KEY, LoadEvent, Send, header, sender

CALLBACK = f"{ORIGIN}/callback"


class FakeFlow:
    """Keeps what it was asked to connect; ends with `outcome`, or raises it if it is an error.

    `error` is raised instead: an error of one request alone.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.requests: list[Request] = []
        self.outcome: tuple[Account, ...] | PendingConnection | InstagramConnectError = (ACCOUNT,)
        self.error: Exception | None = None

    def connect(self, product: "FakeProduct", token: tuple[str, ...], request: Request, _: Deadline) -> object:
        self.asked.append((product.provider, *token))
        self.requests.append(request)
        if self.error:
            raise self.error
        if isinstance(self.outcome, InstagramConnectError):
            raise self.outcome
        return self.outcome


@dataclass(frozen=True)
class FakeProduct:
    """Exchanges everything, for a token that says what it was."""

    provider: Provider

    def exchange_code(self, code: str, redirect_uri: str, _: Deadline) -> tuple[str, ...]:
        return code, redirect_uri

    def accept_token(self, access_token: str, _: Deadline) -> tuple[str, ...]:
        return (access_token,)


class FakeRecords:
    """Remembers outcomes and states in memory."""

    def __init__(self) -> None:
        self.outcomes: dict[str, LoginOutcome] = {}
        self.states: dict[str, str] = {}

    def outcome_of(self, login: LoginKey, attempt: Callable[[], LoginOutcome], *_: object) -> LoginOutcome:
        if str(login) not in self.outcomes:
            self.outcomes[str(login)] = json.loads(json.dumps(attempt()))
        return self.outcomes[str(login)]

    def kept_token(self, login: LoginKey) -> None:
        """None: no attempt was interrupted."""

    def keep_token(self, login: LoginKey, token: object) -> None:
        """Forgets it."""

    def use_state(self, state_id: str, login: LoginKey) -> bool:
        is_first_time = state_id not in self.states
        if self.states.setdefault(state_id, str(login)) != str(login):
            raise OAuthStateError(reason="STATE_USED")
        return is_first_time


class FakeAccountList:
    """The user's accounts and unfinished logins, as they are now."""

    def __init__(self) -> None:
        self.accounts: tuple[Account, ...] = (ACCOUNT,)
        self.logins: tuple[ParkedRecord, ...] = ()
        self.error: Exception | None = None

    def of(self, user_id: str, deadline: Deadline) -> AccountsOfUser:
        assert (user_id, 27 < deadline.remaining_s() <= 27.5) == (USER_ID, True)
        return AccountsOfUser(self.accounts, self.logins, is_complete=True)

    def list_accounts(self, user_id: str, deadline: Deadline) -> tuple[Account, ...]:
        """As storage itself, which this test may let fail."""
        if self.error:
            raise self.error
        return self.of(user_id, deadline).accounts


STATES = StateSigner(STATE_KEY, lambda: NOW)


@pytest.fixture
def flow() -> FakeFlow:
    return FakeFlow()


@pytest.fixture
def records() -> FakeRecords:
    return FakeRecords()


@pytest.fixture
def account_list() -> FakeAccountList:
    return FakeAccountList()


@pytest.fixture
def deps(flow: FakeFlow, records: FakeRecords, account_list: FakeAccountList) -> Dependencies:
    return Dependencies(
        identity=identity_verifier(),
        connections=ConnectOnce(
            products={provider: FakeProduct(provider) for provider in Provider},  # type: ignore[arg-type]
            states=STATES,
            records=records,  # type: ignore[arg-type]
            flow=flow,  # type: ignore[arg-type]
            repository=account_list,  # type: ignore[arg-type]
            account_list=account_list,  # type: ignore[arg-type]
            redirect_uris=(CALLBACK,),
            is_state_required=False,
        ),
    )


def sending(deps: Dependencies, load_event: LoadEvent, context: FakeLambdaContext) -> Send:
    return sender(build_api(ORIGINS, lambda: deps), load_event, context, "exchange_token")


@pytest.fixture
def post(deps: Dependencies, load_event: LoadEvent, lambda_context: FakeLambdaContext) -> Send:
    return sending(deps, load_event, lambda_context)


def body(**changes: Any) -> str:
    return json.dumps({"code": "c", "redirectUri": CALLBACK, **changes})


def test_the_accounts_of_a_login_are_answered_in_the_contracts_shape(post: Send) -> None:
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


def test_the_flow_gets_caller_code_and_the_time_that_is_left(post: Send, flow: FakeFlow) -> None:
    post(body=body(code="AQabc#_"))

    (request,) = flow.requests
    assert flow.asked == [(Provider.FACEBOOK, "AQabc", CALLBACK)]
    assert (request.user_id, request.request_id) == (USER_ID, "6f1c2e0a-0000-4000-8000-000000000001")
    assert 27 < request.deadline.remaining_s() <= 27.5


def test_a_base64_body_is_decoded(post: Send) -> None:
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
    post: Send, flow: FakeFlow, sent: dict[str, Any], named: str
) -> None:
    answer = post(**sent)

    assert (answer["statusCode"], answer["json"]["code"]) == (400, "INVALID_REQUEST")
    assert named in answer["json"]["details"]
    assert flow.asked == []


def test_an_error_about_the_body_does_not_repeat_it(post: Send) -> None:
    answer = post(body=json.dumps({"code": ["AQsecret"], "redirectUri": "AQsecret"}))

    assert "AQsecret" not in answer["body"]


@pytest.mark.parametrize(
    "uri", ["https://evil.example.com/callback", f"{ORIGIN}/callback/", f"{ORIGIN}/callback?x=1", f"{ORIGIN}/CALLBACK"]
)
def test_only_listed_redirect_uris_are_exchanged(post: Send, flow: FakeFlow, uri: str) -> None:
    answer = post(body=body(redirectUri=uri))

    assert (answer["statusCode"], answer["json"]["code"]) == (400, "REDIRECT_URI_NOT_ALLOWED")
    assert flow.asked == []


@pytest.mark.parametrize("authorization", [None, "", "Bearer rubbish", "Bearer sb_secret_x", "Basic abc"])
def test_strangers_get_401_in_the_error_shape_whatever_they_send(
    post: Send, flow: FakeFlow, authorization: str | None
) -> None:
    answer = post(headers={"Authorization": authorization}, body="{")

    assert (answer["statusCode"], answer["json"]["code"]) == (401, "UNAUTHENTICATED")
    assert header(answer, "WWW-Authenticate") == "Bearer"
    assert flow.asked == []


def test_a_failure_has_every_field_of_the_error_shape(post: Send, flow: FakeFlow) -> None:
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


def test_storage_that_fails_keeps_the_words_that_existing_frontends_know(post: Send, flow: FakeFlow) -> None:
    flow.error = StorageError(reason="SCHEMA_CACHE_STALE", recoverable=True)

    answer = post()

    assert answer["statusCode"] == 500
    assert (answer["json"]["error"], answer["json"]["code"]) == ("Failed to store credentials", "STORAGE_FAILED")
    assert (answer["json"]["reason"], answer["json"]["recoverable"]) == ("SCHEMA_CACHE_STALE", True)


def test_a_wait_that_is_known_is_told_twice(post: Send, flow: FakeFlow) -> None:
    flow.error = MetaRateLimitedError(retry_after_s=420)

    answer = post()

    assert answer["json"]["retryAfterSeconds"] == 420
    assert header(answer, "Retry-After") == "420"


def test_a_defect_of_ours_answers_in_the_same_shape_and_says_nothing_of_itself(post: Send, flow: FakeFlow) -> None:
    flow.error = RuntimeError("https://graph.facebook.com/?access_token=EAAsecret")

    answer = post()

    assert (answer["statusCode"], answer["json"]["code"]) == (500, "INTERNAL_ERROR")
    assert "EAAsecret" not in answer["body"]
    assert header(answer, "Access-Control-Allow-Origin") == ORIGIN


def test_a_missing_setting_is_the_operators_and_named_in_the_log_only(
    load_event: LoadEvent, lambda_context: FakeLambdaContext
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
def test_a_preflight_lets_in_the_listed_origins_only(post: Send, origin: str, allowed: str | None) -> None:
    answer = post("exchange_token_preflight", headers={"Origin": origin})

    assert answer["statusCode"] == 204
    assert header(answer, "Access-Control-Allow-Origin") == allowed
    if allowed:
        assert "POST" in (header(answer, "Access-Control-Allow-Methods") or "")
        assert "Authorization" in (header(answer, "Access-Control-Allow-Headers") or "")


def test_errors_too_can_be_read_by_an_allowed_page(post: Send, flow: FakeFlow) -> None:
    flow.error = StorageError(reason="KEY_REJECTED")

    assert header(post(), "Access-Control-Allow-Origin") == ORIGIN


def test_another_path_is_answered_in_the_error_shape(post: Send) -> None:
    answer = post(path="/api/instagram/elsewhere")

    assert (answer["statusCode"], answer["json"]["code"]) == (404, "NOT_FOUND")


def test_the_same_code_again_gives_the_first_outcome_under_its_own_request_id(post: Send, flow: FakeFlow) -> None:
    first = post()
    second = post(requestContext={"requestId": "another", "httpMethod": "POST", "stage": "live"})

    assert first["json"]["data"] == second["json"]["data"]
    assert second["json"]["requestId"] == "another"
    assert len(flow.asked) == 1


@pytest.mark.parametrize(
    ("error", "wait_s"),
    [
        (ScopesDeclinedError(), None),
        (LoginCodeUsedError(), None),
        (StorageError(reason="PERMISSION_DENIED"), LEAST_TIME_BETWEEN_ATTEMPTS_S),
        (MetaUnavailableError(), LEAST_TIME_BETWEEN_ATTEMPTS_S),
        (MetaRateLimitedError(retry_after_s=420), 420),
    ],
)
def test_an_error_counts_for_the_code_as_long_as_only_its_person_can_change_it(
    post: Send, flow: FakeFlow, records: FakeRecords, error: InstagramConnectError, wait_s: float | None
) -> None:
    flow.outcome = error

    post()

    (outcome,) = records.outcomes.values()
    assert outcome.get("counts_for_s") == wait_s


def test_a_wait_that_is_repeated_is_what_is_left_of_it(post: Send, flow: FakeFlow, records: FakeRecords) -> None:
    flow.outcome = MetaRateLimitedError(retry_after_s=420)
    post()
    (outcome,) = records.outcomes.values()
    outcome["remembered_until"] = time.time() + 60

    answer = post()

    assert 59 <= answer["json"]["retryAfterSeconds"] <= 61
    assert header(answer, "Retry-After") == str(answer["json"]["retryAfterSeconds"])


def test_a_state_that_was_taken_may_end_while_its_login_is_tried_again(
    deps: Dependencies, load_event: LoadEvent, lambda_context: FakeLambdaContext, flow: FakeFlow
) -> None:
    state, _ = STATES.issue(USER_ID, Provider.FACEBOOK, CALLBACK)
    flow.error = LateStartError()
    sending(deps, load_event, lambda_context)(body=body(state=state))
    flow.error = None
    an_hour_later = replace(deps.connections, states=StateSigner(STATE_KEY, lambda: NOW + 2 * LIFETIME))

    answer = sending(replace(deps, connections=an_hour_later), load_event, lambda_context)(body=body(state=state))

    assert answer["statusCode"] == 200


def test_accounts_that_were_disconnected_since_are_no_success(post: Send, account_list: FakeAccountList) -> None:
    post()
    account_list.accounts = (ACCOUNT.model_copy(update={"status": "disconnected"}),)

    assert post()["json"]["code"] == "ACCOUNT_DISCONNECTED"


DATA_DELETED = AccountDisconnectedError("Its owner has asked Meta to delete their data.", reason="DATA_DELETED")


@pytest.mark.parametrize("sent", [{"code": "c", "redirectUri": CALLBACK}, {"accessToken": "EAAx"}])
def test_a_person_who_had_their_data_deleted_is_told_that_a_new_login_is_needed(
    post: Send, flow: FakeFlow, sent: dict[str, str]
) -> None:
    """Raised for a token, the outcome of a code."""
    flow.outcome, flow.error = DATA_DELETED, DATA_DELETED if "accessToken" in sent else None

    answer = post(body=json.dumps(sent))

    assert answer["statusCode"] == 409
    assert (answer["json"]["code"], answer["json"]["reason"]) == ("ACCOUNT_DISCONNECTED", "DATA_DELETED")
    assert (answer["json"]["actor"], answer["json"]["recoverable"]) == ("user", True)


def test_the_same_code_again_does_not_bring_back_what_was_deleted(
    post: Send, flow: FakeFlow, records: FakeRecords
) -> None:
    flow.outcome = DATA_DELETED
    first = post()
    flow.outcome = (ACCOUNT,)

    second = post()

    assert (first["statusCode"], first["json"]) == (second["statusCode"], second["json"])
    assert len(flow.asked) == 1
    (outcome,) = records.outcomes.values()
    assert "counts_for_s" not in outcome


def test_the_same_code_again_gives_the_first_error_too(post: Send, flow: FakeFlow) -> None:
    flow.outcome = MetaRateLimitedError(retry_after_s=420)
    first = post()
    flow.outcome = (ACCOUNT,)

    second = post()

    assert (first["statusCode"], first["json"]) == (second["statusCode"], second["json"])
    assert header(second, "Retry-After") == "420"


def test_a_repeated_failure_is_logged_and_counted_once(
    post: Send, flow: FakeFlow, log: io.StringIO, counted: dict[str, Any]
) -> None:
    flow.outcome = MetaRateLimitedError(retry_after_s=420, log_context={"meta_code": 4})

    post()
    post()

    assert log.getvalue().count("Request failed") == 1
    assert log.getvalue().count("Repeated the failure of an earlier request") == 1
    assert counted["RequestsFailed"]["Value"] == [1.0]


def test_an_error_of_one_request_alone_is_not_remembered(post: Send, flow: FakeFlow) -> None:
    flow.error = LateStartError()
    assert post()["statusCode"] == 503
    flow.error = None

    assert post()["statusCode"] == 200


def test_a_repeated_outcome_shows_the_accounts_as_they_are_now(
    post: Send, flow: FakeFlow, account_list: FakeAccountList
) -> None:
    post()
    account_list.accounts = (ACCOUNT.model_copy(update={"status": "needs_reauth"}),)

    assert post()["json"]["data"]["accounts"][0]["status"] == "needs_reauth"


def test_a_remembered_outcome_holds_ids_and_no_profile(post: Send, records: FakeRecords) -> None:
    post()

    assert list(records.outcomes.values()) == [{"accounts": [ACCOUNT.id]}]


def test_accounts_that_were_deleted_since_are_said_to_be_gone(post: Send, account_list: FakeAccountList) -> None:
    post()
    account_list.accounts = ()

    assert post()["json"]["code"] == "ACCOUNT_NOT_FOUND"


def test_an_access_token_is_taken_instead_of_a_code(post: Send, flow: FakeFlow) -> None:
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
def test_a_body_is_one_way_in_and_complete(post: Send, flow: FakeFlow, sent: dict[str, Any], said: str) -> None:
    answer = post(body=json.dumps(sent))

    assert (answer["statusCode"], answer["json"]["code"]) == (400, "INVALID_REQUEST")
    assert said in answer["json"]["details"]
    assert "EAAx" not in answer["body"]
    assert flow.asked == []


def test_null_counts_as_left_out(post: Send, flow: FakeFlow) -> None:
    assert post(body=body(accessToken=None, state=None, provider=None))["statusCode"] == 200
    assert flow.asked == [(Provider.FACEBOOK, "c", CALLBACK)]


def test_the_provider_may_be_left_to_the_state(post: Send, flow: FakeFlow) -> None:
    state, _ = STATES.issue(USER_ID, Provider.INSTAGRAM, CALLBACK)

    assert post(body=body(state=state))["statusCode"] == 200
    assert flow.asked == [(Provider.INSTAGRAM, "c", CALLBACK)]


@pytest.mark.parametrize(
    ("state", "changes", "reason"),
    [
        ("rubbish", {}, "STATE_INVALID"),
        (STATES.issue(USER_ID, Provider.FACEBOOK, CALLBACK)[0] + "x", {}, "STATE_INVALID"),
        (STATES.issue("somebody-else", Provider.FACEBOOK, CALLBACK)[0], {}, "STATE_OF_ANOTHER_USER"),
        (STATES.issue(USER_ID, Provider.FACEBOOK, CALLBACK)[0], {"provider": "instagram"}, "STATE_MISMATCH"),
        (STATES.issue(USER_ID, Provider.FACEBOOK, f"{CALLBACK}/2")[0], {}, "STATE_MISMATCH"),
        (
            StateSigner(STATE_KEY, lambda: NOW - LIFETIME).issue(USER_ID, Provider.FACEBOOK, CALLBACK)[0],
            {},
            "STATE_EXPIRED",
        ),
    ],
)
def test_a_state_that_is_not_this_logins_leaves_the_code_unspent(
    post: Send, flow: FakeFlow, state: str, changes: dict[str, Any], reason: str
) -> None:
    answer = post(body=body(state=state, **changes))

    assert (answer["statusCode"], answer["json"]["code"], answer["json"]["reason"]) == (
        400,
        "OAUTH_STATE_INVALID",
        reason,
    )
    assert flow.asked == []


def test_a_state_serves_one_code_only_and_that_one_as_often_as_it_is_sent(post: Send, flow: FakeFlow) -> None:
    state, _ = STATES.issue(USER_ID, Provider.FACEBOOK, CALLBACK)
    flow.error = LateStartError()
    assert post(body=body(state=state))["statusCode"] == 503
    flow.error = None

    assert post(body=body(state=state))["statusCode"] == 200
    assert post(body=body(state=state))["statusCode"] == 200
    assert post(body=body(code="another", state=state))["json"]["reason"] == "STATE_USED"


def test_a_repeated_code_is_answered_also_after_its_state_has_ended(post: Send, flow: FakeFlow) -> None:
    flow.outcome = LoginCodeUsedError()
    post(body=body())
    expired, _ = StateSigner(STATE_KEY, lambda: NOW - LIFETIME).issue(USER_ID, Provider.FACEBOOK, CALLBACK)

    assert post(body=body(state=expired))["json"]["code"] == "OAUTH_CODE_USED"


def test_a_deployment_can_require_the_state(
    deps: Dependencies, load_event: LoadEvent, lambda_context: FakeLambdaContext
) -> None:
    requiring = replace(deps.connections, is_state_required=True)
    strict = sending(replace(deps, connections=requiring), load_event, lambda_context)
    state, _ = STATES.issue(USER_ID, Provider.FACEBOOK, CALLBACK)

    assert strict(body=body())["json"]["reason"] == "STATE_MISSING"
    assert strict(body=body(state=""))["json"]["reason"] == "STATE_MISSING"
    assert strict(body=body(state=state))["statusCode"] == 200


PENDING = ACCOUNT.model_copy(update={"id": None, "status": "pending"})
WAITING = PendingConnection(NOW, (PENDING,))
# A login whose accounts Meta has not named yet.
UNFINISHED = ParkedRecord(user_id=USER_ID, id="p-1", provider=Provider.FACEBOOK, issued_at=NOW)


def test_a_login_that_waits_is_answered_in_the_contracts_shape_and_with_nothing_else(
    post: Send, flow: FakeFlow
) -> None:
    flow.outcome = WAITING

    answer = post()

    assert answer["statusCode"] == 202
    assert answer["json"] == {
        "success": True,
        "pending": True,
        "code": "STORAGE_DEFERRED",
        "data": {
            "businessAccountId": None,
            "accounts": [
                {
                    "id": None,
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
                    "status": "pending",
                }
            ],
        },
        "requestId": "6f1c2e0a-0000-4000-8000-000000000001",
    }
    assert header(answer, "Cache-Control") == "no-store"
    assert header(answer, "Access-Control-Allow-Origin") == ORIGIN


def test_a_login_that_meta_interrupted_waits_without_accounts(post: Send, flow: FakeFlow) -> None:
    flow.outcome = PendingConnection(NOW, ())

    answer = post()

    nothing: dict[str, Any] = {"businessAccountId": None, "accounts": []}
    assert (answer["statusCode"], answer["json"]["data"]) == (202, nothing)


def test_an_access_token_whose_connection_waits_is_answered_like_a_code(post: Send, flow: FakeFlow) -> None:
    flow.outcome = WAITING

    answer = post(body=json.dumps({"accessToken": "EAAx"}))

    assert (answer["statusCode"], answer["json"]["code"]) == (202, "STORAGE_DEFERRED")
    assert "EAAx" not in answer["body"]


def test_what_is_remembered_of_a_login_that_waits_is_when_it_was_made_and_no_profile(
    post: Send, flow: FakeFlow, records: FakeRecords
) -> None:
    flow.outcome = WAITING

    post()

    pending = {"since": NOW.isoformat(), "accounts": [PENDING.instagram_business_id]}
    assert list(records.outcomes.values()) == [{"pending": pending}]


@pytest.mark.parametrize(
    ("accounts", "logins"),
    [
        ((PENDING,), ()),
        ((PENDING, ACCOUNT.model_copy(update={"instagram_business_id": "2"})), ()),
        ((), (UNFINISHED,)),
        ((), ()),  # what a user sees of it could not be written
    ],
)
def test_the_same_code_again_is_answered_as_pending_while_anything_of_its_login_waits(
    post: Send,
    flow: FakeFlow,
    account_list: FakeAccountList,
    accounts: tuple[Account, ...],
    logins: tuple[ParkedRecord, ...],
) -> None:
    flow.outcome = WAITING
    post()
    account_list.accounts, account_list.logins = accounts, logins

    again = post()

    assert (again["statusCode"], again["json"]["pending"], again["json"]["code"]) == (202, True, "STORAGE_DEFERRED")
    shown = [account["status"] for account in again["json"]["data"]["accounts"]]
    assert set(shown) <= {"pending"}
    assert len(flow.asked) == 1


def test_the_same_code_again_is_a_success_once_its_login_is_stored(
    post: Send, flow: FakeFlow, account_list: FakeAccountList
) -> None:
    flow.outcome = WAITING
    post()
    older = {"connected_at": NOW - timedelta(days=1), "id": "older", "instagram_business_id": "1"}
    elsewhere = {"provider": Provider.INSTAGRAM, "id": "other-product", "instagram_business_id": "2"}
    account_list.accounts = (ACCOUNT.model_copy(update=older), ACCOUNT.model_copy(update=elsewhere), ACCOUNT)

    again = post()

    assert again["statusCode"] == 200
    assert "pending" not in again["json"]
    assert again["json"]["data"]["businessAccountId"] == ACCOUNT.id
    assert [account["id"] for account in again["json"]["data"]["accounts"]] == [ACCOUNT.id]


def test_the_same_code_again_says_why_its_login_has_ended(
    post: Send, flow: FakeFlow, account_list: FakeAccountList
) -> None:
    flow.outcome = PendingConnection(NOW, ())
    post()
    account_list.accounts = ()
    account_list.logins = (UNFINISHED.model_copy(update={"code": "NO_FACEBOOK_PAGE"}),)

    again = post()

    assert (again["statusCode"], again["json"]["code"]) == (422, "NO_FACEBOOK_PAGE")
    assert again["json"]["actor"] == "user"


def test_the_same_code_again_says_that_its_account_was_disconnected_since(
    post: Send, flow: FakeFlow, account_list: FakeAccountList
) -> None:
    flow.outcome = PendingConnection(NOW, ())
    post()
    stored = ACCOUNT.model_copy(update={"status": "disconnected", "connected_at": NOW - timedelta(days=1)})
    account_list.accounts = (stored,)

    assert post()["json"]["code"] == "ACCOUNT_DISCONNECTED"


def test_the_same_code_again_says_that_storage_fails_and_not_that_its_accounts_are_gone(
    post: Send, account_list: FakeAccountList
) -> None:
    """Although the user has something parked, which is all that a list could show now."""
    post()
    account_list.accounts, account_list.error = (PENDING,), StorageError(reason="DATABASE_UNAVAILABLE")

    assert post()["json"]["reason"] == "DATABASE_UNAVAILABLE"


def test_the_same_code_again_tells_of_its_own_accounts_whoever_brought_them(
    post: Send, flow: FakeFlow, account_list: FakeAccountList
) -> None:
    """Another product since, and another login that still waits."""
    flow.outcome = WAITING
    post()
    by_instagram = ACCOUNT.model_copy(update={"provider": Provider.INSTAGRAM, "connected_at": NOW + timedelta(hours=1)})
    another = PENDING.model_copy(update={"instagram_business_id": "2", "connected_at": NOW + timedelta(hours=1)})
    account_list.accounts = (another, by_instagram)

    again = post()

    assert again["statusCode"] == 200
    assert [a["instagramBusinessId"] for a in again["json"]["data"]["accounts"]] == [ACCOUNT.instagram_business_id]


def test_the_end_of_another_login_does_not_end_this_one(
    post: Send, flow: FakeFlow, account_list: FakeAccountList
) -> None:
    flow.outcome = PendingConnection(NOW, ())
    post()
    account_list.accounts = ()
    ended = {"id": "p-2", "issued_at": NOW - timedelta(hours=1), "code": "RECONNECT_REQUIRED"}
    account_list.logins = (UNFINISHED, UNFINISHED.model_copy(update=ended))

    assert post()["statusCode"] == 202


# Whatever is sent

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
def test_whatever_is_sent_is_a_login_or_refused_in_words_that_repeat_nothing_of_it(
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
def test_whatever_bytes_are_sent_nothing_is_asked_of_meta_unless_they_are_a_login(
    post: Send, flow: FakeFlow, raw: bytes
) -> None:
    answer = post(body=base64.b64encode(raw).decode(), isBase64Encoded=True)

    assert (answer["statusCode"], answer["json"]["code"], flow.asked) == (400, "INVALID_REQUEST", [])
