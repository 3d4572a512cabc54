import pytest

from meta_simulator.instagram.app_scoped_ids import app_scoped_id
from meta_simulator.seed import LUZ_CREATOR
from tests.support.instagram_client import CAFE, InstagramClient
from tests.support.meta_client import REDIRECT_URI, MetaClient, error_of

FIELDS = "id,user_id,username,name,account_type,profile_picture_url,followers_count,follows_count,media_count"


def test_returns_both_ids_and_the_profile(instagram: InstagramClient) -> None:
    assert instagram.me(instagram.long_token(), FIELDS) == {
        "id": app_scoped_id("7777", CAFE),
        "user_id": CAFE,
        "username": "cafe.azul",
        "name": 'Café "Azul" ☕',
        "account_type": "Business",
        "profile_picture_url": f"http://meta.test/scontent.cdninstagram.com/{CAFE}.svg",
        "followers_count": 18250,
        "follows_count": 312,
        "media_count": 874,
    }


def test_professional_id_is_the_one_that_facebook_login_returns(meta: MetaClient, instagram: InstagramClient) -> None:
    pages = meta.accounts(meta.long_token(), fields="instagram_business_account{username}")

    me = instagram.me(instagram.long_token(), "user_id,username")

    assert pages[0]["instagram_business_account"] == {"id": me["user_id"], "username": me["username"]}


def test_app_scoped_id_differs_per_app(meta: MetaClient, instagram: InstagramClient) -> None:
    other = {"id": "8888", "secret": "s", "product": "instagram", "redirect_uris": [REDIRECT_URI]}
    meta.control("POST", "/apps", other)
    code = instagram.authorize(app_id="8888")
    elsewhere = instagram.exchange(code, client_id="8888", client_secret="s").json()["access_token"]

    here, there = instagram.me(instagram.short_token()), instagram.me(elsewhere)

    assert here["user_id"] == there["user_id"] == CAFE
    assert here["id"] != there["id"]
    assert here["id"] == instagram.me(instagram.short_token())["id"]


def test_returns_only_the_app_scoped_id_by_default(instagram: InstagramClient) -> None:
    response = instagram.get("/me", access_token=instagram.short_token())

    assert response.json() == {"id": app_scoped_id("7777", CAFE)}


def test_documented_format_can_be_selected(meta: MetaClient, instagram: InstagramClient) -> None:
    token = instagram.short_token()
    meta.control("POST", "/settings", {"instagram_answers": "wrapped"})

    assert instagram.me(token, "user_id")["data"] == [{"user_id": CAFE, "id": app_scoped_id("7777", CAFE)}]


@pytest.mark.parametrize(("upper_case", "expected"), [(False, "Media_Creator"), (True, "MEDIA_CREATOR")])
def test_creator_without_a_page_can_log_in(
    meta: MetaClient, instagram: InstagramClient, upper_case: bool, expected: str
) -> None:
    meta.control("POST", "/settings", {"instagram_upper_case_account_types": upper_case})

    me = instagram.me(instagram.long_token(LUZ_CREATOR.username), "user_id,account_type")

    assert (me["user_id"], me["account_type"]) == (LUZ_CREATOR.id, expected)


def test_personal_account_is_accepted_only_if_the_setting_allows(meta: MetaClient, instagram: InstagramClient) -> None:
    body = {"product": "instagram", "person": "pia.privat", "redirect_uri": REDIRECT_URI}
    rejected = meta.http.post("/_simulator/authorize", json=body)
    meta.control("POST", "/settings", {"instagram_personal_accounts": True})

    me = instagram.me(instagram.short_token("pia.privat"), "account_type")

    assert rejected.status_code == 400
    assert me["account_type"] == "PERSONAL"


def test_basic_permission_is_required(instagram: InstagramClient) -> None:
    token = instagram.short_token(declined_scopes=["instagram_business_basic"])

    assert error_of(instagram.get("/me", access_token=token)) == (10, None)


@pytest.mark.parametrize("field", ["nope", "biography", "username{id}"])
def test_unknown_field_is_an_error(instagram: InstagramClient, field: str) -> None:
    rejected = instagram.get("/me", access_token=instagram.short_token(), fields=f"id,{field}")

    assert error_of(rejected) == (100, None)


def test_account_is_reachable_only_by_its_professional_id(instagram: InstagramClient) -> None:
    token = instagram.short_token()

    assert instagram.get(f"/{CAFE}", access_token=token, fields="username").json()["username"] == "cafe.azul"
    assert error_of(instagram.get("/17841400000000002", access_token=token)) == (100, 33)


@pytest.mark.parametrize(("token", "code"), [("", 104), ("IGAAnope", 190), ("7777|the-instagram-secret", 190)])
def test_call_without_a_user_token_is_rejected(instagram: InstagramClient, token: str, code: int) -> None:
    assert error_of(instagram.get("/me", access_token=token)) == (code, None)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [("POST", "/me", 100), ("DELETE", "/me", 100), ("GET", "/me/media", 2500), ("GET", "/", 2500)],
)
def test_unsupported_path_or_method_is_rejected(
    instagram: InstagramClient, method: str, path: str, expected: int
) -> None:
    rejected = instagram.call(method, f"/v25.0{path}", access_token=instagram.short_token())

    assert error_of(rejected) == (expected, None)
