from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.meta_client import MetaClient, error_of

AGENCY_PAGES = 120


@pytest.fixture
def agency_token(meta: MetaClient) -> str:
    return meta.long_token("Dmitri Agency")


def _walk(meta: MetaClient, token: str, limit: int) -> list[list[str]]:
    """Follow the cursors to the end; return the Page ids of each response."""
    responses: list[list[str]] = []
    after: dict[str, str] = {}
    while True:
        response = meta.data("/me/accounts", access_token=token, fields="id", limit=limit, **after)
        responses.append([page["id"] for page in response["data"]])
        if "next" not in response["paging"]:
            return responses
        after = {"after": response["paging"]["cursors"]["after"]}


def test_response_holds_25_pages_by_default(meta: MetaClient, agency_token: str) -> None:
    assert len(meta.accounts(agency_token)) == 25
    assert len(meta.accounts(agency_token, limit=40)) == 40


def test_cursors_visit_every_page_once(meta: MetaClient, agency_token: str) -> None:
    responses = _walk(meta, agency_token, limit=50)

    assert [len(response) for response in responses] == [50, 50, 20]
    assert len({page_id for response in responses for page_id in response}) == AGENCY_PAGES


def test_next_is_a_complete_url_with_token_and_fields(meta: MetaClient, agency_token: str) -> None:
    response = meta.data("/me/accounts", access_token=agency_token, fields="id,name", limit=100)

    following = meta.http.get(response["paging"]["next"]).json()

    url = urlsplit(response["paging"]["next"])
    assert url.path == "/graph.facebook.com/v25.0/10220000000000004/accounts"
    assert parse_qs(url.query)["access_token"] == [agency_token]
    assert [set(page) for page in following["data"]] == [{"id", "name"}] * 20
    assert "next" not in following["paging"]


def test_last_response_has_cursors_but_no_next(meta: MetaClient) -> None:
    paging = meta.data("/me/accounts", access_token=meta.long_token())["paging"]

    assert set(paging) == {"cursors"}
    assert set(paging["cursors"]) == {"before", "after"}


def test_page_size_can_be_capped_below_the_limit(meta: MetaClient, agency_token: str) -> None:
    meta.control("POST", "/settings", {"max_page_size": 50})

    assert [len(response) for response in _walk(meta, agency_token, limit=100)] == [50, 50, 20]


def test_empty_pages_can_have_a_next(meta: MetaClient, agency_token: str) -> None:
    meta.control("POST", "/settings", {"empty_pages": True})

    responses = _walk(meta, agency_token, limit=50)

    assert [len(response) for response in responses] == [50, 0, 50, 0, 20]


@pytest.mark.parametrize("params", [{"limit": "0"}, {"limit": "x"}, {"after": "x"}, {"after": "QVFI"}])
def test_invalid_limit_or_cursor_is_rejected(meta: MetaClient, agency_token: str, params: dict[str, str]) -> None:
    assert error_of(meta.get("/me/accounts", access_token=agency_token, **params)) == (100, None)
