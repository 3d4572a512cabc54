"""Facebook Login against the simulator, in this process."""

from datetime import UTC, datetime

import pytest

from instagram_connect.meta.facebook_login import FacebookApp, FacebookLogin
from instagram_connect.meta.graph import GraphClient
from local.meta_simulator.app import create_app
from local.meta_simulator.clock import Clock
from local.meta_simulator.meta_apps import MetaApp
from local.meta_simulator.simulator import Simulator
from tests.unit.fakes import NOW
from tests.unit.meta_simulator.meta_client import GRAPH, ORIGIN, REDIRECT_URI, VERSION, MetaClient

APP = MetaApp("1111", secret="the-app-secret", redirect_uris=(REDIRECT_URI,))


@pytest.fixture
def meta() -> MetaClient:
    return MetaClient(create_app(Simulator(APP, Clock(lambda: NOW))), APP.id, APP.secret)


@pytest.fixture
def facebook(meta: MetaClient) -> FacebookLogin:
    def now() -> datetime:
        return NOW.astimezone(UTC)

    app = FacebookApp(APP.id, APP.secret, graph_url=f"{ORIGIN}{GRAPH}", graph_version=VERSION)
    return FacebookLogin(app, GraphClient(meta.http, sleep=lambda _: None), now)
