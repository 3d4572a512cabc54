import pytest

from meta_simulator.seed import ANA_CAFE, ANA_STUDIO, BEN_BAKERY, EMEKA_STORE
from tests.support.meta_client import ALL_SCOPES, GRAPH, MetaClient, error_of

EXPANDED = (
    "id,name,access_token,tasks,instagram_business_account{id,username,name,profile_picture_url,"
    "followers_count,follows_count,media_count,biography,website}"
)
DAY = 24 * 60 * 60


def test_lists_pages_with_expanded_instagram_accounts(meta: MetaClient) -> None:
    cafe, studio = meta.accounts(meta.long_token(), fields=EXPANDED)

    assert list(cafe) == ["id", "name", "access_token", "tasks", "instagram_business_account"]
    assert cafe["id"] == ANA_CAFE.id
    assert cafe["name"] == 'Café "Azul" ☕'
    assert cafe["tasks"] == ["ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MESSAGING", "MODERATE", "MANAGE"]
    account = cafe["instagram_business_account"]
    assert account["id"] == "17841400000000001"
    assert account["username"] == "cafe.azul"
    assert account["followers_count"] == 18250
    assert account["biography"].startswith('Fresh coffee & "pão de queijo"')
    assert "website" not in studio["instagram_business_account"]


def test_ids_are_strings_even_beyond_2_to_the_53(meta: MetaClient) -> None:
    studio = meta.accounts(meta.long_token())[1]

    assert studio["id"] == ANA_STUDIO.id
    assert int(studio["id"]) > 2**53


def test_returns_only_the_requested_fields_and_the_id(meta: MetaClient) -> None:
    pages = meta.accounts(meta.long_token(), fields="name,instagram_business_account{username}")

    assert pages[0] == {
        "name": ANA_CAFE.name,
        "instagram_business_account": {"username": "cafe.azul", "id": "17841400000000001"},
        "id": ANA_CAFE.id,
    }


def test_instagram_account_without_subfields_has_only_its_id(meta: MetaClient) -> None:
    pages = meta.accounts(meta.long_token(), fields="instagram_business_account")

    assert pages[0]["instagram_business_account"] == {"id": "17841400000000001"}


def test_pages_have_the_default_fields_unless_requested_otherwise(meta: MetaClient) -> None:
    assert set(meta.accounts(meta.long_token())[0]) == {"access_token", "category", "name", "id", "tasks"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("id,nope", "(#100) Tried accessing nonexisting field (nope) on node type (Page)"),
        (
            "instagram_business_account{account_type}",
            "(#100) Tried accessing nonexisting field (account_type) on node type (IGUser)",
        ),
    ],
)
def test_unknown_field_is_an_error_even_without_any_pages(meta: MetaClient, fields: str, message: str) -> None:
    token = meta.long_token("Chloé Dubois")

    rejected = meta.get("/me/accounts", access_token=token, fields=fields)

    assert error_of(rejected) == (100, None)
    assert rejected.json()["error"]["message"] == message


def test_edge_is_reachable_by_user_id(meta: MetaClient) -> None:
    token = meta.long_token()
    user_id = meta.data("/me", access_token=token)["id"]

    assert len(meta.data(f"/{user_id}/accounts", access_token=token)["data"]) == 2


def test_accounts_of_another_person_are_not_found(meta: MetaClient) -> None:
    token = meta.long_token()

    assert error_of(meta.get("/10220000000000002/accounts", access_token=token)) == (100, 33)


def test_page_tokens_of_a_long_lived_token_never_expire(meta: MetaClient) -> None:
    page_token = meta.page_token(meta.long_token(), ANA_CAFE.id)
    meta.advance(400 * DAY)

    assert meta.data("/me", access_token=page_token) == {"name": ANA_CAFE.name, "id": ANA_CAFE.id}


def test_page_tokens_of_a_short_lived_token_expire_with_it(meta: MetaClient) -> None:
    page_token = meta.page_token(meta.short_token(), ANA_CAFE.id)
    meta.advance(2 * 3600)

    assert error_of(meta.get("/me", access_token=page_token)) == (190, 463)


