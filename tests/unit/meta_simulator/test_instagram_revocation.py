import pytest

from tests.support.instagram_client import InstagramClient
from tests.support.meta_client import MetaClient, error_of

SUBCODES = {"app_removed": 458, "checkpoint": 459, "password_changed": 460, "expired": 463, "logged_out": 467}


@pytest.mark.parametrize(("reason", "subcode"), SUBCODES.items())
def test_single_token_can_be_revoked_with_a_reason(
    meta: MetaClient, instagram: InstagramClient, reason: str, subcode: int
) -> None:
    ended, other = instagram.long_token(), instagram.long_token()

    response = meta.control("POST", "/tokens/revoke", {"token": ended, "reason": reason})

    assert response == {"revoked": 1}
    assert error_of(instagram.get("/me", access_token=ended)) == (190, subcode)
    assert instagram.get("/me", access_token=other).status_code == 200


@pytest.mark.parametrize("reference", ["cafe.azul", "@Cafe.Azul", "17841400000000001"])
def test_revoking_an_account_revokes_only_its_own_tokens(
    meta: MetaClient, instagram: InstagramClient, reference: str
) -> None:
    short, long = instagram.short_token(), instagram.long_token()
    other, ana_token = instagram.long_token("estudio_ana"), meta.long_token()

    response = meta.control("POST", "/tokens/revoke", {"person": reference, "reason": "password_changed"})

    assert response == {"revoked": 3}  # including the short-lived token behind a long-lived one
    assert error_of(instagram.get("/me", access_token=short)) == (190, 460)
    assert error_of(instagram.get("/me", access_token=long)) == (190, 460)
    assert instagram.get("/me", access_token=other).status_code == 200
    assert meta.get("/me", access_token=ana_token).status_code == 200
    assert instagram.get("/me", access_token=instagram.short_token()).status_code == 200


@pytest.mark.parametrize(
    ("product", "at_facebook", "at_instagram"), [(None, 400, 400), ("facebook", 400, 200), ("instagram", 200, 400)]
)
def test_revoking_a_person_covers_both_products_unless_one_is_named(
    meta: MetaClient, instagram: InstagramClient, product: str | None, at_facebook: int, at_instagram: int
) -> None:
    facebook_token, instagram_token = meta.long_token(), instagram.long_token()

    meta.control("POST", "/tokens/revoke", {"person": "Ana Souza", "reason": "checkpoint", "product": product})

    assert meta.get("/me", access_token=facebook_token).status_code == at_facebook
    assert instagram.get("/me", access_token=instagram_token).status_code == at_instagram


def test_revoking_a_teammate_leaves_the_accounts_tokens_valid(meta: MetaClient, instagram: InstagramClient) -> None:
    token = instagram.long_token()

    meta.control("POST", "/tokens/revoke", {"person": "fatima@people.example", "reason": "logged_out"})

    assert instagram.get("/me", access_token=token).status_code == 200


def test_removing_the_app_removes_grant_and_subscriptions(meta: MetaClient, instagram: InstagramClient) -> None:
    token = instagram.long_token()
    edge = "/v25.0/me/subscribed_apps"
    instagram.call("POST", edge, access_token=token, subscribed_fields="messages")

    meta.control("POST", "/tokens/revoke", {"person": "cafe.azul", "reason": "app_removed"})

    again = instagram.exchange(instagram.authorize(scopes=["instagram_business_basic"])).json()
    assert error_of(instagram.get("/me", access_token=token)) == (190, 458)
    assert again["permissions"] == ["instagram_business_basic"]
    assert instagram.call("GET", edge, access_token=again["access_token"]).json() == {"data": []}


@pytest.mark.parametrize(
    "body", [{"person": "nobody"}, {"token": "IGAAnope"}, {"person": "cafe.azul", "product": "facebook"}]
)
def test_unknown_token_person_or_account_is_rejected(meta: MetaClient, body: dict[str, str]) -> None:
    rejected = meta.http.post("/_simulator/tokens/revoke", json={"reason": "expired", **body})

    assert rejected.status_code == 404


def test_revoked_token_is_neither_extended_nor_refreshed(meta: MetaClient, instagram: InstagramClient) -> None:
    short, long = instagram.short_token(), instagram.long_token()
    meta.control("POST", "/tokens/revoke", {"person": "cafe.azul", "reason": "logged_out"})

    assert error_of(instagram.extend(short)) == (190, 467)
    assert error_of(instagram.refresh(long)) == (190, 467)
