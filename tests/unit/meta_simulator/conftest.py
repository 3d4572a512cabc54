"""A simulator with a standing clock, and a client for it."""

from datetime import UTC, datetime

import pytest

from local.meta_simulator.app import create_app
from local.meta_simulator.clock import Clock
from local.meta_simulator.meta_apps import MetaApp
from local.meta_simulator.simulator import Simulator
from tests.unit.meta_simulator.instagram_client import InstagramClient
from tests.unit.meta_simulator.meta_client import REDIRECT_URI, MetaClient

NOON = datetime(2026, 11, 22, 12, 15, tzinfo=UTC)


@pytest.fixture
def simulator() -> Simulator:
    app = MetaApp("1111", secret="the-app-secret", redirect_uris=(REDIRECT_URI,))
    instagram_app = MetaApp("7777", secret="the-instagram-secret", redirect_uris=(REDIRECT_URI,))
    return Simulator(app, Clock(lambda: NOON), instagram_app=instagram_app)


@pytest.fixture
def meta(simulator: Simulator) -> MetaClient:
    return MetaClient(create_app(simulator), simulator.main_app.id, simulator.main_app.secret)


@pytest.fixture
def instagram(meta: MetaClient, simulator: Simulator) -> InstagramClient:
    return InstagramClient(meta, simulator.instagram_app.id, simulator.instagram_app.secret)
