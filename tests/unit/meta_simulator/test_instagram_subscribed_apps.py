import pytest

from tests.support.instagram_client import CAFE, InstagramClient
from tests.support.meta_client import MetaClient, error_of


@pytest.fixture
def token(instagram: InstagramClient) -> str:
    return instagram.long_token()


@pytest.mark.parametrize("account", ["me", CAFE])
def test_app_can_subscribe_list_and_unsubscribe(instagram: InstagramClient, token: str, account: str) -> None:
    edge = f"/v25.0/{account}/subscribed_apps"

    subscribed = instagram.call("POST", edge, access_token=token, subscribed_fields="messages,comments")
    listed = instagram.call("GET", edge, access_token=token)
    removed = instagram.call("DELETE", edge, access_token=token)

    assert subscribed.json() == {"success": True}
    assert listed.json() == {
        "data": [{"id": "7777", "name": "Instagram Connect", "subscribed_fields": ["messages", "comments"]}]
    }
    assert removed.json() == {"success": True}
    assert instagram.call("GET", edge, access_token=token).json() == {"data": []}
    assert instagram.call("DELETE", edge, access_token=token).json() == {"success": True}


def test_error_for_an_unknown_field_lists_the_allowed_ones(instagram: InstagramClient, token: str) -> None:
    edge = "/v25.0/me/subscribed_apps"

    rejected = instagram.call("POST", edge, access_token=token, subscribed_fields="messages,feed")

    assert error_of(rejected) == (100, None)
    message = rejected.json()["error"]["message"]
    assert message.startswith("(#100) Param subscribed_fields[1] must be one of {comments, live_comments, mentions, ")
    assert message.endswith('story_insights} - got "feed".')
    assert instagram.call("GET", edge, access_token=token).json() == {"data": []}


def test_fields_are_required(instagram: InstagramClient, token: str) -> None:
    assert error_of(instagram.call("POST", "/v25.0/me/subscribed_apps", access_token=token)) == (100, None)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_another_account_is_not_found(instagram: InstagramClient, token: str, method: str) -> None:
    edge = "/v25.0/17841400000000002/subscribed_apps"

    rejected = instagram.call(method, edge, access_token=token, subscribed_fields="messages")

    assert error_of(rejected) == (100, 33)


def test_app_token_is_rejected(instagram: InstagramClient) -> None:
    app_token = f"{instagram.app_id}|{instagram.app_secret}"

    rejected = instagram.call("DELETE", f"/v25.0/{CAFE}/subscribed_apps", access_token=app_token)

    assert error_of(rejected) == (190, None)
    assert rejected.json()["error"]["message"] == "Access token does not contain a valid app ID"


def test_basic_permission_is_required(instagram: InstagramClient) -> None:
    token = instagram.short_token(declined_scopes=["instagram_business_basic"])

    rejected = instagram.call("POST", "/v25.0/me/subscribed_apps", access_token=token, subscribed_fields="messages")

    assert error_of(rejected) == (10, None)


def test_subscriptions_of_the_products_are_separate(meta: MetaClient, instagram: InstagramClient, token: str) -> None:
    instagram.call("POST", "/v25.0/me/subscribed_apps", access_token=token, subscribed_fields="messages")
    page_id = "104857600000001"
    page_token = meta.page_token(meta.long_token(), page_id)

    assert meta.data(f"/{page_id}/subscribed_apps", access_token=page_token) == {"data": []}
