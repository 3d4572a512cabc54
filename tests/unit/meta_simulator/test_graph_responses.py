import pytest

from tests.support.meta_client import GRAPH, MetaClient, error_of


def test_error_has_metas_format(meta: MetaClient) -> None:
    rejected = meta.get("/me", access_token="EAAnope")

    assert rejected.status_code == 400
    error = rejected.json()["error"]
    assert set(error) == {"message", "type", "code", "fbtrace_id"}
    assert error["type"] == "OAuthException"
    assert rejected.headers["www-authenticate"] == (
        'OAuth "Facebook Platform" "invalid_token" "Invalid OAuth access token - Cannot parse access token"'
    )


def test_invalid_code_is_named_in_the_header(meta: MetaClient) -> None:
    header = meta.exchange("garbage").headers["www-authenticate"]

    assert header == 'OAuth "Facebook Platform" "invalid_code" "Invalid verification code format."'


def test_caller_input_cannot_break_the_header(meta: MetaClient) -> None:
    rejected = meta.get("/me", access_token=meta.short_token(), fields="é\r\nX: y")

    assert error_of(rejected) == (2500, None)
    assert "x" not in rejected.headers


def test_trace_ids_are_unique(meta: MetaClient) -> None:
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
def test_retired_and_missing_versions_are_served_as_the_oldest_usable(
    meta: MetaClient, asked: str, served: str
) -> None:
    response = meta.http.get(GRAPH + asked, params={"access_token": meta.short_token()})

    assert response.status_code == 200
    assert response.headers["facebook-api-version"] == served


def test_unreleased_version_is_rejected(meta: MetaClient) -> None:
    response = meta.http.get(f"{GRAPH}/v27.0/me", params={"access_token": meta.short_token()})

    assert response.status_code == 400


@pytest.mark.parametrize("scheme", ["Bearer", "OAuth"])
def test_token_is_accepted_in_the_authorization_header(meta: MetaClient, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {meta.short_token()}"}

    assert meta.http.get(f"{GRAPH}/v25.0/me", headers=headers).json()["name"] == "Ana Souza"


def test_parameters_are_accepted_as_json(meta: MetaClient) -> None:
    page_token = meta.accounts(meta.long_token())[0]["access_token"]
    body = {"access_token": page_token, "subscribed_fields": ["feed"]}

    assert meta.http.post(f"{GRAPH}/v25.0/me/subscribed_apps", json=body).json() == {"success": True}


def test_call_without_a_token_is_rejected(meta: MetaClient) -> None:
    assert error_of(meta.get("/me")) == (104, None)


def test_app_token_has_no_current_user(meta: MetaClient) -> None:
    assert error_of(meta.get("/me", access_token=meta.app_token)) == (2500, None)


def test_unknown_edge_is_named_in_the_error(meta: MetaClient) -> None:
    rejected = meta.get("/me/friends", access_token=meta.short_token())

    assert error_of(rejected) == (2500, None)
    assert rejected.json()["error"]["message"] == "Unknown path components: /friends"


@pytest.mark.parametrize(("method", "path"), [("POST", "/me"), ("DELETE", "/me"), ("POST", "/me/accounts")])
def test_unsupported_method_is_rejected(meta: MetaClient, method: str, path: str) -> None:
    rejected = meta.call(method, path, access_token=meta.short_token())

    assert error_of(rejected) == (100, None)
    assert rejected.json()["error"]["type"] == "GraphMethodException"
