"""The route of a user's own refresh."""

import io
import json
from typing import Any

import pytest

from functions.refresh_token import app
from functions.refresh_token.app import ANSWERING_S, Dependencies, build_api
from instagram_connect.api import routing
from instagram_connect.errors import (
    AccountDisconnectedError,
    AccountNotFoundError,
    ConfigurationError,
    InstagramConnectError,
    MetaRateLimitedError,
    MetaUnavailableError,
    ReconnectRequiredError,
    RefreshInProgressError,
    StorageError,
    TokenTooYoungError,
)
from instagram_connect.models import Account
from instagram_connect.runtime.deadline import Deadline
from tests.support.fakes import USER_ID, identity_verifier
from tests.support.lambda_context import FakeLambdaContext
from tests.support.routes import ACCOUNT, ORIGIN, ORIGINS, LoadEvent, Send, header, sender

REQUEST_ID = "6f1c2e0a-0000-4000-8000-000000000009"


class FakeOnDemand:
    """Answers the account; keeps what it was asked, and fails with `error` if there is one."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.error: Exception | None = None

    def refresh(self, account_id: str, **more: Any) -> Account:
        self.asked.append({"account_id": account_id, **more})
        if self.error:
            raise self.error
        return ACCOUNT


@pytest.fixture
def on_demand() -> FakeOnDemand:
    return FakeOnDemand()


@pytest.fixture
def deps(on_demand: FakeOnDemand) -> Dependencies:
    return Dependencies(identity_verifier(), on_demand)  # type: ignore[arg-type]


@pytest.fixture
def send(deps: Dependencies, load_event: LoadEvent, lambda_context: FakeLambdaContext) -> Send:
    return sender(build_api(ORIGINS, lambda: deps), load_event, lambda_context, "refresh_token")


def body(account_id: Any) -> dict[str, Any]:
    return {"body": json.dumps({"businessAccountId": account_id})}


def test_a_refresh_is_answered_with_the_account_in_the_contracts_shape(send: Send) -> None:
    answer = send()

    assert answer["statusCode"] == 200
    assert answer["json"] == {
        "success": True,
        "data": {"account": ACCOUNT.model_dump(mode="json", by_alias=True)},
        "requestId": REQUEST_ID,
    }
    assert answer["json"]["data"]["account"]["tokenExpiresAt"] == "2027-01-21T12:00:00+00:00"
    assert header(answer, "Cache-Control") == "no-store"
    assert header(answer, "Access-Control-Allow-Origin") == ORIGIN


def test_a_refresh_gets_caller_account_and_the_time_that_is_left(send: Send, on_demand: FakeOnDemand) -> None:
    send()

    (asked,) = on_demand.asked
    deadline: Deadline = asked.pop("deadline")
    assert asked == {"account_id": ACCOUNT.id, "user_id": USER_ID}
    assert ANSWERING_S - 1 < deadline.remaining_s() <= ANSWERING_S


def test_after_a_slow_start_a_refresh_gets_what_is_left_of_the_functions_time(
    send: Send, on_demand: FakeOnDemand, lambda_context: FakeLambdaContext
) -> None:
    lambda_context.remaining_s = 10

    send()

    left_s = lambda_context.remaining_s - routing.RESPONSE_RESERVE_S
    assert left_s - 1 < on_demand.asked[0]["deadline"].remaining_s() <= left_s


@pytest.mark.parametrize("account_id", [str(ACCOUNT.id).upper(), str(ACCOUNT.id).replace("-", "")])
def test_an_id_is_the_same_however_it_is_written(send: Send, on_demand: FakeOnDemand, account_id: str) -> None:
    assert send(**body(account_id))["statusCode"] == 200
    assert on_demand.asked[0]["account_id"] == ACCOUNT.id


@pytest.mark.parametrize(
    "account_id", ["1", "17841400000000001", "' or 1=1 --", "9a000000-0000-4000-8000-00000000000g"]
)
def test_an_id_that_is_none_is_an_account_that_nobody_has(send: Send, on_demand: FakeOnDemand, account_id: str) -> None:
    answer = send(**body(account_id))

    assert (answer["statusCode"], answer["json"]["code"]) == (404, "ACCOUNT_NOT_FOUND")
    assert on_demand.asked == []


@pytest.mark.parametrize(
    "sent",
    [None, "", "null", "[]", "{}", "no JSON", json.dumps({"businessAccountId": None}), json.dumps({"id": ACCOUNT.id})]
    + [json.dumps({"businessAccountId": wrong}) for wrong in (5, "", "x" * 65, [ACCOUNT.id])],
)
def test_a_body_without_an_account_is_refused_and_not_repeated(
    send: Send, on_demand: FakeOnDemand, sent: str | None
) -> None:
    answer = send(body=sent)

    assert (answer["statusCode"], answer["json"]["code"]) == (400, "INVALID_REQUEST")
    assert "xxx" not in answer["body"]
    assert on_demand.asked == []


ERRORS: list[tuple[InstagramConnectError, int, str | None]] = [
    (AccountNotFoundError(), 404, None),
    (AccountDisconnectedError(), 409, None),
    (TokenTooYoungError(retry_after_s=3600), 409, "3600"),
    (RefreshInProgressError(retry_after_s=10), 409, "10"),
    (ReconnectRequiredError(reason="APP_REMOVED"), 409, None),
    (MetaRateLimitedError(retry_after_s=600), 503, "600"),
    (MetaUnavailableError(), 503, None),
    (StorageError(reason="DATA_API_UNREACHABLE", recoverable=True), 500, None),
]


@pytest.mark.parametrize(("error", "status", "retry_after"), ERRORS, ids=lambda value: getattr(value, "code", None))
def test_every_refusal_is_answered_in_the_error_shape(
    send: Send, on_demand: FakeOnDemand, error: InstagramConnectError, status: int, retry_after: str | None
) -> None:
    on_demand.error = error

    answer = send()

    assert answer["statusCode"] == status
    assert answer["json"].pop("retryAfterSeconds", None) == (int(retry_after) if retry_after else None)
    assert answer["json"].pop("reason", None) == error.reason
    assert answer["json"] == {
        "success": False,
        "error": error.message,
        "details": error.details,
        "code": error.code,
        "actor": error.actor,
        "recoverable": error.recoverable,
        "hint": error.hint,
        "requestId": REQUEST_ID,
    }
    assert header(answer, "Retry-After") == retry_after
    assert header(answer, "Access-Control-Allow-Origin") == ORIGIN


def test_a_defect_of_ours_says_nothing_of_itself(send: Send, on_demand: FakeOnDemand, log: io.StringIO) -> None:
    on_demand.error = RuntimeError("https://graph.instagram.com/?access_token=IGAAsecret")

    answer = send()

    assert (answer["statusCode"], answer["json"]["code"]) == (500, "INTERNAL_ERROR")
    assert "IGAAsecret" not in answer["body"] + log.getvalue()


@pytest.mark.parametrize("authorization", [None, "", "Bearer rubbish", "Bearer sb_secret_x", "Basic abc"])
def test_strangers_get_401_in_the_error_shape(send: Send, on_demand: FakeOnDemand, authorization: str | None) -> None:
    answer = send(headers={"Authorization": authorization}, body="no JSON")

    assert (answer["statusCode"], answer["json"]["code"]) == (401, "UNAUTHENTICATED")
    assert header(answer, "WWW-Authenticate") == "Bearer"
    assert on_demand.asked == []


def test_a_missing_setting_is_named_in_the_log_only(
    load_event: LoadEvent, lambda_context: FakeLambdaContext, log: io.StringIO
) -> None:
    def not_configured() -> Dependencies:
        raise ConfigurationError(log_context={"setting": "REFRESH_QUEUE_URL"})

    send = sender(build_api((ORIGIN,), not_configured), load_event, lambda_context, "refresh_token")
    answer = send()

    assert answer["json"]["code"] == "CONFIGURATION_INVALID"
    assert "REFRESH_QUEUE_URL" not in answer["body"]
    assert '"setting":"REFRESH_QUEUE_URL"' in log.getvalue()


@pytest.mark.parametrize(("origin", "allowed"), [(ORIGIN, ORIGIN), ("https://evil.example.com", None)])
def test_a_preflight_lets_in_the_listed_origins_only(send: Send, origin: str, allowed: str | None) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST", "Authorization": None}

    answer = send(httpMethod="OPTIONS", headers=headers)

    assert (answer["statusCode"], header(answer, "Access-Control-Allow-Origin")) == (204, allowed)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_refreshes_nothing(send: Send, on_demand: FakeOnDemand, method: str) -> None:
    answer = send(httpMethod=method)

    assert (answer["statusCode"], answer["json"]["code"]) == (404, "NOT_FOUND")
    assert on_demand.asked == []


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_the_entry_point_without_settings_names_the_first_that_it_needs(
    load_event: LoadEvent, lambda_context: FakeLambdaContext
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        app.lambda_handler(load_event("refresh_token"), lambda_context)  # type: ignore[arg-type]

    assert caught.value.log_context == {"setting": "ALLOWED_ORIGINS"}
