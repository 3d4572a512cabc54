import asyncio
from collections import Counter

import httpx
import pytest

from meta_simulator.connection import ConnectionDroppedError
from meta_simulator.instagram.app_scoped_ids import app_scoped_id
from tests.support.instagram_client import ALL_SCOPES, CAFE, EXCHANGE, InstagramClient, flat_error_of
from tests.support.meta_client import ORIGIN, REDIRECT_URI, MetaClient

NOT_FOUND = "Matching code was not found or was already used"


def test_a_code_becomes_a_token_with_the_app_scoped_id_and_the_permissions(instagram: InstagramClient) -> None:
    answer = instagram.exchange(instagram.authorize())

    body = answer.json()
    assert body["access_token"].startswith("IGAA")
    assert body == {
        "access_token": body["access_token"],
        "user_id": int(app_scoped_id("7777", CAFE)),
        "permissions": list(ALL_SCOPES),
    }


def test_the_documented_shape_can_be_chosen(meta: MetaClient, instagram: InstagramClient) -> None:
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


def test_a_code_works_once(instagram: InstagramClient) -> None:
    code = instagram.authorize()
    instagram.exchange(code)

    assert flat_error_of(instagram.exchange(code)) == NOT_FOUND


def test_of_many_exchanges_at_the_same_time_exactly_one_gets_the_token(
    meta: MetaClient, instagram: InstagramClient
) -> None:
    form = instagram.form(instagram.authorize())
    meta.control("POST", "/faults", {"operation": "exchange_instagram_code", "latency_ms": 5, "times": None})

    async def send_all() -> list[httpx.Response]:
        transport = httpx.ASGITransport(meta.app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, trust_env=False) as client:
            return list(await asyncio.gather(*(client.post(EXCHANGE, data=form) for _ in range(20))))

    assert Counter(answer.status_code for answer in asyncio.run(send_all())) == {200: 1, 400: 19}


def test_a_code_lives_for_one_hour(meta: MetaClient, instagram: InstagramClient) -> None:
    kept, expired = instagram.authorize(), instagram.authorize()
    meta.advance(3600 - 1)

    assert instagram.exchange(kept).status_code == 200

    meta.advance(1)

    assert flat_error_of(instagram.exchange(expired)) == "This authorization code has expired"


@pytest.mark.parametrize(
    ("changed", "text"),
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
def test_a_wrong_exchange_says_why_and_leaves_the_code_usable(
    instagram: InstagramClient, changed: dict[str, str], text: str
) -> None:
    code = instagram.authorize()

    assert flat_error_of(instagram.exchange(**{"code": code, **changed})).startswith(text)
    assert instagram.exchange(code).status_code == 200


def test_the_fragment_is_no_part_of_the_code(instagram: InstagramClient) -> None:
    assert flat_error_of(instagram.exchange(instagram.authorize() + "#_")) == NOT_FOUND


def test_a_code_of_another_app_is_not_found(meta: MetaClient, instagram: InstagramClient) -> None:
    other = {"id": "8888", "secret": "s", "product": "instagram", "redirect_uris": [REDIRECT_URI]}
    meta.control("POST", "/apps", other)

    refused = instagram.exchange(instagram.authorize(), client_id="8888", client_secret="s")

    assert flat_error_of(refused) == NOT_FOUND


def test_a_code_of_facebook_login_is_not_found(meta: MetaClient, instagram: InstagramClient) -> None:
    assert flat_error_of(instagram.exchange(meta.authorize())) == NOT_FOUND


def test_only_a_posted_form_is_read(meta: MetaClient, instagram: InstagramClient) -> None:
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
def test_a_named_fault_comes_in_the_endpoints_own_shape(
    meta: MetaClient, instagram: InstagramClient, name: str, text: str
) -> None:
    meta.control("POST", "/faults", {"operation": "exchange_instagram_code", "error": name})

    assert flat_error_of(instagram.exchange("any")) == text


@pytest.mark.parametrize(
    ("name", "status", "start"),
    [("server_error", 500, '{"error":'), ("html_502", 502, "<!DOCTYPE"), ("empty_500", 500, "")],
)
def test_a_server_error_comes_as_it_is(
    meta: MetaClient, instagram: InstagramClient, name: str, status: int, start: str
) -> None:
    meta.control("POST", "/faults", {"operation": "exchange_instagram_code", "error": name})

    answer = instagram.exchange("any")

    assert answer.status_code == status
    assert answer.text.startswith(start)


def test_an_exchange_dropped_after_it_took_effect_has_spent_the_code(
    meta: MetaClient, instagram: InstagramClient
) -> None:
    code = instagram.authorize()
    meta.control("POST", "/faults", {"operation": "exchange_instagram_code", "apply_then_disconnect": True})

    with pytest.raises(ConnectionDroppedError):
        instagram.exchange(code)

    assert flat_error_of(instagram.exchange(code)) == NOT_FOUND
