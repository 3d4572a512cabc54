"""The baseline of the webhook function: what it does, with boto3, hmac and nothing else.

Verifies the signature over the raw body and keeps the body in a queue, as a handler that somebody writes in an hour.
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
    """The app's secret."""
    answer = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["META_SECRET_NAME"])
    return str(json.loads(answer["SecretString"])["instagram_app_secret"]).encode()


@cache
def sqs() -> Any:
    """The client, made once."""
    return boto3.client("sqs")


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """An API Gateway proxy event in, its answer out."""
    body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()
    headers = {name.lower(): value for name, value in event["headers"].items()}
    digest = hmac.new(secret(), body, "sha256").hexdigest()
    if not hmac.compare_digest(headers.get("x-hub-signature-256", ""), f"sha256={digest}"):
        return {"statusCode": 403, "body": "signature"}
    sqs().send_message(QueueUrl=os.environ["WEBHOOK_QUEUE_URL"], MessageBody=body.decode())
    return {"statusCode": 200, "body": "OK"}
