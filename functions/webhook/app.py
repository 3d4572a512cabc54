"""GET and POST /api/instagram/webhook: Meta's handshake, and its events into the queue.

Promises that an answer of 200 means that every byte is in the queue, and that nothing unsigned gets there. Parses
nothing and asks no database: Meta waits five seconds, and ends the subscription of an endpoint that keeps failing.
"""

import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from instagram_connect import proxy_event, settings, signatures
from instagram_connect.deadline import Deadline
from instagram_connect.errors import (
    CallbackNotKeptError,
    ConfigurationError,
    InstagramConnectError,
    InvalidRequestError,
    SignatureInvalidError,
    VerifyTokenInvalidError,
)
from instagram_connect.observability import logger, metrics, sends_error_reports
from instagram_connect.proxy_event import ProxyRequest
from instagram_connect.webhooks.queue import WebhookQueue, WebhookQueueError

# Of Meta's five: a cold start and the way back come out of them too. The last call to SQS may take 4 s.
KEEPING_S = 1.5
# Whoever sends wrong signatures must not make us ask for the secrets each time.
SECRETS_AGE_S = 60.0
# Meta sends digits; anything else would be somebody's text on our domain.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{1,256}", re.ASCII)


@dataclass
class CurrentSecrets:
    """The deployment's secrets, read again when they may have changed."""

    load: Callable[[], settings.Secrets]
    monotonic: Callable[[], float] = time.monotonic
    _secrets: settings.Secrets | None = None
    _loaded_at: float = field(default=0.0)

    def get(self) -> settings.Secrets:
        """The secrets as they were last read. Raises ConfigurationError."""
        if self._secrets is None:
            self._secrets, self._loaded_at = self.load(), self.monotonic()
        return self._secrets

    def newer(self) -> settings.Secrets | None:
        """The secrets as they are now, or None when they were read a moment ago or cannot be read."""
        if self.monotonic() - self._loaded_at < SECRETS_AGE_S:
            return None
        # Before reading: what fails is not to be tried by each request either.
        self._loaded_at = self.monotonic()
        try:
            self._secrets = self.load()
        except ConfigurationError as error:
            logger.warning("Could not read the secrets again", extra=error.log_context)
            return None
        return self._secrets


@dataclass(frozen=True)
class Dependencies:
    """What one request needs of the outside world."""

    secrets: CurrentSecrets
    queue: WebhookQueue


@cache
def dependencies() -> Dependencies:
    """Built at the first request and kept while the sandbox lives. Raises ConfigurationError."""
    return Dependencies(CurrentSecrets(settings.load_secrets), WebhookQueue(settings.required("WEBHOOK_QUEUE_URL")))


def handle(event: dict[str, Any], deps: Callable[[], Dependencies]) -> dict[str, Any]:
    """Answers one request. Every error has an answer, and none of those is 200."""
    try:
        request = ProxyRequest.of(event)
        if request.method == "GET":
            return proxy_event.text(shake_hands(request, deps().secrets))
        receive(request, deps())
        return proxy_event.text("EVENT_RECEIVED")
    except InstagramConnectError as error:
        log = logger.warning if isinstance(error, SignatureInvalidError | VerifyTokenInvalidError) else logger.error
        log("Refused a webhook", extra={"code": error.code, "reason": error.reason, **error.log_context})
        metrics.add_metric("WebhooksRefused", MetricUnit.Count, 1)
        return proxy_event.failure(error, event["requestContext"].get("requestId") or "")


def shake_hands(request: ProxyRequest, secrets: CurrentSecrets) -> str:
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
    signer = _signer(request, deps.secrets)
    try:
        messages = deps.queue.keep(request.body, Deadline(KEEPING_S))
    except WebhookQueueError as error:
        raise CallbackNotKeptError(log_context={"cause": str(error)}) from error
    logger.info("Kept a webhook", signer=signer, bytes=len(request.body), messages=messages)
    metrics.add_metric("WebhooksKept", MetricUnit.Count, 1)


def _signer(request: ProxyRequest, secrets: CurrentSecrets) -> str:
    header = request.headers.get("x-hub-signature-256")
    try:
        return signatures.check_webhook(header, request.body, signatures.app_secrets(secrets.get()))
    except SignatureInvalidError as error:
        # A secret that was replaced at Meta a moment ago must not cost an hour of events.
        newer = secrets.newer() if error.reason == "SIGNATURE_MISMATCH" else None
        if newer is None:
            raise
        return signatures.check_webhook(header, request.body, signatures.app_secrets(newer))


@sends_error_reports
@logger.inject_lambda_context(log_event=False, correlation_id_path="requestContext.requestId", clear_state=True)
@metrics.log_metrics(raise_on_empty_metrics=False)
def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Entry point of the Lambda: an API Gateway proxy event in, its answer out."""
    return handle(event, dependencies)
