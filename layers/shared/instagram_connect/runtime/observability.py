"""Structured logs, metrics and error reports, set up once for all functions.

Every log line of a request carries its `correlation_id`: API Gateway's request id. The caller gets it as `requestId`,
storage as the header X-Request-Id and in the column `last_request_id`.
"""

import logging
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

if TYPE_CHECKING:
    from instagram_connect.runtime.error_reports import ErrorReports

Result = TypeVar("Result")
Handler = Callable[[dict[str, Any], LambdaContext], Result]

# The time a function needs to return after sending its error reports.
RESERVED_FOR_RETURNING_S = 0.2

logger = Logger()
metrics = Metrics(namespace="InstagramConnect")

# httpx logs whole URLs at INFO, and Meta's URLs hold tokens, codes and the app secret. The AWS libraries log errors
# that we log ourselves, as plain text without the correlation id.
for _name, _level in {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "aws_encryption_sdk": logging.CRITICAL,
    "botocore": logging.ERROR,
    "urllib3": logging.ERROR,
}.items():
    logging.getLogger(_name).setLevel(_level)


def stack_of(error: BaseException) -> list[str]:
    """The stack of an exception, innermost frame last, without its text, which may quote a URL or a row."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


@dataclass(frozen=True)
class ReportingSettings:
    """What every function declares by importing this module. The revision of the deployment names Sentry's release."""

    sentry_dsn: str | None
    revision: str | None

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "ReportingSettings":
        """Read the environment."""
        return cls(sentry_dsn=environment.get("SENTRY_DSN") or None, revision=environment.get("REVISION") or None)


def report_errors(settings: ReportingSettings) -> "ErrorReports | None":
    """Make the logger report errors to Sentry if there is a DSN."""
    if not settings.sentry_dsn:
        return None
    from instagram_connect.runtime.error_reports import attach  # its SDK is slow to import

    return attach(logger, settings.sentry_dsn, release=settings.revision)


# Now, not at the first error: a starting function has more CPU, and no response is waiting.
_reports = report_errors(ReportingSettings.from_env(os.environ))


def sends_error_reports(handler: Handler[Result]) -> Handler[Result]:
    """Decorate a Lambda handler to send its error reports before Lambda freezes the function, if time allows."""

    @wraps(handler)
    def wrapped(event: dict[str, Any], context: LambdaContext) -> Result:
        try:
            return handler(event, context)
        finally:
            if _reports is not None:
                _reports.flush(context.get_remaining_time_in_millis() / 1000 - RESERVED_FOR_RETURNING_S)

    return wrapped
