"""Unit tests open no sockets and see none of the developer's settings."""

import io
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NoReturn

import boto3
import pytest
from moto import mock_aws
from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID

from instagram_connect.connections.login_records import LoginRecords
from instagram_connect.connections.parking import Parking
from instagram_connect.meta.facebook_calls import FacebookApp
from instagram_connect.meta.facebook_login import FacebookLogin
from instagram_connect.meta.graph import GraphClient
from instagram_connect.meta.instagram_login import InstagramApp, InstagramLogin
from instagram_connect.runtime.observability import logger, metrics
from instagram_connect.security.token_vault import TokenVault
from meta_simulator.app import create_app
from meta_simulator.clock import Clock
from meta_simulator.meta_apps import MetaApp
from meta_simulator.simulator import Simulator
from tests.support import instagram_client
from tests.support.environment import ENVIRONMENT
from tests.support.fakes import NOW
from tests.support.instagram_client import InstagramClient
from tests.support.meta_client import GRAPH, ORIGIN, REDIRECT_URI, VERSION, MetaClient
from tests.support.simulated_services import PARKED_TABLE, PARKING_QUEUE, RECORDS_TABLE

KEPT = ("PATH", "HOME", "TMPDIR", "LANG")


@pytest.fixture(autouse=True)
def hermetic_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(os.environ) - set(KEPT):
        if not name.startswith("PYTEST_"):
            monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> NoReturn:
        raise AssertionError("a unit test opened a network connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that the functions' logger writes during the test."""
    written = io.StringIO()
    handler = logger.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(written)
    yield written
    handler.setStream(before)


@pytest.fixture
def counted() -> Iterator[dict[str, Any]]:
    """The metrics of the test, by their names."""
    metrics.clear_metrics()
    yield metrics.metric_set
    metrics.clear_metrics()


APP = MetaApp("1111", secret="the-app-secret", redirect_uris=(REDIRECT_URI,))
INSTAGRAM_APP = MetaApp("7777", secret="the-instagram-secret", redirect_uris=(REDIRECT_URI,))
SCOPES = "instagram_basic,pages_show_list,pages_read_engagement,pages_manage_metadata"


@pytest.fixture
def meta() -> MetaClient:
    simulator = Simulator(APP, Clock(lambda: NOW), instagram_app=INSTAGRAM_APP)
    return MetaClient(create_app(simulator), APP.id, APP.secret)


@pytest.fixture
def instagram(meta: MetaClient) -> InstagramClient:
    return InstagramClient(meta, INSTAGRAM_APP.id, INSTAGRAM_APP.secret)


@pytest.fixture
def facebook(meta: MetaClient) -> FacebookLogin:
    app = FacebookApp(
        app_id=APP.id,
        app_secret=APP.secret,
        graph_url=f"{ORIGIN}{GRAPH}",
        dialog_url=f"{ORIGIN}/www.facebook.com",
        graph_version=VERSION,
        scopes=SCOPES,
        login_config_id=None,
    )
    return FacebookLogin(app, GraphClient(meta.http, sleep=lambda _: None), lambda: NOW)


@pytest.fixture
def instagram_login(meta: MetaClient) -> InstagramLogin:
    app = InstagramApp(
        app_id=INSTAGRAM_APP.id,
        app_secret=INSTAGRAM_APP.secret,
        graph_url=f"{ORIGIN}{instagram_client.GRAPH}",
        api_url=f"{ORIGIN}/api.instagram.com",
        dialog_url=f"{ORIGIN}/www.instagram.com",
        graph_version=VERSION,
        scopes=",".join(instagram_client.ALL_SCOPES),
    )
    return InstagramLogin(app, GraphClient(meta.http, sleep=lambda _: None), lambda: NOW)


@pytest.fixture(scope="session")
def vault() -> Iterator[TokenVault]:
    """Shared by all tests, because creating clients and keys takes most of a second."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in ENVIRONMENT.items():
            environment.setenv(name, value)
        with mock_aws():
            key = boto3.client("kms").create_key()
            yield TokenVault(key["KeyMetadata"]["Arn"])


@pytest.fixture
def records(vault: TokenVault) -> Iterator[LoginRecords]:
    dynamodb = boto3.client("dynamodb")
    dynamodb.create_table(
        TableName=RECORDS_TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    yield LoginRecords(RECORDS_TABLE, vault, lambda: NOW)
    with suppress(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.delete_table(TableName=RECORDS_TABLE)


@pytest.fixture
def parking_queue(vault: TokenVault) -> Iterator[str]:
    """The URL of the queue. Tests delete the queue to make sending fail."""
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName=PARKING_QUEUE)["QueueUrl"]
    yield url
    with suppress(sqs.exceptions.QueueDoesNotExist):
        sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def parking(parking_queue: str) -> Iterator[Parking]:
    dynamodb = boto3.client("dynamodb")
    dynamodb.create_table(
        TableName=PARKED_TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "user_id", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "user_id", "AttributeType": "S"},
            {"AttributeName": "id", "AttributeType": "S"},
        ],
    )
    yield Parking(parking_queue, PARKED_TABLE, lambda: NOW)
    with suppress(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.delete_table(TableName=PARKED_TABLE)


@pytest.fixture
def sent(parking_queue: str) -> Callable[[], list[str]]:
    """The bodies of all messages in the queue, including delayed ones."""

    def bodies() -> list[str]:
        queue = get_backend("sqs")[DEFAULT_ACCOUNT_ID][ENVIRONMENT["AWS_DEFAULT_REGION"]].queues[PARKING_QUEUE]
        return [message.body for message in queue._messages]

    return bodies
