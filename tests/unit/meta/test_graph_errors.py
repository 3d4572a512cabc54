"""The error for each response of Meta. Codes are from Meta's error reference and from responses seen in the field."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instagram_connect.errors import (
    InstagramConnectError,
    LoginError,
    MetaError,
    MetaRateLimitedError,
    ReconnectRequiredError,
)
from instagram_connect.meta.graph import GraphClient
from instagram_connect.meta.graph_errors import (
    APP_FAULT_TEXTS,
    APP_FAULTS,
    APP_LIMIT_CODES,
    BUSINESS_USE_CASE_CODES,
    DEAD_TOKEN_SUBCODES,
    LOGIN_CODE_SUBCODES,
    LOGIN_CODE_TEXTS,
    RATE_LIMIT_CODES,
    RECONNECT_CODES,
    error_for,
    error_for_code_exchange,
    names_its_cause,
    read_failure,
)
from instagram_connect.runtime.deadline import Deadline
from tests.support.arbitrary import json_values


def graph_error(code: Any, subcode: Any = None, message: str = "x", status: int = 400, **more: Any) -> httpx.Response:
    error = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "AbC", **more}
    if subcode is not None:
        error["error_subcode"] = subcode
    # Not `json=`, which sends UTF-8: Meta escapes, so that a lone surrogate can be in its answers too.
    return httpx.Response(status, text=json.dumps({"error": error}), headers={"Content-Type": "application/json"})


def classified(response: httpx.Response, body: Any = None) -> InstagramConnectError:
    return error_for(read_failure(response, response.json() if body is None else body))


@pytest.mark.parametrize(
    ("answer", "code", "reason"),
    [
        (graph_error(1, status=500), "META_UNAVAILABLE", None),
        (graph_error(2, status=503), "META_UNAVAILABLE", None),
        (graph_error(999, is_transient=True), "META_UNAVAILABLE", None),
        (graph_error(1, message="Error validating client secret."), "META_APP_MISCONFIGURED", "APP_SECRET_INVALID"),
        (graph_error(3), "META_APP_MISCONFIGURED", "APP_CAPABILITY_MISSING"),
        (graph_error(101), "META_APP_MISCONFIGURED", "APP_ID_INVALID"),
        (graph_error(104), "META_APP_MISCONFIGURED", "APP_SECRET_PROOF_INVALID"),
        (
            graph_error(100, message="Invalid appsecret_proof provided in the API argument"),
            "META_APP_MISCONFIGURED",
            "APP_SECRET_PROOF_INVALID",
        ),
        (graph_error(4), "META_RATE_LIMITED", None),
        (graph_error(17, 2446079), "META_RATE_LIMITED", None),
        (graph_error(32), "META_RATE_LIMITED", None),
        (graph_error(613), "META_RATE_LIMITED", None),
        (graph_error(80002), "META_RATE_LIMITED", None),
        (graph_error(368), "META_ACTION_BLOCKED", None),
        (graph_error(10), "PERMISSION_MISSING", None),
        (graph_error(200, status=403), "PERMISSION_MISSING", None),
        (graph_error(283), "PERMISSION_MISSING", None),
        (graph_error(190), "RECONNECT_REQUIRED", "TOKEN_INVALID"),
        (graph_error(190, 0), "RECONNECT_REQUIRED", "TOKEN_INVALID"),
        (graph_error(190, 458), "RECONNECT_REQUIRED", "APP_REMOVED"),
        (graph_error(190, 459), "RECONNECT_REQUIRED", "ACCOUNT_CHECKPOINT"),
        (graph_error(190, 460), "RECONNECT_REQUIRED", "PASSWORD_CHANGED"),
        (graph_error(190, 463), "RECONNECT_REQUIRED", "TOKEN_EXPIRED"),
        (graph_error(190, 492), "RECONNECT_REQUIRED", "PAGE_ROLE_LOST"),
        (graph_error(102), "RECONNECT_REQUIRED", "TOKEN_EXPIRED"),
        (graph_error(483), "RECONNECT_REQUIRED", "CONSENT_BLOCKED"),
        (graph_error(100, 33), "RECONNECT_REQUIRED", "ACCOUNT_UNAVAILABLE"),
        (graph_error(9009), "RECONNECT_REQUIRED", "ACCOUNT_UNAVAILABLE"),
        (graph_error(100), "META_REQUEST_REJECTED", None),
        (graph_error(100, message="Unsupported request - method type: get"), "RECONNECT_REQUIRED", "TOKEN_INVALID"),
        (graph_error(2500), "META_REQUEST_REJECTED", None),
        (graph_error("190", "463"), "RECONNECT_REQUIRED", "TOKEN_EXPIRED"),
    ],
)
def test_each_code_becomes_the_error_with_the_right_actor(
    answer: httpx.Response, code: str, reason: str | None
) -> None:
    error = classified(answer)

    assert (error.code, error.reason) == (code, reason)


@pytest.mark.parametrize(
    "body",
    [None, [], "text", {}, {"error": "text"}, {"error": {"code": "abc"}}, {"error": {"code": None}}, {"error": []}],
)
def test_response_without_metas_error_object_is_transient(body: Any) -> None:
    error = error_for(read_failure(httpx.Response(502), body))

    assert error.code == "META_UNAVAILABLE"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (graph_error(100, 36007), "OAUTH_CODE_EXPIRED"),
        (graph_error(100, 36008), "REDIRECT_URI_MISMATCH"),
        (graph_error(100, 36009), "OAUTH_CODE_USED"),
        (
            graph_error(
                100, message="Error validating verification code. Please make sure your redirect_uri is identical"
            ),
            "REDIRECT_URI_MISMATCH",
        ),
        (graph_error(100, message="Invalid verification code format."), "OAUTH_CODE_INVALID"),
        (graph_error(101), "META_APP_MISCONFIGURED"),
        (graph_error(1, message="Error validating client secret."), "META_APP_MISCONFIGURED"),
        (graph_error(4), "META_RATE_LIMITED"),
        (graph_error(1, status=500), "OAUTH_OUTCOME_UNKNOWN"),
        (graph_error(2, status=500), "OAUTH_OUTCOME_UNKNOWN"),
    ],
)
def test_code_exchange_errors_say_whether_the_code_is_spent(answer: httpx.Response, code: str) -> None:
    error = error_for_code_exchange(read_failure(answer, answer.json()))

    assert error.code == code


def test_rate_limited_account_waits_for_metas_minutes() -> None:
    answer = graph_error(80002)
    answer.headers["X-Business-Use-Case-Usage"] = (
        '{"1784":[{"type":"instagram","estimated_time_to_regain_access":0}],'
        '"99":[{"type":"pages","estimated_time_to_regain_access":7}]}'
    )

    assert classified(answer).retry_after_s == 7 * 60


@pytest.mark.parametrize(
    "header", ["", "not json", "[]", '{"a": 1}', '{"a": [1]}', '{"a":[{"estimated_time_to_regain_access":1e999}]}']
)
def test_invalid_usage_header_means_an_hour(header: str) -> None:
    answer = graph_error(80002)
    answer.headers["X-Business-Use-Case-Usage"] = header

    assert classified(answer).retry_after_s == 3600


@pytest.mark.parametrize("subcode", [458, 459, 460, 463, 464, 467, 492])
def test_dead_token_with_a_known_subcode_has_a_named_cause(subcode: int) -> None:
    assert names_its_cause(classified(graph_error(190, subcode)))
    assert names_its_cause(classified(graph_error("190", str(subcode))))


@pytest.mark.parametrize(
    "answer",
    [
        graph_error(190),
        graph_error(190, 0),
        graph_error(190, 33),
        graph_error(190, 999),
        graph_error(102),
        graph_error(102, 463),
        graph_error(100, 33),
        graph_error(100, message="Unsupported request - method type: get"),
        graph_error(483),
        graph_error(9009),
        graph_error(10),
        graph_error(10, 458),
        graph_error(200, 460),
        graph_error(2, 463, status=500),
    ],
)
def test_other_responses_name_no_token_cause(answer: httpx.Response) -> None:
    assert not names_its_cause(classified(answer))


def test_error_not_from_meta_names_no_cause() -> None:
    assert not names_its_cause(ReconnectRequiredError(reason="TOKEN_EXPIRED"))


def test_only_app_limits_block_all_calls() -> None:
    limits = {*RATE_LIMIT_CODES, *BUSINESS_USE_CASE_CODES}

    assert all(isinstance(classified(graph_error(code)), MetaRateLimitedError) for code in limits)
    assert {4, 341, 613} == APP_LIMIT_CODES
    assert limits > APP_LIMIT_CODES


def test_metas_message_is_neither_returned_nor_logged() -> None:
    error = classified(graph_error(100, message="Param EAAsecret is bad"))

    assert "EAAsecret" not in f"{error} {error.details} {error.log_context}"


def flat_error(message: str, status: int = 400, error_type: str = "OAuthException") -> httpx.Response:
    return httpx.Response(status, json={"error_type": error_type, "code": status, "error_message": message})


@pytest.mark.parametrize(
    ("answer", "code", "reason"),
    [
        (flat_error("Matching code was not found or was already used"), "OAUTH_CODE_USED", None),
        (flat_error("This authorization code has been used"), "OAUTH_CODE_USED", None),
        (flat_error("This authorization code has expired"), "OAUTH_CODE_EXPIRED", None),
        (flat_error("Invalid authorization code"), "OAUTH_CODE_INVALID", None),
        (
            flat_error(
                "Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request"
            ),
            "REDIRECT_URI_MISMATCH",
            None,
        ),
        (flat_error("Error validating client secret."), "META_APP_MISCONFIGURED", "APP_SECRET_INVALID"),
        (flat_error("Invalid platform app"), "META_APP_MISCONFIGURED", "APP_ID_INVALID"),
        (flat_error("Invalid Client ID"), "META_APP_MISCONFIGURED", "APP_ID_INVALID"),
        (flat_error("Slow down", status=429), "META_RATE_LIMITED", None),
        (flat_error("Slow down", error_type="OAuthRateLimitException"), "META_RATE_LIMITED", None),
        (flat_error("Oops", status=500), "OAUTH_OUTCOME_UNKNOWN", None),
    ],
)
def test_flat_errors_of_api_instagram_com_are_distinguished_by_text(
    answer: httpx.Response, code: str, reason: str | None
) -> None:
    error = error_for_code_exchange(read_failure(answer, answer.json()))

    assert (error.code, error.reason) == (code, reason)
    assert "meta_code" in error.log_context
    assert error.log_context["meta_code"] is None  # the HTTP status, which Meta puts there, is not a Graph code


# Arbitrary responses

QUOTED = "what Meta quotes"
DECIDING = [*APP_FAULTS, *RATE_LIMIT_CODES, *BUSINESS_USE_CASE_CODES, *RECONNECT_CODES, 10, 200, 299, 368]
codes = st.sampled_from([*DECIDING, 1, 2, 33, 100, 999]) | st.integers(-1, 100_000)
subcodes = st.sampled_from([*DEAD_TOKEN_SUBCODES, *LOGIN_CODE_SUBCODES, 33]) | st.integers(-1, 3_000_000)
texts = st.sampled_from(
    [*APP_FAULT_TEXTS, *LOGIN_CODE_TEXTS, "redirect_uri", "appsecret_proof", "Unsupported request", "RateLimit", ""]
)
messages = texts.map(lambda text: f"{text} {QUOTED}") | json_values
graph_bodies = st.fixed_dictionaries(
    {},
    optional={
        "code": codes | codes.map(str) | json_values,
        "error_subcode": subcodes | subcodes.map(str) | json_values,
        "message": messages,
        "is_transient": st.booleans() | json_values,
        "fbtrace_id": json_values,
    },
).map(lambda error: {"error": error})
flat_bodies = st.fixed_dictionaries(
    {"error_type": st.sampled_from(["OAuthException", "OAuthRateLimitException"]) | json_values},
    optional={"code": codes | json_values, "error_message": messages},
)
contents = (
    (graph_bodies | flat_bodies | st.fixed_dictionaries({"error": json_values}) | json_values).map(json.dumps)
    | st.sampled_from(["", "NaN", "{", "[" * 100_000, '{"error": {"code": 1e999}}', "<html>Bad gateway</html>"])
).map(str.encode) | st.binary(max_size=20)
statuses = st.sampled_from([400, 401, 403, 404, 429, 500, 502, 503])
answers = st.builds(httpx.Response, st.just(200) | st.sampled_from([204, 302]) | statuses, content=contents)


@pytest.mark.parametrize("call", [GraphClient.exchange_code, lambda graph, *a, **k: graph.call("o", *a, **k)])
@given(answer=answers)
def test_any_response_is_an_object_or_one_of_our_errors(call: Callable[..., object], answer: httpx.Response) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(answer.status_code, content=answer.content))
    found: object
    graph = GraphClient(httpx.Client(transport=transport), max_attempts=1)
    try:
        found = call(graph, "GET", "https://graph.example.com", params={}, deadline=Deadline(60))
    except (LoginError, MetaError) as error:
        found = error

    if isinstance(found, InstagramConnectError):
        said = (found.message, found.details, found.reason, found.hint, found.log_context)
        assert QUOTED not in json.dumps(said)
        assert "code" in vars(type(found))
    else:
        assert answer.is_success
        assert isinstance(found, dict)
        assert not found.keys() & {"error", "error_type"}


@pytest.mark.parametrize("classify", [error_for, error_for_code_exchange])
@given(code=st.sampled_from(DECIDING), subcode=st.none() | subcodes, message=messages, data=st.data())
def test_code_means_the_same_with_any_status_and_as_text(
    classify: Callable[..., InstagramConnectError], code: int, subcode: int | None, message: Any, data: st.DataObject
) -> None:
    def judged(status: int, code: int | str) -> tuple[str, str | None]:
        answer = graph_error(code, subcode, message, status)
        error = classify(read_failure(answer, answer.json()))
        return error.code, error.reason

    assert judged(data.draw(statuses), code) == judged(data.draw(statuses), str(code))
