"""The system under measurement: real PostgREST and Postgres, the local AWS, and the Meta simulator."""

import json
import os
import sys
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3

from instagram_connect.runtime.observability import logger
from local import ports
from local.settings import ROOT, Keys
from local.stack import aws_environment, forget_database, running, up

HOME = ROOT / ".local" / "bench"
SERVICES = ("postgres", "supabase", "postgrest", "aws", "meta")
FUNCTIONS = ("exchange_token", "refresh_worker", "webhook", "webhook_worker")


@contextmanager
def measured_system() -> Iterator[dict[str, str]]:
    """Run the system, point this process's AWS clients at it, and return its `stack.json`."""
    environment = {
        **os.environ,
        "DATA_API": "postgrest",
        "LOCAL_PORT_BASE": str(ports.free_base()),
        "OAUTH_REDIRECT_URIS": "",
    }
    # Always an empty database, so that data of an earlier run does not affect the figures.
    forget_database(HOME)
    with running(HOME, environment, only=SERVICES, deploy=False) as stack:
        os.environ |= aws_environment(stack)
        yield stack


@contextmanager
def on_supabase_lite(stack: Mapping[str, str]) -> Iterator[None]:
    """Serve the Data API of the same system and database with Supabase Lite instead of PostgREST."""
    base = int(stack["supabase_url"].rsplit(":", 1)[1]) - 1
    environment = {**os.environ, "LOCAL_PORT_BASE": str(base), "OAUTH_REDIRECT_URIS": ""}

    def switch(data_api: str) -> None:
        up(HOME, {**environment, "DATA_API": data_api}, only=SERVICES, deploy=False)

    switch("lite")
    try:
        yield
    finally:
        switch("postgrest")


def redirect_uri(stack: Mapping[str, str]) -> str:
    """Return a redirect URI that both Meta and the deployment accept."""
    return f"{stack['web_url']}/callback"


def context() -> Any:
    """Return a Lambda context with the attributes that the functions use."""
    return SimpleNamespace(
        function_name="f",
        memory_limit_in_mb=1024,
        invoked_function_arn="arn",
        aws_request_id="r",
        get_remaining_time_in_millis=lambda: 26_000,
    )


@contextmanager
def deployed(stack: Mapping[str, str], keys: Keys) -> Iterator[dict[str, str]]:
    """Prepare this process to run the functions, and return their environment."""
    environment = _deployment(stack, keys)
    with patch.dict(os.environ, environment):
        _forget_former_sandboxes()
        level = logger.log_level
        logger.setLevel("CRITICAL")
        try:
            yield environment
        finally:
            logger.setLevel(level)
            _forget_former_sandboxes()


@contextmanager
def silent() -> Iterator[None]:
    """Discard the metrics that handlers print for CloudWatch; the time it takes still counts."""
    kept = sys.stdout
    with open(os.devnull, "w") as nowhere, warnings.catch_warnings():  # noqa: PTH123 - a device, not a file
        warnings.filterwarnings("ignore", "No application metrics")
        sys.stdout = nowhere
        try:
            yield
        finally:
            sys.stdout = kept


def _forget_former_sandboxes() -> None:
    for function in FUNCTIONS:
        module = import_module(f"functions.{function}.app")
        for kept in (module.dependencies, getattr(module, "_api", None)):
            if kept is not None:
                kept.cache_clear()


def _deployment(stack: Mapping[str, str], keys: Keys) -> dict[str, str]:
    """Create what the functions need in the local AWS, and return their environment.

    It is as in template.yaml, with REQUIRE_STATE on, because the page of this repository sends a state.
    """
    table = {
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    }
    name = f"bench-{uuid.uuid4().hex[:8]}"
    boto3.client("dynamodb").create_table(TableName=name, **table)
    boto3.client("events").create_event_bus(Name=name)
    secrets = {
        "meta": {key: stack[key] for key in ("facebook_app_secret", "instagram_app_secret")},
        "supabase": {"supabase_secret_key": stack["supabase_secret_key"]},
        "signing": {"state_signing_key": keys.state_signing_key, "supabase_jwt_secret": keys.supabase_jwt_secret},
    }
    for kind, values in secrets.items():
        boto3.client("secretsmanager").create_secret(Name=f"{name}/{kind}", SecretString=json.dumps(values))

    def queue(purpose: str) -> str:
        return str(boto3.client("sqs").create_queue(QueueName=f"{name}-{purpose}")["QueueUrl"])

    meta = stack["meta_url"]
    return {
        **{f"{kind.upper()}_SECRET_NAME": f"{name}/{kind}" for kind in secrets},
        "SUPABASE_URL": stack["supabase_url"],
        "ALLOWED_ORIGINS": "http://127.0.0.1",
        "OAUTH_REDIRECT_URIS": redirect_uri(stack),
        "REQUIRE_STATE": "true",
        "LOGIN_RECORDS_TABLE": name,
        "PARKED_CONNECTIONS_TABLE": name,
        "PARKING_QUEUE_URL": queue("parking"),
        "REFRESH_QUEUE_URL": queue("refresh"),
        "REFRESH_DEAD_LETTER_QUEUE_URL": queue("refresh-dead"),
        "REFRESH_LEAD_DAYS": "10",
        "WEBHOOK_QUEUE_URL": queue("webhooks"),
        "WEBHOOK_DEAD_LETTER_QUEUE_URL": queue("webhooks-dead"),
        "EVENT_BUS_NAME": name,
        "TOKEN_KEY_ARN": boto3.client("kms").create_key()["KeyMetadata"]["Arn"],
        "POWERTOOLS_SERVICE_NAME": "bench",
        "POWERTOOLS_TRACE_DISABLED": "1",
        "GRAPH_VERSION": "v25.0",
        "FACEBOOK_APP_ID": stack["facebook_app_id"],
        "FACEBOOK_SCOPES": "instagram_basic,pages_show_list,pages_read_engagement,pages_manage_metadata",
        "FACEBOOK_GRAPH_URL": f"{meta}/graph.facebook.com",
        "FACEBOOK_DIALOG_URL": f"{meta}/www.facebook.com",
        "INSTAGRAM_APP_ID": stack["instagram_app_id"],
        "INSTAGRAM_SCOPES": "instagram_business_basic",
        "INSTAGRAM_GRAPH_URL": f"{meta}/graph.instagram.com",
        "INSTAGRAM_API_URL": f"{meta}/api.instagram.com",
        "INSTAGRAM_DIALOG_URL": f"{meta}/www.instagram.com",
    }
