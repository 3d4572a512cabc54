import pytest

from meta_simulator.seed import ANA_CAFE, ANA_STUDIO, BEN_BAKERY
from tests.support.meta_client import MetaClient, error_of


def test_page_returns_its_token_to_a_user_token(meta: MetaClient) -> None:
    token = meta.long_token()

    page = meta.data(f"/{ANA_CAFE.id}", access_token=token, fields="access_token")

    assert page["access_token"] == meta.page_token(token, ANA_CAFE.id)


def test_instagram_account_is_readable_with_user_and_page_tokens(meta: MetaClient) -> None:
    token = meta.long_token()
    page_token = meta.page_token(token, ANA_STUDIO.id)

    responses = [
        meta.data("/17841400000000002", access_token=each, fields="username,name") for each in (token, page_token)
    ]

    assert responses == [{"username": "estudio_ana", "name": "O'Souza 写真館", "id": "17841400000000002"}] * 2


def test_reading_an_account_requires_instagram_basic(meta: MetaClient) -> None:
    token = meta.long_token(declined_scopes=["instagram_basic"])

    assert error_of(meta.get("/17841400000000002", access_token=token)) == (10, None)


@pytest.mark.parametrize("node_id", [BEN_BAKERY.id, "10220000000000002", "404404", "17841400000000004"])
def test_invisible_and_missing_nodes_are_indistinguishable(meta: MetaClient, node_id: str) -> None:
    rejected = meta.get(f"/{node_id}", access_token=meta.long_token())

    assert error_of(rejected) == (100, 33)
    assert rejected.json()["error"]["type"] == "GraphMethodException"


def test_page_token_reads_only_its_own_page(meta: MetaClient) -> None:
    page_token = meta.page_token(meta.long_token(), ANA_CAFE.id)

    assert meta.data("/me", access_token=page_token)["id"] == ANA_CAFE.id
    assert error_of(meta.get(f"/{ANA_STUDIO.id}", access_token=page_token)) == (100, 33)


def test_unticked_account_is_not_found(meta: MetaClient) -> None:
    token = meta.long_token(instagram_accounts=[])

    assert error_of(meta.get("/17841400000000001", access_token=token, fields="id")) == (100, 33)
