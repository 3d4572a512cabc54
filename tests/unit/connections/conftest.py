"""The connection flow with the Meta simulator, moto and a scripted Data API."""

import pytest

from instagram_connect.connections.connect import ConnectionFlow
from instagram_connect.connections.login_records import LoginRecords
from instagram_connect.connections.parking import Parking
from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.meta.facebook_login import FacebookLogin
from instagram_connect.security.token_vault import TokenVault
from tests.support.connecting import Connecting
from tests.support.fakes import NOW, FakeDataApi


@pytest.fixture
def storage() -> FakeDataApi:
    return FakeDataApi()


@pytest.fixture
def flow(
    facebook: FacebookLogin, vault: TokenVault, records: LoginRecords, parking: Parking, storage: FakeDataApi
) -> Connecting:
    repository = ConnectionRepository(storage.client(), sleep=lambda _: None)
    return Connecting(ConnectionFlow(vault, repository, parking, now=lambda: NOW), facebook, records)
