"""A simulator with a standing clock, a client for it, and the app that it calls."""

from datetime import UTC, datetime

import pytest

from local.meta_simulator.app import create_app
from local.meta_simulator.clock import Clock
from local.meta_simulator.meta_apps import MetaApp
from local.meta_simulator.simulator import Simulator
from tests.unit.meta_simulator.app_endpoint import AppEndpoint
from tests.unit.meta_simulator.instagram_client import InstagramClient
from tests.unit.meta_simulator.meta_client import REDIRECT_URI, MetaClient
from tests.unit.meta_simulator.webhook_sender import WebhookSender

NOON = datetime(2026, 11, 22, 12, 15, tzinfo=UTC)


@pytest.fixture
def endpoint() -> AppEndpoint:
    return AppEndpoint()


@pytest.fixture
def simulator(endpoint: AppEndpoint) -> Simulator:
    app = MetaApp("1111", secret="the-app-secret", redirect_uris=(REDIRECT_URI,))
    instagram_app = MetaApp("7777", secret="the-instagram-secret", redirect_uris=(REDIRECT_URI,))
    return Simulator(app, Clock(lambda: NOON), instagram_app=instagram_app, client=endpoint.client)


@pytest.fixture
def meta(simulator: Simulator) -> MetaClient:
    return MetaClient(create_app(simulator), simulator.main_app.id, simulator.main_app.secret)


@pytest.fixture
def instagram(meta: MetaClient, simulator: Simulator) -> InstagramClient:
    return InstagramClient(meta, simulator.instagram_app.id, simulator.instagram_app.secret)


@pytest.fixture
def webhooks(meta: MetaClient, simulator: Simulator) -> WebhookSender:
    return WebhookSender(meta, simulator)
