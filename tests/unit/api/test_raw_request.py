"""Requests as API Gateway hands them over, byte by byte, and answers as it takes them."""

import base64
import json
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instagram_connect.api import raw_request
from instagram_connect.api.raw_request import ProxyRequest
from instagram_connect.api.schemas import Problem
from instagram_connect.errors import (
    CallbackNotKeptError,
    ConfigurationError,
    InstagramConnectError,
    InvalidRequestError,
    SignatureInvalidError,
    VerifyTokenInvalidError,
)
from tests.support.routes import LoadEvent

REQUEST_ID = "6f1c2e0a-0000-4000-8000-000000000011"


def request(**changes: Any) -> ProxyRequest:
    event = {"httpMethod": "POST", "path": "/api/instagram/webhook", "headers": {}, "body": None, **changes}
    return ProxyRequest.of(event)


def test_a_recorded_request_is_read(load_event: LoadEvent) -> None:
    event = load_event("webhook")

    found = ProxyRequest.of(event)

    assert (found.method, found.path) == ("POST", "/api/instagram/webhook")
    assert found.headers["x-hub-signature-256"] == event["headers"]["X-Hub-Signature-256"]
    assert found.url == "https://api.example.com/live/api/instagram/webhook"
    assert (found.body, found.query) == (event["body"].encode(), {})


def test_a_request_is_named_as_api_gateway_names_it(load_event: LoadEvent) -> None:
    assert raw_request.request_id(load_event("webhook")) == REQUEST_ID


@pytest.mark.parametrize(
    "event",
    [{}, {"requestContext": None}, {"requestContext": {}}, {"requestContext": {"requestId": None}}],
    ids=str,
)
def test_a_request_without_a_name_has_an_empty_one(event: dict[str, Any]) -> None:
    assert raw_request.request_id(event) == ""


def test_the_query_is_what_api_gateway_has_decoded(load_event: LoadEvent) -> None:
    found = ProxyRequest.of(load_event("webhook_handshake"))

    assert found.query == {
        "hub.mode": "subscribe",
        "hub.verify_token": "the-verify-token",
        "hub.challenge": "1158201444",
    }
    assert (found.method, found.body) == ("GET", b"")


@pytest.mark.parametrize("name", ["X-Hub-Signature-256", "x-hub-signature-256", "X-HUB-SIGNATURE-256"])
def test_the_case_of_a_headers_name_does_not_matter(name: str) -> None:
    assert request(headers={name: "Value"}).headers == {"x-hub-signature-256": "Value"}


@pytest.mark.parametrize("absent", [{}, None])
def test_what_is_not_there_is_empty(absent: Any) -> None:
    found = request(headers=absent, queryStringParameters=absent, requestContext=absent)

    assert (found.headers, found.query, found.body) == ({}, {}, b"")


@pytest.mark.parametrize("is_encoded", [False, None])
@given(body=st.text())
def test_a_text_body_is_its_bytes(is_encoded: bool | None, body: str) -> None:
    assert request(body=body, isBase64Encoded=is_encoded).body == body.encode()


@given(st.binary())
def test_a_base64_body_is_the_bytes_in_it(body: bytes) -> None:
    assert request(body=base64.b64encode(body).decode(), isBase64Encoded=True).body == body


def test_half_a_surrogate_pair_makes_a_body_that_nobody_signed_and_no_error() -> None:
    assert request(body="a\ud800").body == b"a\xed\xa0\x80"


@pytest.mark.parametrize("body", ["{}", "YQ", "YQ=", "YQ==YQ==", "Y Q==", "YQ==\n", "YQ-_", "é", "YQ==é", "\ud800"])
def test_a_body_that_claims_to_be_base64_and_is_not_is_refused(body: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        request(body=body, isBase64Encoded=True)

    assert refused.value.details == "The body is not base64."


@given(st.text(st.characters(exclude_categories=())), st.booleans())
def test_no_body_makes_it_raise_anything_else(body: str, is_encoded: bool) -> None:
    try:
        found = request(body=body, isBase64Encoded=is_encoded)
    except InvalidRequestError:
        found = None

    assert found is not None or is_encoded


@pytest.mark.parametrize(
    ("headers", "context", "url"),
    [
        ({"Host": "a.example"}, {"path": "/live/x"}, "https://a.example/live/x"),
        ({"host": "a.example", "x-forwarded-proto": "http"}, {"path": "/x"}, "http://a.example/x"),
        ({}, {"path": "/x", "domainName": "b.example"}, "https://b.example/x"),
        ({"Host": "a.example"}, {"path": "/x", "domainName": "b.example"}, "https://a.example/x"),
    ],
)
def test_the_address_is_the_one_that_was_called(headers: Any, context: Any, url: str) -> None:
    assert request(headers=headers, requestContext=context, queryStringParameters={"code": "c"}).url == url


def test_a_text_is_answered_as_it_is() -> None:
    answer = raw_request.text("1158201444")

    assert (answer["statusCode"], answer["body"], answer["isBase64Encoded"]) == (200, "1158201444", False)
    assert answer["headers"] == {
        "Content-Type": "text/plain; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    json.dumps(answer)


def test_a_page_has_its_own_type_and_status() -> None:
    answer = raw_request.text("<p>", status=HTTPStatus.NOT_FOUND, content_type="text/html")

    assert (answer["statusCode"], answer["headers"]["Content-Type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SignatureInvalidError(reason="SIGNATURE_MISMATCH"), 403),
        (VerifyTokenInvalidError(), 403),
        (InvalidRequestError("The body is not base64."), 400),
        (ConfigurationError(log_context={"secret_key": "webhook_verify_token"}), 500),
        (CallbackNotKeptError(log_context={"cause": "ClientError"}), 503),
    ],
)
def test_an_error_has_the_shape_that_all_routes_give(error: InstagramConnectError, status: int) -> None:
    answer = raw_request.failure(error, REQUEST_ID)

    problem = json.loads(answer["body"])
    assert (answer["statusCode"], answer["headers"]["Content-Type"]) == (status, "application/json; charset=utf-8")
    assert problem == Problem.model_validate(problem).model_dump(by_alias=True, mode="json", exclude_none=True)
    assert (problem["code"], problem["requestId"], problem.get("reason")) == (error.code, REQUEST_ID, error.reason)
    assert (problem["error"], problem["details"], problem["hint"]) == (error.message, error.details, error.hint)
    assert not [value for value in error.log_context.values() if str(value) in answer["body"]]
