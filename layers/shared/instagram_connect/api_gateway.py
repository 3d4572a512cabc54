"""The HTTP side: the only place that knows the shapes of API Gateway events and of our answers."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from .errors import InstagramConnectError, InternalError, InvalidRequestError, RouteNotFoundError
from .observability import logger, metrics, stack_of

# Far above any login, far below what could occupy a function.
MAX_BODY_CHARACTERS = 64 * 1024


class RequestBody(BaseModel):
    """Base of the bodies that routes take: camelCase JSON, types as they are, unknown fields ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, strict=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )


Body = TypeVar("Body", bound=RequestBody)


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


def parse_body(event: APIGatewayProxyEvent, model: type[Body]) -> Body:
    """The body of the request. Raises InvalidRequestError, whose details name fields and never repeat values."""
    try:
        body = event.decoded_body or ""
    except ValueError:  # not base64, or not UTF-8
        raise InvalidRequestError("The body is not UTF-8 text.") from None
    if len(body) > MAX_BODY_CHARACTERS:
        raise InvalidRequestError(f"The body is longer than {MAX_BODY_CHARACTERS} characters.")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        # Without chaining: the original's context holds what the caller sent.
        raise InvalidRequestError(_what_is_wrong(error)) from None


def success(event: APIGatewayProxyEvent, data: Mapping[str, Any]) -> Response[dict[str, Any]]:
    """200 with `data` in the success shape."""
    body = {"success": True, "data": dict(data), "requestId": request_id(event)}
    return _response(HTTPStatus.OK, body)


def request_id(event: APIGatewayProxyEvent) -> str:
    """API Gateway's id of the request: the correlation id of its logs."""
    return event.request_context.request_id or ""


def _failure(event: APIGatewayProxyEvent, error: InstagramConnectError) -> Response[dict[str, Any]]:
    # Who must act decides how loud it is: what the user can mend is no alarm.
    log = logger.error if error.actor == "operator" else logger.warning
    log("Request failed", extra={"code": error.code, "reason": error.reason, "actor": error.actor, **error.log_context})
    metrics.add_metric("RequestsFailed", MetricUnit.Count, 1)
    optional = {"reason": error.reason, "retryAfterSeconds": error.retry_after_s}
    body = {
        "success": False,
        "error": error.message,
        "details": error.details,
        "code": error.code,
        "actor": error.actor,
        "recoverable": error.recoverable,
        "hint": error.hint,
        "requestId": request_id(event),
        **{name: value for name, value in optional.items() if value is not None},
    }
    headers = {}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return _response(error.status, body, headers)


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
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    lines = (f"{'.'.join(map(str, problem['loc'])) or 'body'}: {problem['msg']}" for problem in problems[:5])
    return "; ".join(lines)
