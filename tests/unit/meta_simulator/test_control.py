from urllib.parse import parse_qs, urlsplit

import pytest

from meta_simulator.meta_apps import (
    DEFAULT_APP_ID,
    DEFAULT_INSTAGRAM_APP_ID,
    DEFAULT_REDIRECT_URI,
    app_from_environment,
    instagram_app_from_environment,
)
from meta_simulator.seed import ANA_CAFE
from tests.support.instagram_client import InstagramClient
from tests.support.meta_client import REDIRECT_URI, MetaClient, error_of


def test_health_lists_the_apps_and_base_urls(meta: MetaClient) -> None:
    assert meta.control("GET", "/health") == {
        "status": "ok",
        "app_id": "1111",
        "facebook_graph_url": "http://meta.test/graph.facebook.com",
        "facebook_dialog_url": "http://meta.test/www.facebook.com",
        "instagram_app_id": "7777",
        "instagram_graph_url": "http://meta.test/graph.instagram.com",
        "instagram_api_url": "http://meta.test/api.instagram.com",
        "instagram_dialog_url": "http://meta.test/www.instagram.com",
    }


def test_authorize_returns_the_dialogs_redirect(meta: MetaClient) -> None:
    body = {"person": "ana@people.example", "redirect_uri": REDIRECT_URI, "state": "a&b"}

    response = meta.control("POST", "/authorize", body)

    url = urlsplit(response["redirect_url"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == REDIRECT_URI
    assert parse_qs(url.query) == {"code": [response["code"]], "state": ["a&b"]}
    assert url.fragment == ""


def test_authorize_returns_the_instagram_dialogs_redirect(meta: MetaClient) -> None:
    body = {"product": "instagram", "person": "cafe.azul", "redirect_uri": REDIRECT_URI, "state": "a&b"}

    response = meta.control("POST", "/authorize", body)

    url = urlsplit(response["redirect_url"])
    assert parse_qs(url.query) == {"code": [response["code"]], "state": ["a&b"]}
    assert response["redirect_url"].endswith("#_")


@pytest.mark.parametrize("person", ["CAFE.azul", "@cafe.azul", "17841400000000001", "Ana Souza", "ana@people.example"])
def test_instagram_login_accepts_a_username_an_id_or_a_person(
    meta: MetaClient, instagram: InstagramClient, person: str
) -> None:
    assert instagram.me(instagram.short_token(person))["username"] == "cafe.azul"


@pytest.mark.parametrize(
    ("overrides", "status"),
    [
        ({"person": "nobody"}, 404),
        ({"person": "Ben Carter"}, 404),
        ({"redirect_uri": "https://evil.example"}, 400),
        ({"redirect_uri": None}, 422),
        ({"scopes": ["instagram_basic"]}, 400),
        ({"app_id": "1111"}, 404),
        ({"pages": []}, 422),
        ({"response_type": "token"}, 422),
    ],
)
def test_authorize_rejects_what_the_instagram_dialog_would_reject(
    meta: MetaClient, overrides: dict[str, object], status: int
) -> None:
    body = {"product": "instagram", "person": "cafe.azul", "redirect_uri": REDIRECT_URI, **overrides}

    assert meta.http.post("/_simulator/authorize", json=body).status_code == status


@pytest.mark.parametrize("app_id", ["1111", "2222"])
def test_response_type_token_returns_a_short_lived_user_token(meta: MetaClient, app_id: str) -> None:
    meta.control("POST", "/apps", {"id": "2222", "secret": "s"})
    body = {"response_type": "token", "person": "Ana Souza", "app_id": app_id, "scopes": "pages_show_list"}

    response = meta.control("POST", "/authorize", body)

    token = response["access_token"]
    assert set(response) == {"access_token"}
    assert len(meta.accounts(token)) == 2
    meta.advance(2 * 3600)
    assert error_of(meta.get("/me", access_token=token)) == (190, 463)


def test_response_type_token_binds_the_token_to_the_app(meta: MetaClient) -> None:
    token = meta.control("POST", "/authorize", {"response_type": "token", "person": "Ana Souza"})["access_token"]

    assert meta.debug(token)["app_id"] == "1111"
    assert meta.extend(token).status_code == 200


def test_redirect_can_end_with_facebooks_fragment(meta: MetaClient) -> None:
    meta.control("POST", "/settings", {"append_fragment": True})

    response = meta.control("POST", "/authorize", {"person": "Ana Souza", "redirect_uri": REDIRECT_URI})

    assert response["redirect_url"].endswith("#_=_")


@pytest.mark.parametrize(
    ("overrides", "status"),
    [
        ({"person": "Nobody"}, 404),
        ({"redirect_uri": "https://evil.example"}, 400),
        ({"scopes": ["instagram_business_basic"]}, 400),
        ({"app_id": "999"}, 404),
        ({"surprise": 1}, 422),
    ],
)
def test_authorize_rejects_what_the_dialog_would_reject(
    meta: MetaClient, overrides: dict[str, object], status: int
) -> None:
    body = {"person": "Ana Souza", "redirect_uri": REDIRECT_URI, **overrides}

    assert meta.http.post("/_simulator/authorize", json=body).status_code == status


def test_reset_restores_the_initial_state(meta: MetaClient) -> None:
    token = meta.long_token()
    before = meta.control("GET", "/clock")
    meta.advance(3600)
    meta.control("POST", "/settings", {"require_app_secret": True})
    meta.control("POST", "/faults", {"operation": "read_me", "error": "blocked"})
    meta.control("POST", "/people", {"name": "New", "email": "new@people.example"})

    meta.control("POST", "/reset")

    assert meta.control("GET", "/calls") == []
    assert meta.control("GET", "/faults") == []
    assert meta.control("GET", "/settings")["require_app_secret"] is False
    assert len(meta.control("GET", "/people")) == 6
    assert meta.control("GET", "/clock") == before
    assert error_of(meta.get("/me", access_token=token)) == (190, None)


def test_clock_can_be_set(meta: MetaClient) -> None:
    moved = meta.control("POST", "/clock", {"now": "2027-01-01T00:00:00+01:00"})

    assert moved == {"now": "2026-12-31T23:00:00+00:00"}


@pytest.mark.parametrize("body", [{}, {"now": "2027-01-01T00:00:00"}, {"advance_seconds": 1, "now": None, "x": 1}])
def test_ambiguous_clock_change_is_rejected(meta: MetaClient, body: dict[str, object]) -> None:
    assert meta.http.post("/_simulator/clock", json=body).status_code == 422


def test_added_person_can_log_in_and_has_their_pages(meta: MetaClient) -> None:
    body = {
        "name": "Zoë Ünal",
        "email": "zoe@people.example",
        "pages": [
            {"name": "Zoë's", "tasks": ["ANALYZE"], "instagram": {"username": "zoe", "followers_count": 5}},
            {"id": ANA_CAFE.id},
        ],
    }

    added = meta.control("POST", "/people", body)

    own = meta.accounts(meta.long_token("Zoë Ünal"), fields="id,tasks,instagram_business_account{username}")
    assert [page["id"] for page in own] == [added["pages"][0]["id"], ANA_CAFE.id]
    assert own[0]["tasks"] == ["ANALYZE"]
    assert own[0]["instagram_business_account"]["username"] == "zoe"


@pytest.mark.parametrize(
    ("overrides", "status"),
    [
        ({"email": "ANA@people.example"}, 409),
        ({"id": ANA_CAFE.id}, 409),
        ({"pages": [{"name": "Twice", "id": ANA_CAFE.id}]}, 409),
        ({"pages": [{"name": "A", "id": "7"}, {"name": "B", "id": "7"}]}, 409),
        ({"pages": [{"name": "A", "instagram": {"username": "cafe.azul"}}]}, 409),
        ({"pages": [{"id": "404"}]}, 404),
        ({"email": ""}, 422),
    ],
)
def test_invalid_person_is_rejected_and_leaves_nothing_behind(
    meta: MetaClient, overrides: dict[str, object], status: int
) -> None:
    before = meta.control("GET", "/people")

    rejected = meta.http.post("/_simulator/people", json={"name": "New", "email": "new@people.example", **overrides})

    assert rejected.status_code == status
    assert meta.control("GET", "/people") == before


def test_added_account_without_a_page_can_log_in(meta: MetaClient, instagram: InstagramClient) -> None:
    body = {"instagram": {"username": "solo", "account_type": "Media_Creator", "followers_count": 5}}

    added = meta.control("POST", "/people", body)["instagram"]

    me = instagram.me(instagram.long_token("solo"), "user_id,account_type,followers_count")
    assert (me["user_id"], me["account_type"], me["followers_count"]) == (added["id"], "Media_Creator", 5)
    assert meta.control("GET", "/instagram_accounts")[-1] == {**added, "page": None}


@pytest.mark.parametrize(
    ("account", "status"),
    [
        ({"username": "Cafe.Azul"}, 409),
        ({"username": "new", "id": "17841400000000001"}, 409),
        ({"username": "new", "id": ANA_CAFE.id}, 409),
        ({"username": "new", "account_type": "Robot"}, 422),
        ({}, 422),
    ],
)
def test_invalid_account_is_rejected(meta: MetaClient, account: dict[str, str], status: int) -> None:
    before = meta.control("GET", "/instagram_accounts")

    rejected = meta.http.post("/_simulator/people", json={"instagram": account})

    assert rejected.status_code == status
    assert meta.control("GET", "/instagram_accounts") == before


def test_instagram_accounts_are_listed_with_their_pages(meta: MetaClient) -> None:
    accounts = {account["username"]: account for account in meta.control("GET", "/instagram_accounts")}

    assert len(accounts) == 113
    assert accounts["cafe.azul"]["page"] == ANA_CAFE.id
    assert (accounts["luz.cria"]["page"], accounts["luz.cria"]["account_type"]) == (None, "Media_Creator")
    assert accounts["pia.privat"]["account_type"] == "PERSONAL"


def test_settings_change_individually_and_unknown_ones_are_rejected(meta: MetaClient) -> None:
    updated = meta.control("POST", "/settings", {"max_page_size": 7})

    assert updated["max_page_size"] == 7
    assert updated["empty_pages"] is False
    assert meta.http.post("/_simulator/settings", json={"nope": 1}).status_code == 422
    assert meta.http.post("/_simulator/settings", json=[1]).status_code == 400


def test_app_secret_can_be_replaced(meta: MetaClient) -> None:
    meta.control("POST", "/apps", {"id": meta.app_id, "secret": "new", "redirect_uris": [REDIRECT_URI]})

    assert error_of(meta.exchange(meta.authorize())) == (1, None)
    assert "new" not in meta.http.get("/_simulator/apps").text


def test_non_json_body_is_rejected(meta: MetaClient) -> None:
    assert meta.http.post("/_simulator/clock", content=b"{").status_code == 400


def test_errors_do_not_echo_secrets(meta: MetaClient) -> None:
    rejected = meta.http.post("/_simulator/tokens/revoke", json={"token": "EAAsecret", "reason": "nope"})

    assert rejected.status_code == 422
    assert "EAAsecret" not in rejected.text


def test_app_is_configured_by_the_environment_with_defaults() -> None:
    app = app_from_environment(
        {
            "FACEBOOK_APP_ID": "42",
            "FACEBOOK_APP_SECRET": "s3",
            "FACEBOOK_REDIRECT_URIS": "https://a.example, https://b.example",
        }
    )
    default = app_from_environment({"FACEBOOK_APP_ID": ""})
    instagram = instagram_app_from_environment({"FACEBOOK_APP_ID": "42", "INSTAGRAM_APP_SECRET": "s4"})

    assert (app.id, app.secret, app.redirect_uris) == ("42", "s3", ("https://a.example", "https://b.example"))
    assert (default.id, default.redirect_uris) == (DEFAULT_APP_ID, (DEFAULT_REDIRECT_URI,))
    assert "s3" not in repr(app)
    assert (instagram.id, instagram.secret) == (DEFAULT_INSTAGRAM_APP_ID, "s4")
    assert instagram.redirect_uris == (DEFAULT_REDIRECT_URI,)
