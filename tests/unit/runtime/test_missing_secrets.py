"""Which secrets exist is found out without reading them."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from instagram_connect.runtime import aws
from instagram_connect.runtime.settings import missing_secrets


@pytest.fixture
def secrets_manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("secretsmanager")
        monkeypatch.setattr(aws, "client", lambda service: client)
        yield client


def test_absent_and_deleted_secrets_are_missing(secrets_manager: Any) -> None:
    for name in ("app/meta", "app/signing"):
        secrets_manager.create_secret(Name=name, SecretString="{}")
    secrets_manager.delete_secret(SecretId="app/signing")

    assert missing_secrets(["app/meta", "app/signing", "app/other"]) == ["app/signing", "app/other"]


def test_a_refused_look_proves_nothing(secrets_manager: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: str) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "DescribeSecret")

    monkeypatch.setattr(secrets_manager, "describe_secret", refuse)

    assert missing_secrets(["app/meta"]) == []
