"""A simulator with a stopped clock, clients for it, and the app that it calls."""

import pytest

from meta_simulator.app import create_app
from meta_simulator.clock import Clock
from meta_simulator.meta_apps import MetaApp
from meta_simulator.simulator import Simulator
from tests.support.app_endpoint import AppEndpoint
from tests.support.instagram_client import InstagramClient
from tests.support.meta_client import NOON, REDIRECT_URI, MetaClient
from tests.support.webhook_sender import WebhookSender


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
