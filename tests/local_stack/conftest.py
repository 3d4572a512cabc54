from collections.abc import Iterator

import pytest

from tests.support.local_system import LocalSystem, temporary_system


@pytest.fixture(scope="module")
def system() -> Iterator[LocalSystem]:
    """One system for all tests of a file."""
    with temporary_system() as system:
        yield system


@pytest.fixture
def fresh_system() -> Iterator[LocalSystem]:
    """A system of its own that has not been started."""
    with temporary_system() as system:
        yield system
