"""The baseline for a function's start: its boto3 and httpx clients and its secret, nothing else.

It has no validation, encryption or response: it shows the least that a function costs that calls the same services, not
the cost of one that does the same.

BARE_CLIENTS names the AWS services; BARE_HTTP is set if the function also calls others.
"""

import json
import os
from typing import Any

import boto3

IS_CALLING_OTHERS = "BARE_HTTP" in os.environ
if IS_CALLING_OTHERS:
    import httpx


def dependencies() -> list[Any]:
    """Read the secret and create the clients."""
    answer = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["SUPABASE_SECRET_NAME"])
    made: list[Any] = [json.loads(answer["SecretString"])["supabase_secret_key"]]
    client: Any = boto3.client
    made += [client(service) for service in os.environ["BARE_CLIENTS"].split()]
    if IS_CALLING_OTHERS:
        # One client for all hosts: each client reads the certificates again.
        made.append(httpx.Client())
    return made
