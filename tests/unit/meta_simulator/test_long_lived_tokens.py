import pytest

from tests.support.meta_client import REDIRECT_URI, MetaClient, error_of

DAY = 24 * 60 * 60


def test_short_lived_token_is_exchanged_for_a_60_day_token(meta: MetaClient) -> None:
    short = meta.short_token()

    response = meta.extend(short).json()

    assert response["access_token"].startswith("EAA")
    assert response["access_token"] != short
    assert response["expires_in"] == 5183944


def test_short_lived_token_stays_valid_until_it_expires(meta: MetaClient) -> None:
    short = meta.short_token()
    meta.extend(short)

    assert meta.get("/me", access_token=short).status_code == 200

    meta.advance(2 * 3600)

    assert error_of(meta.get("/me", access_token=short)) == (190, 463)


def test_long_lived_token_expires_after_60_days(meta: MetaClient) -> None:
    token = meta.long_token()
    meta.advance(59 * DAY)

    assert meta.get("/me", access_token=token).status_code == 200

    meta.advance(DAY)

    assert error_of(meta.get("/me", access_token=token)) == (190, 463)


def test_expired_short_lived_token_cannot_be_exchanged(meta: MetaClient) -> None:
    short = meta.short_token()
    meta.advance(2 * 3600)

    rejected = meta.extend(short)

    assert error_of(rejected) == (190, 463)
    assert "Session has expired on Sunday, 22-Nov-26 06:00:00 PST" in rejected.json()["error"]["message"]


def test_expires_in_can_be_left_out(meta: MetaClient) -> None:
    meta.control("POST", "/settings", {"omit_expires_in": True})

    assert "expires_in" not in meta.extend(meta.short_token()).json()


@pytest.mark.parametrize(("setting", "remaining"), [("keeps_expiry", 5183944 - DAY), ("extends", 5183944)])
def test_exchanging_a_long_lived_token_keeps_or_extends_its_expiry(
    meta: MetaClient, setting: str, remaining: int
) -> None:
    token = meta.long_token()
    meta.control("POST", "/settings", {"long_lived_reexchange": setting})
    meta.advance(DAY)

    response = meta.extend(token).json()

    assert response["expires_in"] == remaining
    assert response["access_token"] != token


@pytest.mark.parametrize(("setting", "expected"), [("keeps_expiry", (190, 463)), ("extends", None)])
def test_reexchanged_token_expires_when_its_response_said(
    meta: MetaClient, setting: str, expected: tuple[int, int] | None
) -> None:
    first = meta.long_token()
    meta.control("POST", "/settings", {"long_lived_reexchange": setting})
    meta.advance(30 * DAY)
    second = meta.extend(first).json()["access_token"]
    meta.advance(30 * DAY)

    at_second = meta.get("/me", access_token=second)

    assert error_of(meta.get("/me", access_token=first)) == (190, 463)
    assert (error_of(at_second) if at_second.is_error else None) == expected


@pytest.mark.parametrize("setting", ["keeps_expiry", "extends"])
def test_expired_long_lived_token_cannot_be_exchanged(meta: MetaClient, setting: str) -> None:
    meta.control("POST", "/settings", {"long_lived_reexchange": setting})
    token = meta.long_token()
    meta.advance(60 * DAY)

    assert error_of(meta.extend(token)) == (190, 463)


def test_token_of_another_app_is_rejected(meta: MetaClient) -> None:
    meta.control("POST", "/apps", {"id": "2222", "secret": "other", "redirect_uris": [REDIRECT_URI]})

    rejected = meta.extend(meta.short_token(), client_id="2222", client_secret="other")

    assert error_of(rejected) == (190, None)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"fb_exchange_token": ""}, 1),
        ({"fb_exchange_token": "EAAnonsense"}, 190),
        ({"client_secret": "wrong"}, 1),
        ({"client_id": "999"}, 101),
    ],
)
def test_invalid_exchange_has_a_specific_error(meta: MetaClient, overrides: dict[str, str], expected: int) -> None:
    assert error_of(meta.extend(meta.short_token(), **overrides)) == (expected, None)


def test_page_token_cannot_be_exchanged(meta: MetaClient) -> None:
    page_token = meta.accounts(meta.long_token())[0]["access_token"]

    assert error_of(meta.extend(page_token)) == (190, None)