def test_page_token_is_the_same_on_every_call(meta: MetaClient) -> None:
    token = meta.long_token()

    assert meta.page_token(token, ANA_CAFE.id) == meta.page_token(token, ANA_CAFE.id)


def test_list_is_empty_without_pages_show_list(meta: MetaClient) -> None:
    token = meta.long_token(declined_scopes=["pages_show_list"])

    assert meta.data("/me/accounts", access_token=token) == {"data": []}


def test_list_is_empty_for_a_person_without_pages(meta: MetaClient) -> None:
    assert meta.data("/me/accounts", access_token=meta.long_token("chloe@people.example")) == {"data": []}


def test_page_without_instagram_lacks_the_key(meta: MetaClient) -> None:
    pages = meta.accounts(meta.long_token("Ben Carter"), fields="id,instagram_business_account{id}")

    assert pages == [{"id": BEN_BAKERY.id}]


def test_unticked_account_lacks_the_key(meta: MetaClient) -> None:
    token = meta.long_token(instagram_accounts=["17841400000000002"])

    cafe, studio = meta.accounts(token, fields="id,instagram_business_account{id}")

    assert "instagram_business_account" not in cafe
    assert studio["instagram_business_account"] == {"id": "17841400000000002"}


def test_every_page_lacks_the_key_without_instagram_basic(meta: MetaClient) -> None:
    token = meta.long_token(declined_scopes=["instagram_basic"])

    pages = meta.accounts(token, fields="id,instagram_business_account{id}")

    assert pages == [{"id": ANA_CAFE.id}, {"id": ANA_STUDIO.id}]


def test_unticked_page_is_missing(meta: MetaClient) -> None:
    token = meta.long_token(pages=[ANA_STUDIO.id])

    assert [page["id"] for page in meta.accounts(token)] == [ANA_STUDIO.id]


def test_portfolio_page_requires_business_management(meta: MetaClient) -> None:
    without = [scope for scope in ALL_SCOPES if scope != "business_management"]

    assert meta.accounts(meta.long_token("Emeka Business", scopes=without)) == []
    assert [page["id"] for page in meta.accounts(meta.long_token("Emeka Business"))] == [EMEKA_STORE.id]


def test_people_sharing_a_page_can_have_different_tasks(meta: MetaClient) -> None:
    shared = meta.accounts(meta.long_token("fatima@people.example"), fields="id,tasks")

    assert shared == [{"id": ANA_CAFE.id, "tasks": ["ANALYZE", "MODERATE", "MESSAGING"]}]


def test_page_token_has_no_accounts_edge(meta: MetaClient) -> None:
    page_token = meta.page_token(meta.long_token(), ANA_CAFE.id)

    rejected = meta.get("/me/accounts", access_token=page_token)

    assert rejected.json()["error"]["message"].endswith("nonexisting field (accounts) on node type (Page)")


def test_json_is_compact_with_non_ascii_escaped(meta: MetaClient) -> None:
    response = meta.get("/me/accounts", access_token=meta.long_token(), fields="name", limit=1)

    assert response.content.startswith(rb'{"data":[{"name":"Caf\u00e9 \"Azul\" \u2615","id":"104857600000001"}]')


def test_profile_picture_is_served_by_the_simulator(meta: MetaClient) -> None:
    pages = meta.accounts(meta.long_token(), fields="instagram_business_account{profile_picture_url}")
    url = pages[0]["instagram_business_account"]["profile_picture_url"]

    picture = meta.http.get(url)

    assert url.startswith("http://meta.test/")
    assert picture.headers["content-type"] == "image/svg+xml"


def test_hosts_are_path_prefixes(meta: MetaClient) -> None:
    assert meta.http.get("/v25.0/me").status_code == 404
    assert meta.http.get(f"{GRAPH}/v25.0/me").status_code == 400
