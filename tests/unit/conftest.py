"""Unit tests open no sockets and see none of the developer's settings."""

import io
import logging
import os
import socket
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from instagram_connect.observability import logger, metrics

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "POWERTOOLS_SERVICE_NAME": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "test",
}
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
