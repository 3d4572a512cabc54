import httpx
import pytest

from tests.support.instagram_client import GRAPH, InstagramClient
from tests.support.meta_client import MetaClient, error_of

HOUR = 60 * 60
DAY = 24 * HOUR
LONG_LIVED_S = 5183944
UNSUPPORTED = "Unsupported request - method type: get"


def _message(response: httpx.Response) -> str:
    return str(response.json()["error"]["message"])


def test_short_lived_token_expires_after_one_hour(meta: MetaClient, instagram: InstagramClient) -> None:
    token = instagram.short_token()
    meta.advance(HOUR - 1)

    assert instagram.get("/me", access_token=token).status_code == 200

    meta.advance(1)

    assert error_of(instagram.get("/me", access_token=token)) == (190, 463)


def test_short_lived_token_is_exchanged_for_a_60_day_token(meta: MetaClient, instagram: InstagramClient) -> None:
    short = instagram.short_token()

    response = instagram.extend(short).json()

    assert response["access_token"].startswith("IGAA")
    assert response["access_token"] != short
    assert (response["token_type"], response["expires_in"]) == ("bearer", LONG_LIVED_S)
    meta.advance(LONG_LIVED_S)
    assert error_of(instagram.get("/me", access_token=response["access_token"])) == (190, 463)


def test_expired_short_lived_token_cannot_be_extended(meta: MetaClient, instagram: InstagramClient) -> None:
    token = instagram.short_token()
    meta.advance(HOUR)

    assert error_of(instagram.extend(token)) == (190, 463)


@pytest.mark.parametrize(
    ("overrides", "code"),
    [
        ({"client_secret": "wrong"}, 1),
        ({"client_secret": "the-app-secret"}, 1),
        ({"client_secret": ""}, 100),
        ({"grant_type": "fb_exchange_token"}, 100),
        ({"access_token": ""}, 104),
        ({"access_token": "IGAAnope"}, 190),
    ],
)
def test_invalid_extension_is_rejected(instagram: InstagramClient, overrides: dict[str, str], code: int) -> None:
    token = instagram.short_token()

    assert error_of(instagram.extend(token, **overrides)) == (code, None)


def test_long_lived_token_cannot_be_extended_again(instagram: InstagramClient) -> None:
    rejected = instagram.extend(instagram.long_token())

    assert error_of(rejected) == (100, None)
    assert _message(rejected) == UNSUPPORTED


@pytest.mark.parametrize("path", ["/access_token", "/refresh_access_token"])
def test_token_endpoints_accept_only_get_without_a_version(instagram: InstagramClient, path: str) -> None:
    posted = instagram.call("POST", path, grant_type="ig_exchange_token")
    versioned = instagram.call("GET", f"/v25.0{path}")

    assert error_of(posted) == (100, None)
    assert _message(posted) == "Unsupported request - method type: post"
    assert error_of(versioned) == (2500, None)


def test_refresh_after_24_hours_gives_60_days_from_then(meta: MetaClient, instagram: InstagramClient) -> None:
    token = instagram.long_token()
    meta.advance(DAY)

    response = instagram.refresh(token).json()

    assert response["access_token"] != token
    assert (response["token_type"], response["expires_in"]) == ("bearer", LONG_LIVED_S)
    meta.advance(LONG_LIVED_S - 1)
    assert instagram.get("/me", access_token=response["access_token"]).status_code == 200
    assert error_of(instagram.get("/me", access_token=token)) == (190, 463)


def test_refresh_can_keep_the_token_string(meta: MetaClient, instagram: InstagramClient) -> None:
    meta.control("POST", "/settings", {"instagram_refresh_changes_token": False})
    token = instagram.long_token()
    meta.advance(DAY)

    response = instagram.refresh(token).json()

    assert (response["access_token"], response["expires_in"]) == (token, LONG_LIVED_S)
    meta.advance(LONG_LIVED_S - 1)
    assert instagram.get("/me", access_token=token).status_code == 200


def test_token_younger_than_24_hours_cannot_be_refreshed(meta: MetaClient, instagram: InstagramClient) -> None:
    token = instagram.long_token()
    meta.advance(DAY - 1)

    rejected = instagram.refresh(token)

    assert error_of(rejected) == (100, None)
    assert _message(rejected) == UNSUPPORTED


def test_refreshed_token_cannot_be_refreshed_for_24_hours(meta: MetaClient, instagram: InstagramClient) -> None:
    token = instagram.long_token()
    meta.advance(DAY)

    assert error_of(instagram.refresh(instagram.refresh(token).json()["access_token"])) == (100, None)


def test_refreshed_token_with_the_same_string_cannot_be_refreshed_for_24_hours(
    meta: MetaClient, instagram: InstagramClient
) -> None:
    meta.control("POST", "/settings", {"instagram_refresh_changes_token": False})
    token = instagram.long_token()
    meta.advance(DAY)
    instagram.refresh(token)
    meta.advance(DAY - 1)

    assert error_of(instagram.refresh(token)) == (100, None)

    meta.advance(1)

    assert instagram.refresh(token).json()["expires_in"] == LONG_LIVED_S


def test_short_lived_token_cannot_be_refreshed(instagram: InstagramClient) -> None:
    assert error_of(instagram.refresh(instagram.short_token())) == (100, None)


@pytest.mark.parametrize("changes_token", [True, False])
def test_expired_token_cannot_be_refreshed(meta: MetaClient, instagram: InstagramClient, changes_token: bool) -> None:
    meta.control("POST", "/settings", {"instagram_refresh_changes_token": changes_token})
    token = instagram.long_token()
    meta.advance(LONG_LIVED_S)

    assert error_of(instagram.refresh(token)) == (190, 463)


def test_refresh_requires_the_basic_permission(meta: MetaClient, instagram: InstagramClient) -> None:
    token = instagram.long_token()
    meta.advance(DAY)
    instagram.authorize(declined_scopes=["instagram_business_basic"])

    assert error_of(instagram.refresh(token)) == (10, None)


def test_expires_in_can_be_left_out(meta: MetaClient, instagram: InstagramClient) -> None:
    meta.control("POST", "/settings", {"omit_expires_in": True})

    assert set(instagram.extend(instagram.short_token()).json()) == {"access_token", "token_type"}


def test_each_product_rejects_the_others_tokens(meta: MetaClient, instagram: InstagramClient) -> None:
    instagram_token, facebook_token = instagram.long_token(), meta.long_token()

    at_facebook = meta.get("/me", access_token=instagram_token)
    at_instagram = instagram.get("/me", access_token=facebook_token)

    assert error_of(at_facebook) == error_of(at_instagram) == (190, None)
    assert "Cannot parse access token" in _message(at_facebook)
    assert _message(at_instagram) == "Invalid OAuth access token - Cannot parse access token"
    assert meta.debug(instagram_token)["is_valid"] is False
    assert error_of(instagram.refresh(facebook_token)) == (190, None)
    assert error_of(instagram.extend(facebook_token)) == (190, None)


@pytest.mark.parametrize(("asked", "served"), [("/v26.0/me", "v26.0"), ("/v21.0/me", "v22.0"), ("/me", "v22.0")])
def test_versions_are_served_as_at_facebook(instagram: InstagramClient, asked: str, served: str) -> None:
    response = instagram.meta.http.get(GRAPH + asked, params={"access_token": instagram.short_token()})

    assert response.status_code == 200
    assert response.headers["facebook-api-version"] == served
