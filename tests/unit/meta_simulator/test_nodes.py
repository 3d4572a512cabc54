import pytest

from meta_simulator.seed import ANA_CAFE, ANA_STUDIO, BEN_BAKERY
from tests.support.meta_client import MetaClient, error_of


def test_a_page_gives_its_own_token_to_a_user_of_it(meta: MetaClient) -> None:
    token = meta.long_token()

    page = meta.data(f"/{ANA_CAFE.id}", access_token=token, fields="access_token")

    assert page["access_token"] == meta.page_token(token, ANA_CAFE.id)


def test_an_instagram_account_is_read_with_user_and_page_token(meta: MetaClient) -> None:
    token = meta.long_token()
    page_token = meta.page_token(token, ANA_STUDIO.id)

    answers = [
        meta.data("/17841400000000002", access_token=each, fields="username,name") for each in (token, page_token)
    ]

    assert answers == [{"username": "estudio_ana", "name": "O'Souza 写真館", "id": "17841400000000002"}] * 2


def test_without_instagram_basic_the_account_is_forbidden(meta: MetaClient) -> None:
    token = meta.long_token(declined_scopes=["instagram_basic"])

    assert error_of(meta.get("/17841400000000002", access_token=token)) == (10, None)


@pytest.mark.parametrize("node_id", [BEN_BAKERY.id, "10220000000000002", "404404", "17841400000000004"])
def test_what_is_not_visible_looks_like_what_is_not_there(meta: MetaClient, node_id: str) -> None:
    refused = meta.get(f"/{node_id}", access_token=meta.long_token())

    assert error_of(refused) == (100, 33)
    assert refused.json()["error"]["type"] == "GraphMethodException"


def test_a_page_token_sees_its_own_page_only(meta: MetaClient) -> None:
    page_token = meta.page_token(meta.long_token(), ANA_CAFE.id)

    assert meta.data("/me", access_token=page_token)["id"] == ANA_CAFE.id
    assert error_of(meta.get(f"/{ANA_STUDIO.id}", access_token=page_token)) == (100, 33)


def test_an_account_that_was_not_ticked_is_not_there(meta: MetaClient) -> None:
    token = meta.long_token(instagram_accounts=[])

    assert error_of(meta.get("/17841400000000001", access_token=token, fields="id")) == (100, 33)
