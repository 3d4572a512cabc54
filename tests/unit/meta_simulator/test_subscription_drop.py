"""Webhook subscriptions that Meta drops without notice."""

import pytest

from meta_simulator.seed import ANA_CAFE, ANA_STUDIO
from tests.support.instagram_client import CAFE, InstagramClient
from tests.support.meta_client import MetaClient

CAFE_PAGE = {"product": "facebook", "account": ANA_CAFE.id, "app_id": "1111", "fields": ["messages", "feed"]}
STUDIO_PAGE = {"product": "facebook", "account": ANA_STUDIO.id, "app_id": "1111", "fields": ["messages", "feed"]}
CAFE_ACCOUNT = {"product": "instagram", "account": CAFE, "app_id": "7777", "fields": ["comments"]}


@pytest.fixture
def tokens(meta: MetaClient, instagram: InstagramClient) -> dict[str, str]:
    """Subscribe two Pages and the account linked to one of them; return their tokens by id."""
    ana = meta.long_token()
    tokens = {page.id: meta.page_token(ana, page.id) for page in (ANA_CAFE, ANA_STUDIO)}
    for page_id, token in tokens.items():
        meta.call("POST", f"/{page_id}/subscribed_apps", access_token=token, subscribed_fields="messages,feed")
    tokens[CAFE] = instagram.long_token()
    instagram.call("POST", "/v25.0/me/subscribed_apps", access_token=tokens[CAFE], subscribed_fields="comments")
    return tokens


def test_subscriptions_of_both_products_are_listed(meta: MetaClient, tokens: dict[str, str]) -> None:
    assert meta.control("GET", "/subscriptions") == [CAFE_PAGE, STUDIO_PAGE, CAFE_ACCOUNT]


@pytest.mark.parametrize(
    ("account", "kept"),
    [
        (ANA_CAFE.id, [STUDIO_PAGE, CAFE_ACCOUNT]),
        ("@Cafe.Azul", [STUDIO_PAGE]),
        (CAFE, [STUDIO_PAGE]),
        ("estudio_ana", [CAFE_PAGE, CAFE_ACCOUNT]),
        ("luz.cria", [CAFE_PAGE, STUDIO_PAGE, CAFE_ACCOUNT]),
    ],
)
def test_dropping_an_account_includes_its_page_but_not_vice_versa(
    meta: MetaClient, tokens: dict[str, str], account: str, kept: list[object]
) -> None:
    response = meta.control("POST", "/subscriptions/drop", {"account": account})

    assert response == {"dropped": 3 - len(kept)}
    assert meta.control("GET", "/subscriptions") == kept


def test_token_stays_valid_and_can_subscribe_again(
    meta: MetaClient, instagram: InstagramClient, tokens: dict[str, str]
) -> None:
    meta.control("POST", "/subscriptions/drop", {"account": "cafe.azul"})
    edge = "/v25.0/me/subscribed_apps"

    listed = instagram.call("GET", edge, access_token=tokens[CAFE])
    instagram.call("POST", edge, access_token=tokens[CAFE], subscribed_fields="comments")

    assert listed.json() == {"data": []}
    assert meta.data(f"/{ANA_CAFE.id}/subscribed_apps", access_token=tokens[ANA_CAFE.id]) == {"data": []}
    assert meta.control("GET", "/subscriptions") == [STUDIO_PAGE, CAFE_ACCOUNT]


@pytest.mark.parametrize(
    ("body", "status"),
    [({"account": "nobody"}, 404), ({"account": "Ana Souza"}, 404), ({"account": ""}, 422), ({}, 422)],
)
def test_invalid_drop_request_is_rejected_and_changes_nothing(
    meta: MetaClient, tokens: dict[str, str], body: dict[str, str], status: int
) -> None:
    assert meta.http.post("/_simulator/subscriptions/drop", json=body).status_code == status
    assert len(meta.control("GET", "/subscriptions")) == 3
