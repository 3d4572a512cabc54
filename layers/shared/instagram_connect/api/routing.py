"""HTTP routing: the only module that knows the shapes of API Gateway events and our responses."""

import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from pydantic import TypeAdapter, ValidationError

from instagram_connect.api.problem import problem
from instagram_connect.api.schemas import ResponseBody
from instagram_connect.errors import (
    AccountNotFoundError,
    InstagramConnectError,
    InternalError,
    InvalidRequestError,
    RouteNotFoundError,
)
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics, stack_of

# Far larger than any login, far too small to keep a function busy.
MAX_BODY_CHARACTERS = 64 * 1024
# For the response, log lines and metrics.
RESPONSE_RESERVE_S = 0.5

DEFERRED_CODE = "STORAGE_DEFERRED"

Body = TypeVar("Body")


def create_api(allowed_origins: Sequence[str]) -> APIGatewayRestResolver:
    """Create a resolver with CORS for these origins that turns every exception into an error response."""
    cors = CORSConfig(
        allow_origin=allowed_origins[0],
        extra_origins=list(allowed_origins[1:]),
        allow_headers=["Authorization", "Content-Type"],
        max_age=600,
    )
    api = APIGatewayRestResolver(cors=cors)

    def expected(error: InstagramConnectError) -> Response[dict[str, Any]]:
        return _failure(api.current_event, error)

    def unexpected(error: Exception) -> Response[dict[str, Any]]:
        context = {"cause": type(error).__name__, "stack": stack_of(error)}
        return _failure(api.current_event, InternalError(log_context=context))

    def not_found(_: NotFoundError) -> Response[dict[str, Any]]:
        return _failure(api.current_event, RouteNotFoundError())

    api.exception_handler(InstagramConnectError)(expected)
    api.exception_handler(Exception)(unexpected)
    api.not_found(not_found)
    return api


def parse_body(event: APIGatewayProxyEvent, wanted: TypeAdapter[Body]) -> Body:
    """Parse and validate the body. Raises InvalidRequestError, whose details name fields but never quote values."""
    try:
        body = event.decoded_body or ""
    except ValueError:  # not base64, or not UTF-8
        raise InvalidRequestError("The body is not UTF-8 text.") from None
    if len(body) > MAX_BODY_CHARACTERS:
        raise InvalidRequestError(f"The body is longer than {MAX_BODY_CHARACTERS} characters.")
    try:
        return wanted.validate_json(body)
    except ValidationError as error:
        # Not chained: the original error contains what the client sent.
        raise InvalidRequestError(_validation_details(error)) from None


def success(event: APIGatewayProxyEvent, data: ResponseBody) -> Response[dict[str, Any]]:
    """Build a 200 response with `data`."""
    body = {"success": True, "data": data.model_dump(mode="json", by_alias=True), "requestId": request_id(event)}
    return _response(HTTPStatus.OK, body)


def deferred(event: APIGatewayProxyEvent, data: ResponseBody) -> Response[dict[str, Any]]:
    """Build a 202 response: `data` will be stored later."""
    body = {
        "success": True,
        "pending": True,
        "code": DEFERRED_CODE,
        "data": data.model_dump(mode="json", by_alias=True),
        "requestId": request_id(event),
    }
    return _response(HTTPStatus.ACCEPTED, body)


def deadline(api: APIGatewayRestResolver) -> Deadline:
    """Return the deadline for this request's work, which leaves time to respond before Lambda stops the function."""
    return Deadline(api.lambda_context.get_remaining_time_in_millis() / 1000 - RESPONSE_RESERVE_S)


def row_id(text: str) -> str:
    """Validate an account id from a request. Raises AccountNotFoundError if it cannot be one."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise AccountNotFoundError from None


def request_id(event: APIGatewayProxyEvent) -> str:
    """Return API Gateway's request id, the correlation id of the logs."""
    return event.request_context.request_id or ""


def _failure(event: APIGatewayProxyEvent, error: InstagramConnectError) -> Response[dict[str, Any]]:
    _record(error)
    headers = {}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return _response(error.status, problem(error, request_id(event)), headers)


def _record(error: InstagramConnectError) -> None:
    if error.is_repeated:
        logger.info("Repeated the failure of an earlier request", code=error.code)
        return
    # Problems that users can fix must not page an operator.
    log = logger.error if error.actor == "operator" else logger.warning
    log("Request failed", extra={"code": error.code, "reason": error.reason, "actor": error.actor, **error.log_context})
    metrics.add_metric("RequestsFailed", MetricUnit.Count, 1)


def _response(
    status: HTTPStatus, body: dict[str, Any], headers: Mapping[str, str] | None = None
) -> Response[dict[str, Any]]:
    return Response(
        status_code=status,
        content_type=content_types.APPLICATION_JSON,
        body=body,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def _validation_details(error: ValidationError) -> str:
    wrong = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{_field(each['loc'])}: {each['msg']}" for each in wrong[:5])


def _field(location: Sequence[int | str]) -> str:
    # For a union, the first part is the name of the model that was tried; field names start in lower case.
    parts = [str(part) for part in location]
    return ".".join(part for part in parts if not part[:1].isupper()) or "body"
