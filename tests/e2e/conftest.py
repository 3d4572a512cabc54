"""The deployed local stack, used over HTTP only."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.app import App, Fault, User


@pytest.fixture
def app(stack: dict[str, str]) -> Iterator[App]:
    """A frontend, and a reset Meta simulator."""
    # A function's first call loads its libraries, possibly on a busy machine.
    with httpx.Client(timeout=60, trust_env=False) as http:
        app = App(stack, http)
        app.meta("POST", "/reset")
        yield app


@pytest.fixture
def user(app: App) -> User:
    return app.sign_up()


@pytest.fixture
def fault(app: App) -> Fault:
    """Makes the simulator fail: see its README for the fields."""

    def set_fault(**wanted: Any) -> None:
        app.meta("POST", "/faults", wanted)

    return set_fault
