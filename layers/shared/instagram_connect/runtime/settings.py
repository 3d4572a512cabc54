"""Parses a function's settings, and reads secrets from Secrets Manager.

Nothing here runs at import or names a setting: each function declares its own as `Settings` in its `app.py`.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from instagram_connect.errors import ConfigurationError
from instagram_connect.runtime import aws
from instagram_connect.runtime.observability import logger

# Wrong signatures must not make us read the secret for each request.
SECRETS_AGE_S = 60.0


def required(environment: Mapping[str, str], name: str) -> str:
    """The variable `name`. Raises ConfigurationError if it is absent or blank."""
    value = optional(environment, name)
    if value is None:
        raise ConfigurationError(log_context={"setting": name})
    return value


def optional(environment: Mapping[str, str], name: str) -> str | None:
    """The variable `name`, or None if it is absent or blank."""
    return environment.get(name, "").strip() or None


def required_list(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The comma-separated variable `name`, with at least one value. Raises ConfigurationError."""
    return tuple(part.strip() for part in required(environment, name).split(",") if part.strip())


class Secrets:
    """One of the deployment's secrets, a JSON object in Secrets Manager. docs/deployment.md lists the keys of each."""

    def __init__(self, values: Mapping[str, Any], name: str = "") -> None:
        self._values = values
        self._name = name

    def __repr__(self) -> str:
        return "Secrets(...)"

    def required(self, key: str) -> str:
        """The secret `key`, without the line end that copying leaves behind. Raises ConfigurationError."""
        value = self.optional(key)
        if value is None:
            raise ConfigurationError(log_context={"secret": self._name, "secret_key": key})
        return value

    def optional(self, key: str) -> str | None:
        """The secret `key`, or None if it is absent or blank."""
        return str(self._values.get(key) or "").strip() or None


@dataclass
class CurrentSecrets:
    """A secret that is read again when it may have changed: Meta's change without a deploy."""

    load: Callable[[], Secrets]
    monotonic: Callable[[], float] = time.monotonic
    _secrets: Secrets | None = None
    _loaded_at: float = 0.0

    def get(self) -> Secrets:
        """The secrets as they were last read. Raises ConfigurationError."""
        if self._secrets is None:
            self._secrets, self._loaded_at = self.load(), self.monotonic()
        return self._secrets

    def newer(self) -> Secrets | None:
        """The secrets as they are now, or None when they were read a moment ago or cannot be read."""
        if self.monotonic() - self._loaded_at < SECRETS_AGE_S:
            return None
        # Before reading: what fails is not to be tried by each request either.
        self._loaded_at = self.monotonic()
        try:
            self._secrets = self.load()
        except ConfigurationError as error:
            logger.warning("Could not read the secrets again", extra=error.log_context)
            return None
        return self._secrets


def missing_secrets(names: Iterable[str]) -> list[str]:
    """Return which of the secrets do not exist or are being deleted. Reads none of their values."""
    client = aws.client("secretsmanager")
    missing = []
    for name in names:
        try:
            if "DeletedDate" in client.describe_secret(SecretId=name):
                missing.append(name)
        except client.exceptions.ResourceNotFoundException:
            missing.append(name)
        except (BotoCoreError, ClientError) as error:
            # This proves nothing about the secret.
            logger.warning("Could not look for a secret", extra={"secret": name, "cause": type(error).__name__})
    return missing


def load_secrets(name: str) -> Secrets:
    """Read the secret `name`. Raises ConfigurationError if it cannot be read or is not a JSON object."""
    try:
        answer = aws.client("secretsmanager").get_secret_value(SecretId=name)
    except (BotoCoreError, ClientError) as error:
        raise ConfigurationError(log_context={"secret": name, "cause": "not readable"}) from error
    try:
        values = json.loads(answer.get("SecretString", ""))
    except ValueError:
        # Its text and cause quote the secret.
        raise ConfigurationError(log_context={"secret": name, "cause": "not JSON"}) from None
    if not isinstance(values, dict):
        raise ConfigurationError(log_context={"secret": name, "cause": "not a JSON object"})
    return Secrets(values, name)
