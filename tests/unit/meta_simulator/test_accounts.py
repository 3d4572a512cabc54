import pytest

from meta_simulator.seed import ANA_CAFE, ANA_STUDIO, BEN_BAKERY, EMEKA_STORE
from tests.support.meta_client import ALL_SCOPES, GRAPH, MetaClient, error_of

EXPANDED = (
    "id,name,access_token,tasks,instagram_business_account{id,username,name,profile_picture_url,"
    "followers_count,follows_count,media_count,biography,website}"
)
DAY = 24 * 60 * 60


def test_pages_come_with_their_instagram_accounts_as_expanded(meta: MetaClient) -> None:
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


def test_ids_are_text_also_beyond_2_to_the_53(meta: MetaClient) -> None:
    studio = meta.accounts(meta.long_token())[1]

    assert studio["id"] == ANA_STUDIO.id
    assert int(studio["id"]) > 2**53


def test_only_the_requested_fields_and_the_id_are_returned(meta: MetaClient) -> None:
    pages = meta.accounts(meta.long_token(), fields="name,instagram_business_account{username}")

    assert pages[0] == {
        "name": ANA_CAFE.name,
        "instagram_business_account": {"username": "cafe.azul", "id": "17841400000000001"},
        "id": ANA_CAFE.id,
    }


def test_an_instagram_account_asked_for_without_fields_is_its_id(meta: MetaClient) -> None:
    pages = meta.accounts(meta.long_token(), fields="instagram_business_account")

    assert pages[0]["instagram_business_account"] == {"id": "17841400000000001"}


def test_without_fields_pages_have_the_default_ones(meta: MetaClient) -> None:
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
def test_an_unknown_field_is_an_error_even_for_somebody_without_pages(
    meta: MetaClient, fields: str, message: str
) -> None:
    token = meta.long_token("Chloé Dubois")

    refused = meta.get("/me/accounts", access_token=token, fields=fields)

    assert error_of(refused) == (100, None)
    assert refused.json()["error"]["message"] == message


def test_the_edge_is_reached_by_the_users_id_too(meta: MetaClient) -> None:
    token = meta.long_token()
    user_id = meta.data("/me", access_token=token)["id"]

    assert len(meta.data(f"/{user_id}/accounts", access_token=token)["data"]) == 2


def test_somebody_elses_accounts_are_not_there(meta: MetaClient) -> None:
    token = meta.long_token()

    assert error_of(meta.get("/10220000000000002/accounts", access_token=token)) == (100, 33)


def test_page_tokens_of_a_long_token_never_expire(meta: MetaClient) -> None:
    page_token = meta.page_token(meta.long_token(), ANA_CAFE.id)
    meta.advance(400 * DAY)

    assert meta.data("/me", access_token=page_token) == {"name": ANA_CAFE.name, "id": ANA_CAFE.id}


def test_page_tokens_of_a_short_token_end_with_it(meta: MetaClient) -> None:
    page_token = meta.page_token(meta.short_token(), ANA_CAFE.id)
    meta.advance(2 * 3600)

    assert error_of(meta.get("/me", access_token=page_token)) == (190, 463)


def test_the_same_token_gets_the_same_page_token_every_time(meta: MetaClient) -> None:
    token = meta.long_token()

    assert meta.page_token(token, ANA_CAFE.id) == meta.page_token(token, ANA_CAFE.id)


def test_without_pages_show_list_there_is_no_data_and_no_error(meta: MetaClient) -> None:
    token = meta.long_token(declined_scopes=["pages_show_list"])

    assert meta.data("/me/accounts", access_token=token) == {"data": []}


def test_somebody_without_pages_has_no_data(meta: MetaClient) -> None:
    assert meta.data("/me/accounts", access_token=meta.long_token("chloe@people.example")) == {"data": []}


def test_a_page_without_instagram_lacks_the_key(meta: MetaClient) -> None:
    pages = meta.accounts(meta.long_token("Ben Carter"), fields="id,instagram_business_account{id}")

    assert pages == [{"id": BEN_BAKERY.id}]


def test_an_account_that_was_not_ticked_lacks_the_key(meta: MetaClient) -> None:
    token = meta.long_token(instagram_accounts=["17841400000000002"])

    cafe, studio = meta.accounts(token, fields="id,instagram_business_account{id}")

    assert "instagram_business_account" not in cafe
    assert studio["instagram_business_account"] == {"id": "17841400000000002"}


def test_without_instagram_basic_every_page_lacks_the_key(meta: MetaClient) -> None:
    token = meta.long_token(declined_scopes=["instagram_basic"])

    pages = meta.accounts(token, fields="id,instagram_business_account{id}")

    assert pages == [{"id": ANA_CAFE.id}, {"id": ANA_STUDIO.id}]


def test_a_page_that_was_not_ticked_is_missing(meta: MetaClient) -> None:
    token = meta.long_token(pages=[ANA_STUDIO.id])

    assert [page["id"] for page in meta.accounts(token)] == [ANA_STUDIO.id]


def test_a_portfolio_page_needs_business_management(meta: MetaClient) -> None:
    without = [scope for scope in ALL_SCOPES if scope != "business_management"]

    assert meta.accounts(meta.long_token("Emeka Business", scopes=without)) == []
    assert [page["id"] for page in meta.accounts(meta.long_token("Emeka Business"))] == [EMEKA_STORE.id]


def test_two_people_can_share_a_page_with_different_tasks(meta: MetaClient) -> None:
    shared = meta.accounts(meta.long_token("fatima@people.example"), fields="id,tasks")

    assert shared == [{"id": ANA_CAFE.id, "tasks": ["ANALYZE", "MODERATE", "MESSAGING"]}]


def test_a_page_token_has_no_accounts(meta: MetaClient) -> None:
    page_token = meta.page_token(meta.long_token(), ANA_CAFE.id)

    refused = meta.get("/me/accounts", access_token=page_token)

    assert refused.json()["error"]["message"].endswith("nonexisting field (accounts) on node type (Page)")


def test_text_beyond_ascii_is_sent_escaped_and_compact(meta: MetaClient) -> None:
    answer = meta.get("/me/accounts", access_token=meta.long_token(), fields="name", limit=1)

    assert answer.content.startswith(rb'{"data":[{"name":"Caf\u00e9 \"Azul\" \u2615","id":"104857600000001"}]')


def test_a_profile_picture_is_served_by_the_simulator(meta: MetaClient) -> None:
    pages = meta.accounts(meta.long_token(), fields="instagram_business_account{profile_picture_url}")
    url = pages[0]["instagram_business_account"]["profile_picture_url"]

    picture = meta.http.get(url)

    assert url.startswith("http://meta.test/")
    assert picture.headers["content-type"] == "image/svg+xml"


def test_the_hosts_are_path_prefixes(meta: MetaClient) -> None:
    assert meta.http.get("/v25.0/me").status_code == 404
    assert meta.http.get(f"{GRAPH}/v25.0/me").status_code == 400
