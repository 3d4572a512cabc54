"""POST /api/instagram/deauthorize and /data-deletion: what people ask of Meta; GET /data-deletion: how far it is.

Promises that a person who removed the app has no token here any more when Meta gets its answer, that a deletion which
was confirmed is carried out however long storage is away, and that nothing unsigned has any effect. Messages of the
queue of such requests come to the same function.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from instagram_connect.api import raw_request
from instagram_connect.api.raw_request import ProxyRequest
from instagram_connect.errors import (
    CallbackNotKeptError,
    InstagramConnectError,
    InternalError,
    RequestError,
    StorageError,
)
from instagram_connect.privacy import callbacks, requests, status_page
from instagram_connect.privacy.repository import PrivacyRepository
from instagram_connect.privacy.requests import PrivacyQueue, PrivacyRequest
from instagram_connect.runtime import settings
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics, sends_error_reports, stack_of
from instagram_connect.runtime.sqs import QueueError
from instagram_connect.security.meta_signatures import by_current
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs

RESERVED_FOR_RETURNING_S = 2.0
# A person waits for the page, and Meta for its answer.
ANSWERING_S = 8.0
HTML = "text/html"


@dataclass(frozen=True)
class Dependencies:
    """What one event needs of the outside world."""

    secrets: settings.CurrentSecrets
    code_key: str
    repository: PrivacyRepository
    queue: PrivacyQueue
    now: Callable[[], datetime]
    public_url: str = ""


@cache
def dependencies() -> Dependencies:
    """Built at the first event and kept while the sandbox lives. Raises ConfigurationError."""
    current = settings.CurrentSecrets(settings.load_secrets)
    secrets = current.get()
    data_api = DataApi(settings.required("SUPABASE_URL"), secrets.required("supabase_secret_key"))
    return Dependencies(
        secrets=current,
        code_key=secrets.required("state_signing_key"),
        repository=PrivacyRepository(Rpcs(data_api, secrets.optional("database_url")), utc_now),
        queue=PrivacyQueue(settings.required("PRIVACY_QUEUE_URL")),
        now=utc_now,
        public_url=os.environ.get("PUBLIC_URL", ""),
    )


def handle(event: dict[str, Any], deps: Callable[[], Dependencies]) -> dict[str, Any]:
    """Answers one request."""
    try:
        request = ProxyRequest.of(event)
        act = _ROUTES[request.method, request.path.rsplit("/", 1)[-1]]
        return act(request, deps())
    except InstagramConnectError as error:
        return _failure(error, event)
    except Exception as error:  # noqa: BLE001 - Meta gets an answer that has our shape
        context = {"cause": type(error).__name__, "stack": stack_of(error)}
        return _failure(InternalError(log_context=context), event)


def deauthorize(request: ProxyRequest, deps: Dependencies) -> dict[str, Any]:
    """Ends what a person who removed the app had connected. Raises SignatureInvalidError, CallbackNotKeptError."""
    meta_user_id, asked_at = _read(request, deps)
    asked = PrivacyRequest(kind="deauthorize", meta_user_id=meta_user_id, asked_at=asked_at)
    if not requests.try_carry_out(asked, deps.repository, Deadline(ANSWERING_S)):
        _keep(asked, deps)
    return raw_request.text("OK")


def begin_deletion(request: ProxyRequest, deps: Dependencies) -> dict[str, Any]:
    """Takes a deletion on, and tells Meta where its person sees how far it is.

    Raises SignatureInvalidError, CallbackNotKeptError.
    """
    meta_user_id, asked_at = _read(request, deps)
    code = callbacks.new_confirmation_code(deps.code_key)
    asked = PrivacyRequest(kind="delete", meta_user_id=meta_user_id, asked_at=asked_at, confirmation_code=code)
    try:
        _keep(asked, deps)
    except CallbackNotKeptError:
        # Meta may never ask again.
        if not requests.try_carry_out(asked, deps.repository, Deadline(ANSWERING_S)):
            raise
    page = f"{deps.public_url.rstrip('/')}{request.path}" if deps.public_url else request.url
    answer = {"url": f"{page}?code={code}", "confirmation_code": code}
    return raw_request.text(json.dumps(answer), content_type="application/json")


def show_deletion(request: ProxyRequest, deps: Dependencies) -> dict[str, Any]:
    """The status page."""
    code = request.query.get("code", "")
    if not callbacks.is_well_formed_code(code):
        return _unknown_code()
    try:
        status = deps.repository.status(code, Deadline(ANSWERING_S))
    except StorageError as error:
        logger.warning("Could not look at a deletion", extra={"reason": error.reason, **error.log_context})
        return raw_request.text(status_page.unavailable(), status=HTTPStatus.SERVICE_UNAVAILABLE, content_type=HTML)
    if status is None and not callbacks.was_made_here(code, deps.code_key):
        return _unknown_code()
    return raw_request.text(status_page.of(code, status), content_type=HTML)


def _unknown_code() -> dict[str, Any]:
    return raw_request.text(status_page.unknown(), status=HTTPStatus.NOT_FOUND, content_type=HTML)


def work(event: dict[str, Any], deadline: Deadline, deps: Callable[[], Dependencies]) -> dict[str, Any]:
    """Carries out the requests of an SQS event; answers which have to come again."""
    again = []
    for record in event["Records"]:
        try:
            requests.carry_out(requests.read_message(record["body"]), deps().repository, deadline)
        except InstagramConnectError as error:
            context = {"code": error.code, "reason": error.reason, **error.log_context}
            logger.warning("A privacy request has to wait", extra=context)
            metrics.add_metric("PrivacyRequestsPostponed", MetricUnit.Count, 1)
            again.append(record["messageId"])
        except requests.UnfinishedError:
            logger.info("A deletion goes on with its next message")
            again.append(record["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in again]}


def _read(request: ProxyRequest, deps: Dependencies) -> tuple[str, datetime]:
    return by_current(deps.secrets, lambda known: callbacks.read_callback(request.body, known, deps.now()))


def _keep(asked: PrivacyRequest, deps: Dependencies) -> None:
    try:
        deps.queue.keep(asked)
    except QueueError as error:
        raise CallbackNotKeptError(log_context={"cause": str(error)}) from error


def _failure(error: InstagramConnectError, event: dict[str, Any]) -> dict[str, Any]:
    # Anybody can send something wrong.
    log = logger.warning if isinstance(error, RequestError) else logger.error
    log("Refused a privacy callback", extra={"code": error.code, "reason": error.reason, **error.log_context})
    metrics.add_metric("PrivacyCallbacksRefused", MetricUnit.Count, 1)
    return raw_request.failure(error, raw_request.request_id(event))


# API Gateway lets nothing else through.
_ROUTES = {
    ("POST", "deauthorize"): deauthorize,
    ("POST", "data-deletion"): begin_deletion,
    ("GET", "data-deletion"): show_deletion,
}


@sends_error_reports
@logger.inject_lambda_context(log_event=False, correlation_id_path="requestContext.requestId", clear_state=True)
@metrics.log_metrics(raise_on_empty_metrics=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point of the Lambda: an API Gateway proxy event and its answer, or an SQS event."""
    if "Records" in event:
        remaining_s = context.get_remaining_time_in_millis() / 1000 - RESERVED_FOR_RETURNING_S
        return work(event, Deadline(remaining_s), dependencies)
    return handle(event, dependencies)
