"""Requests as API Gateway delivers them, byte for byte, and responses in its format."""

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


def test_a_recorded_request_is_parsed(load_event: LoadEvent) -> None:
    event = load_event("webhook")

    found = ProxyRequest.of(event)

    assert (found.method, found.path) == ("POST", "/api/instagram/webhook")
    assert found.headers["x-hub-signature-256"] == event["headers"]["X-Hub-Signature-256"]
    assert found.url == "https://api.example.com/live/api/instagram/webhook"
    assert (found.body, found.query) == (event["body"].encode(), {})


def test_the_request_id_is_that_of_api_gateway(load_event: LoadEvent) -> None:
    assert raw_request.request_id(load_event("webhook")) == REQUEST_ID


@pytest.mark.parametrize(
    "event",
    [{}, {"requestContext": None}, {"requestContext": {}}, {"requestContext": {"requestId": None}}],
    ids=str,
)
def test_a_missing_request_id_is_empty(event: dict[str, Any]) -> None:
    assert raw_request.request_id(event) == ""


def test_the_query_is_decoded_by_api_gateway(load_event: LoadEvent) -> None:
    found = ProxyRequest.of(load_event("webhook_handshake"))

    assert found.query == {
        "hub.mode": "subscribe",
        "hub.verify_token": "the-verify-token",
        "hub.challenge": "1158201444",
    }
    assert (found.method, found.body) == ("GET", b"")


@pytest.mark.parametrize("name", ["X-Hub-Signature-256", "x-hub-signature-256", "X-HUB-SIGNATURE-256"])
def test_header_names_are_case_insensitive(name: str) -> None:
    assert request(headers={name: "Value"}).headers == {"x-hub-signature-256": "Value"}


@pytest.mark.parametrize("absent", [{}, None])
def test_missing_parts_are_empty(absent: Any) -> None:
    found = request(headers=absent, queryStringParameters=absent, requestContext=absent)

    assert (found.headers, found.query, found.body) == ({}, {}, b"")


@pytest.mark.parametrize("is_encoded", [False, None])
@given(body=st.text())
def test_a_text_body_becomes_utf8_bytes(is_encoded: bool | None, body: str) -> None:
    assert request(body=body, isBase64Encoded=is_encoded).body == body.encode()


@given(st.binary())
def test_a_base64_body_is_decoded(body: bytes) -> None:
    assert request(body=base64.b64encode(body).decode(), isBase64Encoded=True).body == body


def test_a_lone_surrogate_does_not_raise() -> None:
    assert request(body="a\ud800").body == b"a\xed\xa0\x80"


@pytest.mark.parametrize("body", ["{}", "YQ", "YQ=", "YQ==YQ==", "Y Q==", "YQ==\n", "YQ-_", "é", "YQ==é", "\ud800"])
def test_an_invalid_base64_body_is_rejected(body: str) -> None:
    with pytest.raises(InvalidRequestError) as rejected:
        request(body=body, isBase64Encoded=True)

    assert rejected.value.details == "The body is not base64."


@given(st.text(st.characters(exclude_categories=())), st.booleans())
def test_any_body_is_parsed_or_rejected_as_invalid(body: str, is_encoded: bool) -> None:
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
def test_the_url_is_the_requested_one(headers: Any, context: Any, url: str) -> None:
    assert request(headers=headers, requestContext=context, queryStringParameters={"code": "c"}).url == url


def test_a_text_response_is_sent_unchanged() -> None:
    response = raw_request.text("1158201444")

    assert (response["statusCode"], response["body"], response["isBase64Encoded"]) == (200, "1158201444", False)
    assert response["headers"] == {
        "Content-Type": "text/plain; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    json.dumps(response)


def test_a_text_response_can_set_type_and_status() -> None:
    response = raw_request.text("<p>", status=HTTPStatus.NOT_FOUND, content_type="text/html")

    assert (response["statusCode"], response["headers"]["Content-Type"]) == (404, "text/html; charset=utf-8")


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
def test_an_error_response_has_the_shape_of_all_routes(error: InstagramConnectError, status: int) -> None:
    response = raw_request.failure(error, REQUEST_ID)

    problem = json.loads(response["body"])
    assert (response["statusCode"], response["headers"]["Content-Type"]) == (status, "application/json; charset=utf-8")
    assert problem == Problem.model_validate(problem).model_dump(by_alias=True, mode="json", exclude_none=True)
    assert (problem["code"], problem["requestId"], problem.get("reason")) == (error.code, REQUEST_ID, error.reason)
    assert (problem["error"], problem["details"], problem["hint"]) == (error.message, error.details, error.hint)
    assert not [value for value in error.log_context.values() if str(value) in response["body"]]
