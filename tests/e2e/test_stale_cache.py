"""The incident behind this product: the Data API's schema cache misses a migration."""

import pytest

from instagram_connect.storage.schema_contract import rpc_name
from tests.support.app import App, User
from tests.support.stale_cache import ask, unknown_to_the_cache


def test_stale_cache_loses_no_connection(app: App, user: User) -> None:
    undisturbed = app.exchange(user, app.log_in())
    responses = []
    for _ in range(3):
        code = app.log_in()
        with unknown_to_the_cache(app, "store_connection"):
            assert ask(app, rpc_name("store_connection")).status_code == 404
            responses.append(app.exchange(user, code))

    assert [response.status_code for response in [undisturbed, *responses]] == [200] * 4
    assert [response.json()["data"]["businessAccountId"] for response in responses] == [
        undisturbed.json()["data"]["businessAccountId"]
    ] * 3


@pytest.mark.parametrize("function", ["list_accounts", "disconnect_account"])
def test_other_storage_calls_heal_too(app: App, user: User, function: str) -> None:
    accounts = app.connect(user)

    with unknown_to_the_cache(app, function):
        response = (
            app.call(user, "GET", "/instagram/accounts")
            if function == "list_accounts"
            else app.call(user, "DELETE", f"/instagram/accounts/{accounts[0]['id']}")
        )

    assert response.status_code == 200, response.text
