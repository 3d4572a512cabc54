import pytest

from meta_simulator.seed import ANA_CAFE
from tests.support.meta_client import MetaClient, error_of


def _statuses(meta: MetaClient, token: str) -> dict[str, str]:
    response = meta.data("/me/permissions", access_token=token)
    return {entry["permission"]: entry["status"] for entry in response["data"]}


def test_granted_and_declined_permissions_are_listed(meta: MetaClient) -> None:
    token = meta.short_token(scopes="instagram_basic,pages_show_list", declined_scopes="instagram_basic")

    assert _statuses(meta, token) == {
        "public_profile": "granted",
        "instagram_basic": "declined",
        "pages_show_list": "granted",
    }


def test_later_login_adds_permissions(meta: MetaClient) -> None:
    meta.authorize(scopes=["instagram_basic"])

    token = meta.short_token(scopes=["pages_show_list"])

    assert _statuses(meta, token)["instagram_basic"] == "granted"


def test_latest_login_wins_for_a_permission_requested_again(meta: MetaClient) -> None:
    first = meta.short_token(scopes=["pages_show_list"], declined_scopes=["instagram_basic"])
    meta.authorize(scopes=["instagram_basic"], declined_scopes=["pages_show_list"])

    statuses = _statuses(meta, first)

    assert (statuses["instagram_basic"], statuses["pages_show_list"]) == ("granted", "declined")


def test_grants_are_separate_per_app(meta: MetaClient) -> None:
    redirect_uri = "https://other.example"
    meta.control("POST", "/apps", {"id": "2222", "secret": "s", "redirect_uris": [redirect_uri]})
    meta.authorize(scopes=["instagram_basic"], app_id="2222", redirect_uri=redirect_uri)

    assert "instagram_basic" not in _statuses(meta, meta.short_token(scopes=["pages_show_list"]))


def test_permission_can_be_revoked(meta: MetaClient) -> None:
    token = meta.short_token()

    response = meta.call("DELETE", "/me/permissions/instagram_basic", access_token=token)

    assert response.json() == {"success": True}
    assert _statuses(meta, token)["instagram_basic"] == "declined"


@pytest.mark.parametrize("with_app_token", [True, False])
def test_removing_the_app_revokes_all_its_tokens(meta: MetaClient, with_app_token: bool) -> None:
    token = meta.long_token()
    page_token = meta.accounts(token)[0]["access_token"]
    user_id = meta.data("/me", access_token=token)["id"]

    meta.call("DELETE", f"/{user_id}/permissions", access_token=meta.app_token if with_app_token else token)

    assert error_of(meta.get("/me", access_token=token)) == (190, 458)
    assert error_of(meta.get("/me", access_token=page_token)) == (190, 458)


def test_removing_the_app_removes_page_subscriptions_made_with_the_persons_tokens(meta: MetaClient) -> None:
    token = meta.long_token()
    edge = f"/{ANA_CAFE.id}/subscribed_apps"
    page_token = meta.page_token(token, ANA_CAFE.id)
    meta.call("POST", edge, access_token=page_token, subscribed_fields="feed")

    meta.call("DELETE", "/me/permissions", access_token=token)

    again = meta.page_token(meta.long_token(), ANA_CAFE.id)
    assert meta.data(edge, access_token=again) == {"data": []}


def test_removing_the_app_keeps_a_colleagues_subscription(meta: MetaClient) -> None:
    edge = f"/{ANA_CAFE.id}/subscribed_apps"
    colleagues = meta.page_token(meta.long_token("fatima@people.example"), ANA_CAFE.id)
    meta.call("POST", edge, access_token=colleagues, subscribed_fields="feed")

    meta.call("DELETE", "/me/permissions", access_token=meta.long_token())

    assert len(meta.data(edge, access_token=colleagues)["data"]) == 1


def test_portfolio_page_is_not_listed_without_business_management(meta: MetaClient) -> None:
    declined = meta.long_token("Emeka Business", declined_scopes=["business_management"])

    assert _statuses(meta, declined)["business_management"] == "declined"
    assert meta.accounts(declined) == []

    assert len(meta.accounts(meta.long_token("Emeka Business"))) == 1


def test_unknown_permission_cannot_be_revoked(meta: MetaClient) -> None:
    rejected = meta.call("DELETE", "/me/permissions/nope", access_token=meta.short_token())

    assert error_of(rejected) == (100, None)


@pytest.mark.parametrize(("scopes", "has_email"), [(["email"], True), (["pages_show_list"], False)])
def test_e_mail_address_requires_its_permission(meta: MetaClient, scopes: list[str], has_email: bool) -> None:
    me = meta.data("/me", access_token=meta.short_token(scopes=scopes), fields="id,email")

    assert ("email" in me) is has_email
