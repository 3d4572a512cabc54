import pytest

from meta_simulator.instagram.app_scoped_ids import app_scoped_id
from meta_simulator.seed import LUZ_CREATOR
from tests.support.instagram_client import CAFE, InstagramClient
from tests.support.meta_client import REDIRECT_URI, MetaClient, error_of

FIELDS = "id,user_id,username,name,account_type,profile_picture_url,followers_count,follows_count,media_count"


def test_an_account_has_two_ids_and_its_profile(instagram: InstagramClient) -> None:
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


def test_it_is_the_account_that_facebook_login_shows(meta: MetaClient, instagram: InstagramClient) -> None:
    pages = meta.accounts(meta.long_token(), fields="instagram_business_account{username}")

    me = instagram.me(instagram.long_token(), "user_id,username")

    assert pages[0]["instagram_business_account"] == {"id": me["user_id"], "username": me["username"]}


def test_the_app_scoped_id_is_another_in_every_app(meta: MetaClient, instagram: InstagramClient) -> None:
    other = {"id": "8888", "secret": "s", "product": "instagram", "redirect_uris": [REDIRECT_URI]}
    meta.control("POST", "/apps", other)
    code = instagram.authorize(app_id="8888")
    elsewhere = instagram.exchange(code, client_id="8888", client_secret="s").json()["access_token"]

    here, there = instagram.me(instagram.short_token()), instagram.me(elsewhere)

    assert here["user_id"] == there["user_id"] == CAFE
    assert here["id"] != there["id"]
    assert here["id"] == instagram.me(instagram.short_token())["id"]


def test_without_fields_there_is_the_app_scoped_id_only(instagram: InstagramClient) -> None:
    answer = instagram.get("/me", access_token=instagram.short_token())

    assert answer.json() == {"id": app_scoped_id("7777", CAFE)}


def test_the_documented_shape_can_be_chosen(meta: MetaClient, instagram: InstagramClient) -> None:
    token = instagram.short_token()
    meta.control("POST", "/settings", {"instagram_answers": "wrapped"})

    assert instagram.me(token, "user_id")["data"] == [{"user_id": CAFE, "id": app_scoped_id("7777", CAFE)}]


@pytest.mark.parametrize(("upper_case", "expected"), [(False, "Media_Creator"), (True, "MEDIA_CREATOR")])
def test_a_creator_without_a_page_can_log_in(
    meta: MetaClient, instagram: InstagramClient, upper_case: bool, expected: str
) -> None:
    meta.control("POST", "/settings", {"instagram_upper_case_account_types": upper_case})

    me = instagram.me(instagram.long_token(LUZ_CREATOR.username), "user_id,account_type")

    assert (me["user_id"], me["account_type"]) == (LUZ_CREATOR.id, expected)


def test_a_personal_account_gets_through_only_if_the_setting_says_so(
    meta: MetaClient, instagram: InstagramClient
) -> None:
    body = {"product": "instagram", "person": "pia.privat", "redirect_uri": REDIRECT_URI}
    refused = meta.http.post("/_simulator/authorize", json=body)
    meta.control("POST", "/settings", {"instagram_personal_accounts": True})

    me = instagram.me(instagram.short_token("pia.privat"), "account_type")

    assert refused.status_code == 400
    assert me["account_type"] == "PERSONAL"


def test_the_basic_permission_is_needed(instagram: InstagramClient) -> None:
    token = instagram.short_token(declined_scopes=["instagram_business_basic"])

    assert error_of(instagram.get("/me", access_token=token)) == (10, None)


@pytest.mark.parametrize("field", ["nope", "biography", "username{id}"])
def test_a_field_that_is_not_there_is_an_error(instagram: InstagramClient, field: str) -> None:
    refused = instagram.get("/me", access_token=instagram.short_token(), fields=f"id,{field}")

    assert error_of(refused) == (100, None)


def test_an_account_is_reached_by_its_professional_id_and_no_other(instagram: InstagramClient) -> None:
    token = instagram.short_token()

    assert instagram.get(f"/{CAFE}", access_token=token, fields="username").json()["username"] == "cafe.azul"
    assert error_of(instagram.get("/17841400000000002", access_token=token)) == (100, 33)


@pytest.mark.parametrize(("token", "code"), [("", 104), ("IGAAnope", 190), ("7777|the-instagram-secret", 190)])
def test_a_call_without_an_accounts_token_is_refused(instagram: InstagramClient, token: str, code: int) -> None:
    assert error_of(instagram.get("/me", access_token=token)) == (code, None)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [("POST", "/me", 100), ("DELETE", "/me", 100), ("GET", "/me/media", 2500), ("GET", "/", 2500)],
)
def test_what_is_not_played_is_refused(instagram: InstagramClient, method: str, path: str, expected: int) -> None:
    refused = instagram.call(method, f"/v25.0{path}", access_token=instagram.short_token())

    assert error_of(refused) == (expected, None)
