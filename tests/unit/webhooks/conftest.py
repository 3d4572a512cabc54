"""Ingestion with fakes around it."""

import pytest

from tests.support.ingesting import Ingesting


@pytest.fixture
def world() -> Ingesting:
    return Ingesting()
