"""exchange_token with fakes for everything it calls."""

import pytest

from functions.exchange_token.app import Dependencies
from instagram_connect.connections.connect_once import ConnectOnce
from instagram_connect.models import Provider
from tests.support.exchanging import CALLBACK, STATES, FakeAccountList, FakeFlow, FakeProduct, FakeRecords, sending
from tests.support.fakes import identity_verifier
from tests.support.lambda_context import FakeLambdaContext
from tests.support.routes import LoadEvent, Send


@pytest.fixture
def flow() -> FakeFlow:
    return FakeFlow()


@pytest.fixture
def records() -> FakeRecords:
    return FakeRecords()


@pytest.fixture
def account_list() -> FakeAccountList:
    return FakeAccountList()


@pytest.fixture
def deps(flow: FakeFlow, records: FakeRecords, account_list: FakeAccountList) -> Dependencies:
    return Dependencies(
        identity=identity_verifier(),
        connections=ConnectOnce(
            products={provider: FakeProduct(provider) for provider in Provider},  # type: ignore[arg-type]
            states=STATES,
            records=records,  # type: ignore[arg-type]
            flow=flow,  # type: ignore[arg-type]
            repository=account_list,  # type: ignore[arg-type]
            account_list=account_list,  # type: ignore[arg-type]
            redirect_uris=(CALLBACK,),
            is_state_required=False,
        ),
    )


@pytest.fixture
def post(deps: Dependencies, load_event: LoadEvent, lambda_context: FakeLambdaContext) -> Send:
    return sending(deps, load_event, lambda_context)
