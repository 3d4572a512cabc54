"""Structured logs and metrics, set up once for all functions.

Every line of one request carries its `correlation_id`: API Gateway's request id, which the caller gets as `requestId`
and storage as the header X-Request-Id and in the column `last_request_id`.
"""

import logging
import traceback

from aws_lambda_powertools import Logger, Metrics

logger = Logger()
metrics = Metrics(namespace="InstagramConnect")

# httpx logs whole URLs at INFO, and Meta's URLs hold tokens, codes and the app secret. The AWS libraries log what we
# raise as our own errors once more, as plain text without the correlation id.
for _name, _level in {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "aws_encryption_sdk": logging.CRITICAL,
    "botocore": logging.ERROR,
    "urllib3": logging.ERROR,
}.items():
    logging.getLogger(_name).setLevel(_level)


def stack_of(error: BaseException) -> list[str]:
    """Where an unforeseen exception came from, innermost last, without its text: that may quote a URL or a row."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
