"""GET and POST /api/instagram/webhook: Meta's handshake, and its events into the queue.

Promises that an answer of 200 means that every byte is in the queue, and that nothing unsigned gets there. Parses
nothing and asks no database: Meta waits five seconds, and ends the subscription of an endpoint that keeps failing.
"""

import hmac
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from instagram_connect.api import raw_request
from instagram_connect.api.raw_request import ProxyRequest
from instagram_connect.errors import (
    CallbackNotKeptError,
    InstagramConnectError,
    InvalidRequestError,
    RequestError,
    VerifyTokenInvalidError,
)
from instagram_connect.runtime import settings
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics, sends_error_reports
from instagram_connect.runtime.sqs import QueueError
from instagram_connect.security.meta_signatures import by_current, check_webhook
from instagram_connect.webhooks.queue import WebhookQueue

# Of Meta's five seconds: the last call to SQS may take two.
KEEPING_S = 2.5
# Meta sends digits; anything else would be somebody's text on our domain.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{1,256}", re.ASCII)


@dataclass(frozen=True)
class Settings:
    """What the template gives this function."""

    webhook_queue_url: str
    meta_secret_name: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises ConfigurationError."""
        return cls(
            webhook_queue_url=settings.required(environment, "WEBHOOK_QUEUE_URL"),
            meta_secret_name=settings.required(environment, "META_SECRET_NAME"),
        )


@dataclass(frozen=True)
class Dependencies:
    """What one request needs of the outside world."""

    secrets: settings.CurrentSecrets
    queue: WebhookQueue


@cache
def dependencies() -> Dependencies:
    """Built at the first request and kept while the sandbox lives. Raises ConfigurationError."""
    config = Settings.from_env(os.environ)
    load = partial(settings.load_secrets, config.meta_secret_name)
    return Dependencies(settings.CurrentSecrets(load), WebhookQueue(config.webhook_queue_url))


def handle(event: dict[str, Any], deps: Callable[[], Dependencies]) -> dict[str, Any]:
    """Answers one request. Every error has an answer, and none of those is 200."""
    try:
        request = ProxyRequest.of(event)
        if request.method == "GET":
            return raw_request.text(shake_hands(request, deps().secrets))
        receive(request, deps())
        return raw_request.text("EVENT_RECEIVED")
    except InstagramConnectError as error:
        # Anybody can send something wrong.
        log = logger.warning if isinstance(error, RequestError) else logger.error
        log("Refused a webhook", extra={"code": error.code, "reason": error.reason, **error.log_context})
        metrics.add_metric("WebhooksRefused", MetricUnit.Count, 1)
        return raw_request.failure(error, raw_request.request_id(event))


def shake_hands(request: ProxyRequest, secrets: settings.CurrentSecrets) -> str:
    """The challenge, for whoever has the verify token as it is now. Raises as `handshake` does."""
    try:
        return handshake(request, secrets.get())
    except VerifyTokenInvalidError:
        newer = secrets.newer()
        if newer is None:
            raise
        return handshake(request, newer)


def handshake(request: ProxyRequest, secrets: settings.Secrets) -> str:
    """The challenge, which proves to Meta that the endpoint is ours.

    Raises ConfigurationError, VerifyTokenInvalidError, InvalidRequestError.
    """
    expected = secrets.required("webhook_verify_token").encode()
    given = request.query.get("hub.verify_token", "").encode("utf-8", "surrogatepass")
    if request.query.get("hub.mode") != "subscribe" or not hmac.compare_digest(given, expected):
        raise VerifyTokenInvalidError
    challenge = request.query.get("hub.challenge", "")
    if not _CHALLENGE.fullmatch(challenge):
        raise InvalidRequestError("hub.challenge is missing or holds more than letters and digits.")
    return challenge


def receive(request: ProxyRequest, deps: Dependencies) -> None:
    """Keeps a signed body. Raises SignatureInvalidError, ConfigurationError, CallbackNotKeptError."""
    header = request.headers.get("x-hub-signature-256")
    signer = by_current(deps.secrets, lambda known: check_webhook(header, request.body, known))
    try:
        messages = deps.queue.keep(request.body, Deadline(KEEPING_S))
    except QueueError as error:
        raise CallbackNotKeptError(log_context={"cause": str(error)}) from error
    logger.info("Kept a webhook", signer=signer, bytes=len(request.body), messages=messages)
    metrics.add_metric("WebhooksKept", MetricUnit.Count, 1)


@sends_error_reports
@logger.inject_lambda_context(log_event=False, correlation_id_path="requestContext.requestId", clear_state=True)
@metrics.log_metrics(raise_on_empty_metrics=False)
def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Entry point of the Lambda: an API Gateway proxy event in, its answer out."""
    return handle(event, dependencies)
