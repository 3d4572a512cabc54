import pytest

from tests.support.meta_client import GRAPH, MetaClient, error_of


def test_an_error_has_the_shape_of_metas(meta: MetaClient) -> None:
    refused = meta.get("/me", access_token="EAAnope")

    assert refused.status_code == 400
    error = refused.json()["error"]
    assert set(error) == {"message", "type", "code", "fbtrace_id"}
    assert error["type"] == "OAuthException"
    assert refused.headers["www-authenticate"] == (
        'OAuth "Facebook Platform" "invalid_token" "Invalid OAuth access token - Cannot parse access token"'
    )


def test_a_refused_code_is_announced_in_the_header(meta: MetaClient) -> None:
    header = meta.exchange("garbage").headers["www-authenticate"]

    assert header == 'OAuth "Facebook Platform" "invalid_code" "Invalid verification code format."'


def test_what_a_caller_sends_cannot_break_the_header(meta: MetaClient) -> None:
    refused = meta.get("/me", access_token=meta.short_token(), fields="é\r\nX: y")

    assert error_of(refused) == (2500, None)
    assert "x" not in refused.headers


def test_trace_ids_differ(meta: MetaClient) -> None:
    ids = {meta.get("/me").json()["error"]["fbtrace_id"] for _ in range(5)}

    assert len(ids) == 5


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("/v26.0/me", "v26.0"),
        ("/v22.0/me", "v22.0"),
        ("/v21.0/me", "v22.0"),
        ("/v3.1/me", "v22.0"),
        ("/me", "v22.0"),
    ],
)
def test_dead_and_missing_versions_are_served_as_the_oldest_usable(meta: MetaClient, asked: str, served: str) -> None:
    answer = meta.http.get(GRAPH + asked, params={"access_token": meta.short_token()})

    assert answer.status_code == 200
    assert answer.headers["facebook-api-version"] == served


def test_a_version_of_the_future_is_no_version(meta: MetaClient) -> None:
    answer = meta.http.get(f"{GRAPH}/v27.0/me", params={"access_token": meta.short_token()})

    assert answer.status_code == 400


@pytest.mark.parametrize("scheme", ["Bearer", "OAuth"])
def test_a_token_may_come_in_the_authorization_header(meta: MetaClient, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {meta.short_token()}"}

    assert meta.http.get(f"{GRAPH}/v25.0/me", headers=headers).json()["name"] == "Ana Souza"


def test_parameters_may_come_as_json(meta: MetaClient) -> None:
    page_token = meta.accounts(meta.long_token())[0]["access_token"]
    body = {"access_token": page_token, "subscribed_fields": ["feed"]}

    assert meta.http.post(f"{GRAPH}/v25.0/me/subscribed_apps", json=body).json() == {"success": True}


def test_a_call_without_token_is_refused(meta: MetaClient) -> None:
    assert error_of(meta.get("/me")) == (104, None)


def test_an_app_token_is_nobody(meta: MetaClient) -> None:
    assert error_of(meta.get("/me", access_token=meta.app_token)) == (2500, None)


def test_an_unknown_edge_is_named(meta: MetaClient) -> None:
    refused = meta.get("/me/friends", access_token=meta.short_token())

    assert error_of(refused) == (2500, None)
    assert refused.json()["error"]["message"] == "Unknown path components: /friends"


@pytest.mark.parametrize(("method", "path"), [("POST", "/me"), ("DELETE", "/me"), ("POST", "/me/accounts")])
def test_a_method_that_is_not_supported_is_refused(meta: MetaClient, method: str, path: str) -> None:
    refused = meta.call(method, path, access_token=meta.short_token())

    assert error_of(refused) == (100, None)
    assert refused.json()["error"]["type"] == "GraphMethodException"
