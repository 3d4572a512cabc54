"""POST /api/instagram/deauthorize and /data-deletion: what people ask of Meta; GET /data-deletion: how far it is.

Promises that a person who removed the app has no token here any more when Meta gets its answer, that a deletion which
was confirmed is in the queue of privacy_worker or carried out, and that nothing unsigned has any effect.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
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

# A person waits for the page, and Meta for its answer.
ANSWERING_S = 8.0
HTML = "text/html"


@dataclass(frozen=True)
class Settings:
    """What the template gives this function."""

    supabase_url: str
    privacy_queue_url: str
    public_url: str | None
    meta_secret_name: str
    supabase_secret_name: str
    signing_secret_name: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises ConfigurationError."""
        return cls(
            supabase_url=settings.required(environment, "SUPABASE_URL"),
            privacy_queue_url=settings.required(environment, "PRIVACY_QUEUE_URL"),
            public_url=settings.optional(environment, "PUBLIC_URL"),
            meta_secret_name=settings.required(environment, "META_SECRET_NAME"),
            supabase_secret_name=settings.required(environment, "SUPABASE_SECRET_NAME"),
            signing_secret_name=settings.required(environment, "SIGNING_SECRET_NAME"),
        )


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
    config = Settings.from_env(os.environ)
    storage = settings.load_secrets(config.supabase_secret_name)
    signing = settings.load_secrets(config.signing_secret_name)
    data_api = DataApi(config.supabase_url, storage.required("supabase_secret_key"))
    return Dependencies(
        secrets=settings.CurrentSecrets(partial(settings.load_secrets, config.meta_secret_name)),
        code_key=signing.required("state_signing_key"),
        repository=PrivacyRepository(Rpcs(data_api, storage.optional("database_url")), utc_now),
        queue=PrivacyQueue(config.privacy_queue_url),
        now=utc_now,
        public_url=config.public_url or "",
    )


def handle(event: dict[str, Any], deps: Callable[[], Dependencies]) -> dict[str, Any]:
    """Answers one request. Raises ValueError for an event that is none: SQS would take an answer as "carried out"."""
    if "httpMethod" not in event:
        raise ValueError("not a request of API Gateway")
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
def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Entry point of the Lambda: an API Gateway proxy event in, its answer out."""
    return handle(event, dependencies)
