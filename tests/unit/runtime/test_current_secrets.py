"""Secrets that change without a deploy: reread when they may have changed, and no more often."""

from typing import Any

import pytest

from instagram_connect.errors import ConfigurationError
from instagram_connect.runtime.settings import SECRETS_AGE_S, CurrentSecrets, Secrets

MISSING = ConfigurationError(log_context={"secret": "s", "cause": "not readable"})


class Deployment:
    """Secrets Manager with the deployment's secret, and a clock."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {"key": "old"}
        self.now_s = 0.0
        self.loads = 0
        self.error: Exception | None = None
        self.secrets = CurrentSecrets(self._load, lambda: self.now_s)

    def _load(self) -> Secrets:
        self.loads += 1
        if self.error:
            raise self.error
        return Secrets(dict(self.values))

    def newer(self) -> str | None:
        """The secret's current value."""
        newer = self.secrets.newer()
        return None if newer is None else newer.required("key")

    @property
    def known(self) -> str:
        return self.secrets.get().required("key")


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


def test_secrets_are_read_once_on_first_use(deployment: Deployment) -> None:
    assert deployment.loads == 0

    for _ in range(3):
        assert deployment.known == "old"
        deployment.now_s += 10 * SECRETS_AGE_S

    assert deployment.loads == 1


def test_old_secrets_are_read_again(deployment: Deployment) -> None:
    assert deployment.known == "old"
    deployment.values = {"key": "new"}
    deployment.now_s += SECRETS_AGE_S

    assert deployment.newer() == "new"
    assert (deployment.known, deployment.loads) == ("new", 2)


@pytest.mark.parametrize("age_s", [0, SECRETS_AGE_S - 1])
def test_recent_secrets_are_not_read_again(deployment: Deployment, age_s: float) -> None:
    assert deployment.known == "old"
    deployment.values = {"key": "new"}
    deployment.now_s += age_s

    assert deployment.newer() is None
    assert (deployment.known, deployment.loads) == ("old", 1)


def test_failed_reread_keeps_the_known_secrets_and_waits(
    deployment: Deployment,
) -> None:
    assert deployment.known == "old"
    deployment.values, deployment.error = {"key": "new"}, MISSING
    deployment.now_s += SECRETS_AGE_S

    assert [deployment.newer() for _ in range(3)] == [None] * 3
    assert (deployment.known, deployment.loads) == ("old", 2)

    deployment.error = None
    deployment.now_s += SECRETS_AGE_S

    assert deployment.newer() == "new"


def test_failed_first_read_is_retried_on_the_next_use(deployment: Deployment) -> None:
    deployment.error = MISSING
    with pytest.raises(ConfigurationError):
        deployment.secrets.get()
    deployment.error = None

    assert (deployment.known, deployment.loads) == ("old", 2)


def test_repr_hides_secrets(deployment: Deployment) -> None:
    assert deployment.known == "old"

    assert "old" not in repr(deployment.secrets)
