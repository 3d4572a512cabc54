import pytest

from meta_simulator.seed import ANA_CAFE, ANA_STUDIO
from tests.support.meta_client import MetaClient, error_of

EDGE = f"/{ANA_CAFE.id}/subscribed_apps"


@pytest.fixture
def page_token(meta: MetaClient) -> str:
    return meta.page_token(meta.long_token(), ANA_CAFE.id)


def test_app_can_subscribe_list_and_unsubscribe(meta: MetaClient, page_token: str) -> None:
    subscribed = meta.call("POST", EDGE, access_token=page_token, subscribed_fields="messages,feed")
    listed = meta.data(EDGE, access_token=page_token)
    removed = meta.call("DELETE", EDGE, access_token=page_token)

    assert subscribed.json() == {"success": True}
    assert listed == {
        "data": [{"id": meta.app_id, "name": "Instagram Connect", "subscribed_fields": ["messages", "feed"]}]
    }
    assert removed.json() == {"success": True}
    assert meta.data(EDGE, access_token=page_token) == {"data": []}


def test_fields_can_be_a_json_list(meta: MetaClient, page_token: str) -> None:
    response = meta.call("POST", EDGE, access_token=page_token, subscribed_fields='["messages"]')

    assert response.status_code == 200


def test_error_for_an_unknown_field_lists_the_allowed_ones(meta: MetaClient, page_token: str) -> None:
    rejected = meta.call("POST", EDGE, access_token=page_token, subscribed_fields="messages,messaging_seen")

    assert error_of(rejected) == (100, None)
    message = rejected.json()["error"]["message"]
    assert message.startswith("(#100) Param subscribed_fields[1] must be one of {feed, mention, messages")
    assert meta.data(EDGE, access_token=page_token) == {"data": []}


def test_fields_are_required(meta: MetaClient, page_token: str) -> None:
    assert error_of(meta.call("POST", EDGE, access_token=page_token)) == (100, None)


def test_user_token_is_rejected(meta: MetaClient) -> None:
    rejected = meta.call("POST", EDGE, access_token=meta.long_token(), subscribed_fields="messages")

    assert error_of(rejected) == (210, None)


def test_token_of_another_page_is_rejected(meta: MetaClient) -> None:
    other = meta.page_token(meta.long_token(), ANA_STUDIO.id)

    assert error_of(meta.call("POST", EDGE, access_token=other, subscribed_fields="feed")) == (200, None)


def test_subscribing_requires_pages_manage_metadata(meta: MetaClient) -> None:
    token = meta.long_token(declined_scopes=["pages_manage_metadata"])
    page_token = meta.page_token(token, ANA_CAFE.id)

    rejected = meta.call("POST", EDGE, access_token=page_token, subscribed_fields="feed")

    assert error_of(rejected) == (200, None)
    assert "pages_manage_metadata" in rejected.json()["error"]["message"]
