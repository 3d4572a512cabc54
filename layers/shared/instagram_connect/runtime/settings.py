"""Reads the deployment's settings: plain values from the environment, secrets from Secrets Manager.

Nothing here runs at import. Each function declares the settings it needs in its own `app.py`.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from instagram_connect.errors import ConfigurationError
from instagram_connect.runtime import aws
from instagram_connect.runtime.observability import logger

# Whoever sends wrong signatures must not make us ask for the secrets each time.
SECRETS_AGE_S = 60.0


def required(name: str) -> str:
    """The environment variable `name`. Raises ConfigurationError if it is absent or blank."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise ConfigurationError(log_context={"setting": name})
    return value


def required_list(name: str) -> tuple[str, ...]:
    """The comma-separated environment variable `name`, with at least one value. Raises ConfigurationError."""
    return tuple(part.strip() for part in required(name).split(",") if part.strip())


class Secrets:
    """The deployment's one secret: a JSON object in Secrets Manager, named by SECRET_NAME.

    Keys: supabase_secret_key, supabase_jwt_secret (projects that sign with HS256), facebook_app_secret and
    instagram_app_secret (of the products that are used), state_signing_key, database_url (optional).
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __repr__(self) -> str:
        return "Secrets(...)"

    def required(self, key: str) -> str:
        """The secret `key`, without the line end that copying leaves behind. Raises ConfigurationError."""
        value = self.optional(key)
        if value is None:
            raise ConfigurationError(log_context={"secret_key": key})
        return value

    def optional(self, key: str) -> str | None:
        """The secret `key`, or None if it is absent or blank."""
        return str(self._values.get(key) or "").strip() or None


@dataclass
class CurrentSecrets:
    """The deployment's secrets, read again when they may have changed: Meta's change without a deploy."""

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


def load_secrets() -> Secrets:
    """Fetches the secret. Raises ConfigurationError when it cannot be read or is not a JSON object."""
    name = required("SECRET_NAME")
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
    return Secrets(values)
