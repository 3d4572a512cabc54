"""The baseline for the webhook function: a handler with boto3 and hmac, as someone would write it in an hour.

It verifies the signature of the raw body and sends the body to a queue.
"""

import base64
import hmac
import json
import os
from functools import cache
from typing import Any

import boto3


@cache
def secret() -> bytes:
    """Return the app's secret."""
    answer = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["META_SECRET_NAME"])
    return str(json.loads(answer["SecretString"])["instagram_app_secret"]).encode()


@cache
def sqs() -> Any:
    """Return the SQS client."""
    return boto3.client("sqs")


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Handle an API Gateway proxy event."""
    body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()
    headers = {name.lower(): value for name, value in event["headers"].items()}
    digest = hmac.new(secret(), body, "sha256").hexdigest()
    if not hmac.compare_digest(headers.get("x-hub-signature-256", ""), f"sha256={digest}"):
        return {"statusCode": 403, "body": "signature"}
    sqs().send_message(QueueUrl=os.environ["WEBHOOK_QUEUE_URL"], MessageBody=body.decode())
    return {"statusCode": 200, "body": "OK"}
