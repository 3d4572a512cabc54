"""The baseline of a function's start: its clients with boto3 and httpx, its secret, and nothing else.

No validation, no encryption, no answer: it says what a function must cost that calls the same services, not what one
costs that does the same.

BARE_CLIENTS names the AWS services; BARE_HTTP is set where the function also calls somebody else.
"""

import json
import os
from typing import Any

import boto3

IS_CALLING_OTHERS = "BARE_HTTP" in os.environ
if IS_CALLING_OTHERS:
    import httpx


def dependencies() -> list[Any]:
    """The clients."""
    answer = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["SUPABASE_SECRET_NAME"])
    made: list[Any] = [json.loads(answer["SecretString"])["supabase_secret_key"]]
    client: Any = boto3.client
    made += [client(service) for service in os.environ["BARE_CLIENTS"].split()]
    if IS_CALLING_OTHERS:
        # One is enough for all whom it calls: each would read the certificates again.
        made.append(httpx.Client())
    return made
