"""The HTTP side: the only place that knows the shapes of API Gateway events and of our answers."""

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
from instagram_connect.api.schemas import Answer
from instagram_connect.errors import (
    AccountNotFoundError,
    InstagramConnectError,
    InternalError,
    InvalidRequestError,
    RouteNotFoundError,
)
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics, stack_of

# Far above any login, far below what could occupy a function.
MAX_BODY_CHARACTERS = 64 * 1024
# The answer itself, its log lines and metrics.
RESERVED_FOR_ANSWERING_S = 0.5

DEFERRED_CODE = "STORAGE_DEFERRED"

Body = TypeVar("Body")


def create_api(allowed_origins: Sequence[str]) -> APIGatewayRestResolver:
    """A resolver that answers preflights for these origins and turns every exception into the error shape."""
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
    """The body of the request. Raises InvalidRequestError, whose details name fields and never repeat values."""
    try:
        body = event.decoded_body or ""
    except ValueError:  # not base64, or not UTF-8
        raise InvalidRequestError("The body is not UTF-8 text.") from None
    if len(body) > MAX_BODY_CHARACTERS:
        raise InvalidRequestError(f"The body is longer than {MAX_BODY_CHARACTERS} characters.")
    try:
        return wanted.validate_json(body)
    except ValidationError as error:
        # Without chaining: the original's context holds what the caller sent.
        raise InvalidRequestError(_what_is_wrong(error)) from None


def success(event: APIGatewayProxyEvent, data: Answer) -> Response[dict[str, Any]]:
    """200 with `data` in the success shape."""
    body = {"success": True, "data": data.model_dump(mode="json", by_alias=True), "requestId": request_id(event)}
    return _response(HTTPStatus.OK, body)


def deferred(event: APIGatewayProxyEvent, data: Answer) -> Response[dict[str, Any]]:
    """202 with `data` of something that will be done later."""
    body = {
        "success": True,
        "pending": True,
        "code": DEFERRED_CODE,
        "data": data.model_dump(mode="json", by_alias=True),
        "requestId": request_id(event),
    }
    return _response(HTTPStatus.ACCEPTED, body)


def deadline(api: APIGatewayRestResolver) -> Deadline:
    """When the work on this request has to be done, so that its answer leaves before Lambda ends the function."""
    return Deadline(api.lambda_context.get_remaining_time_in_millis() / 1000 - RESERVED_FOR_ANSWERING_S)


def row_id(text: str) -> str:
    """The id of an account that a caller named. Raises AccountNotFoundError for what cannot be one."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise AccountNotFoundError from None


def request_id(event: APIGatewayProxyEvent) -> str:
    """API Gateway's id of the request: the correlation id of its logs."""
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
    # What the user can fix is no reason to wake an operator.
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


def _what_is_wrong(error: ValidationError) -> str:
    wrong = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{_field(each['loc'])}: {each['msg']}" for each in wrong[:5])


def _field(location: Sequence[int | str]) -> str:
    # Where a body has alternatives, the first part names the one that was tried; fields begin in lower case.
    parts = [str(part) for part in location]
    return ".".join(part for part in parts if not part[:1].isupper()) or "body"
