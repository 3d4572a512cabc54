import asyncio
from collections import Counter

import httpx
import pytest

from meta_simulator.connection import ConnectionDroppedError
from meta_simulator.instagram.app_scoped_ids import app_scoped_id
from tests.support.instagram_client import ALL_SCOPES, CAFE, EXCHANGE, InstagramClient, flat_error_of
from tests.support.meta_client import ORIGIN, REDIRECT_URI, MetaClient

NOT_FOUND = "Matching code was not found or was already used"


def test_exchange_returns_token_app_scoped_id_and_permissions(instagram: InstagramClient) -> None:
    response = instagram.exchange(instagram.authorize())

    body = response.json()
    assert body["access_token"].startswith("IGAA")
    assert body == {
        "access_token": body["access_token"],
        "user_id": int(app_scoped_id("7777", CAFE)),
        "permissions": list(ALL_SCOPES),
    }


def test_documented_format_can_be_selected(meta: MetaClient, instagram: InstagramClient) -> None:
    meta.control("POST", "/settings", {"instagram_answers": "wrapped"})

    (entry,) = instagram.exchange(instagram.authorize()).json()["data"]

    assert entry["user_id"] == app_scoped_id("7777", CAFE)
    assert entry["permissions"] == ",".join(ALL_SCOPES)


def test_unticked_permissions_are_missing_even_the_basic_one(instagram: InstagramClient) -> None:
    code = instagram.authorize(declined_scopes=["instagram_business_basic", "instagram_business_content_publish"])

    assert instagram.exchange(code).json()["permissions"] == [
        "instagram_business_manage_messages",
        "instagram_business_manage_comments",
        "instagram_business_manage_insights",
    ]


def test_code_works_only_once(instagram: InstagramClient) -> None:
    code = instagram.authorize()
    instagram.exchange(code)

    assert flat_error_of(instagram.exchange(code)) == NOT_FOUND


def test_exactly_one_of_many_concurrent_exchanges_succeeds(meta: MetaClient, instagram: InstagramClient) -> None:
    form = instagram.form(instagram.authorize())
    meta.control("POST", "/faults", {"operation": "exchange_instagram_code", "latency_ms": 5, "times": None})

    async def send_all() -> list[httpx.Response]:
        transport = httpx.ASGITransport(meta.app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, trust_env=False) as client:
            return list(await asyncio.gather(*(client.post(EXCHANGE, data=form) for _ in range(20))))

    assert Counter(response.status_code for response in asyncio.run(send_all())) == {200: 1, 400: 19}


def test_code_expires_after_one_hour(meta: MetaClient, instagram: InstagramClient) -> None:
    kept, expired = instagram.authorize(), instagram.authorize()
    meta.advance(3600 - 1)

    assert instagram.exchange(kept).status_code == 200

    meta.advance(1)

    assert flat_error_of(instagram.exchange(expired)) == "This authorization code has expired"


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (
            {"redirect_uri": REDIRECT_URI + "/"},
            "Error validating verification code. Please make sure your redirect_uri",
        ),
        ({"client_secret": "wrong"}, "Error validating client secret."),
        ({"client_secret": "the-app-secret"}, "Error validating client secret."),
        ({"client_id": "1111"}, "Invalid platform app"),
        ({"client_id": "app"}, "Invalid Client ID"),
        ({"grant_type": "ig_exchange_token"}, "Invalid grant_type"),
        ({"client_id": ""}, "Missing required field client_id"),
        ({"client_secret": ""}, "Missing required field client_secret"),
        ({"grant_type": ""}, "Missing required field grant_type"),
        ({"redirect_uri": ""}, "Missing required field redirect_uri"),
        ({"code": ""}, "Missing required field code"),
        ({"code": "garbage"}, NOT_FOUND),
    ],
)
def test_invalid_exchange_says_why_and_leaves_the_code_usable(
    instagram: InstagramClient, overrides: dict[str, str], text: str
) -> None:
    code = instagram.authorize()

    assert flat_error_of(instagram.exchange(**{"code": code, **overrides})).startswith(text)
    assert instagram.exchange(code).status_code == 200


def test_fragment_is_not_part_of_the_code(instagram: InstagramClient) -> None:
    assert flat_error_of(instagram.exchange(instagram.authorize() + "#_")) == NOT_FOUND


def test_code_of_another_app_is_not_found(meta: MetaClient, instagram: InstagramClient) -> None:
    other = {"id": "8888", "secret": "s", "product": "instagram", "redirect_uris": [REDIRECT_URI]}
    meta.control("POST", "/apps", other)

    rejected = instagram.exchange(instagram.authorize(), client_id="8888", client_secret="s")

    assert flat_error_of(rejected) == NOT_FOUND


def test_facebook_login_code_is_not_found(meta: MetaClient, instagram: InstagramClient) -> None:
    assert flat_error_of(instagram.exchange(meta.authorize())) == NOT_FOUND


def test_only_form_fields_are_read(meta: MetaClient, instagram: InstagramClient) -> None:
    form = instagram.form(instagram.authorize())

    with_get = meta.http.get(EXCHANGE, params=form)
    with_query = meta.http.post(EXCHANGE, params=form)
    with_json = meta.http.post(EXCHANGE, json=form)

    assert flat_error_of(with_get) == "Unsupported request - method type: get"
    assert flat_error_of(with_query) == flat_error_of(with_json) == "Missing required field client_id"
    assert meta.http.post(EXCHANGE, data=form).status_code == 200


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("code_used", NOT_FOUND),
        ("code_expired", "This authorization code has expired"),
        ("wrong_secret", "Error validating client secret."),
        ("unknown_application", "Invalid platform app"),
        ("app_rate_limit", "(#4) Application request limit reached"),
        ("permission_denied", "(#10) Application does not have permission for this action"),
    ],
)
def test_named_fault_uses_the_endpoints_error_format(
    meta: MetaClient, instagram: InstagramClient, name: str, text: str
) -> None:
    meta.control("POST", "/faults", {"operation": "exchange_instagram_code", "error": name})

    assert flat_error_of(instagram.exchange("any")) == text


@pytest.mark.parametrize(
    ("name", "status", "start"),
    [("server_error", 500, '{"error":'), ("html_502", 502, "<!DOCTYPE"), ("empty_500", 500, "")],
)
def test_server_error_keeps_the_graph_format(
    meta: MetaClient, instagram: InstagramClient, name: str, status: int, start: str
) -> None:
    meta.control("POST", "/faults", {"operation": "exchange_instagram_code", "error": name})

    response = instagram.exchange("any")

    assert response.status_code == status
    assert response.text.startswith(start)


def test_exchange_dropped_after_taking_effect_redeems_the_code(meta: MetaClient, instagram: InstagramClient) -> None:
    code = instagram.authorize()
    meta.control("POST", "/faults", {"operation": "exchange_instagram_code", "apply_then_disconnect": True})

    with pytest.raises(ConnectionDroppedError):
        instagram.exchange(code)

    assert flat_error_of(instagram.exchange(code)) == NOT_FOUND
