from datetime import UTC, datetime

import pytest

from meta_simulator.seed import ANA_CAFE, ANA_STUDIO
from tests.support.meta_client import NOON, REDIRECT_URI, MetaClient, error_of

DAY = 24 * 60 * 60


def test_short_lived_user_token_has_no_issued_at(meta: MetaClient) -> None:
    facts = meta.debug(meta.short_token(scopes=["pages_show_list"]))

    assert facts == {
        "app_id": meta.app_id,
        "type": "USER",
        "application": "Instagram Connect",
        "data_access_expires_at": int(NOON.timestamp()) + 90 * DAY,
        "expires_at": int(datetime(2026, 11, 22, 14, tzinfo=UTC).timestamp()),
        "is_valid": True,
        "scopes": ["public_profile", "pages_show_list"],
        "granular_scopes": [{"scope": "pages_show_list", "target_ids": [ANA_CAFE.id, ANA_STUDIO.id]}],
        "user_id": "10220000000000001",
    }


def test_long_lived_token_has_issued_at_and_expires_at(meta: MetaClient) -> None:
    facts = meta.debug(meta.long_token())

    assert facts["issued_at"] == int(NOON.timestamp())
    assert facts["expires_at"] == int(NOON.timestamp()) + 5183944


def test_never_expiring_page_token_has_expires_at_0_and_its_page(meta: MetaClient) -> None:
    facts = meta.debug(meta.page_token(meta.long_token(), ANA_CAFE.id))

    assert facts["type"] == "PAGE"
    assert facts["expires_at"] == 0
    assert facts["profile_id"] == ANA_CAFE.id
    assert facts["user_id"] == "10220000000000001"


def test_revoked_page_token_is_described_with_the_reason(meta: MetaClient) -> None:
    page_token = meta.page_token(meta.long_token(), ANA_CAFE.id)
    meta.control("POST", "/tokens/revoke", {"person": "Ana Souza", "reason": "password_changed"})

    facts = meta.debug(page_token)

    assert (facts["type"], facts["is_valid"], facts["expires_at"]) == ("PAGE", False, 0)
    assert facts["data_access_expires_at"] == int(NOON.timestamp()) + 90 * DAY
    assert set(facts["error"]) == {"code", "message", "subcode"}
    assert (facts["error"]["code"], facts["error"]["subcode"]) == (190, 460)


def test_data_access_lasts_90_days_from_login_regardless_of_tokens(meta: MetaClient) -> None:
    meta.control("POST", "/settings", {"long_lived_reexchange": "extends"})
    token = meta.long_token()
    meta.advance(50 * DAY)
    token = meta.extend(token).json()["access_token"]
    page_token = meta.page_token(token, ANA_CAFE.id)
    meta.advance(41 * DAY)

    at_user, at_page = meta.debug(token), meta.debug(page_token)

    expected = int(NOON.timestamp()) + 90 * DAY
    assert (at_user["is_valid"], at_user["data_access_expires_at"]) == (True, expected)
    assert (at_page["is_valid"], at_page["data_access_expires_at"]) == (True, expected)


def test_another_login_restarts_the_90_days(meta: MetaClient) -> None:
    page_token = meta.page_token(meta.long_token(), ANA_CAFE.id)
    meta.advance(91 * DAY)

    meta.authorize()

    assert meta.debug(page_token)["data_access_expires_at"] == int(NOON.timestamp()) + (91 + 90) * DAY


def test_granular_scopes_list_the_ticked_assets(meta: MetaClient) -> None:
    token = meta.long_token(pages=[ANA_CAFE.id])

    granular = {entry["scope"]: entry.get("target_ids") for entry in meta.debug(token)["granular_scopes"]}

    assert granular["pages_show_list"] == [ANA_CAFE.id]
    assert granular["instagram_basic"] == ["17841400000000001"]
    assert granular["business_management"] is None


def test_expired_token_is_described_with_the_reason(meta: MetaClient) -> None:
    token = meta.short_token()
    meta.advance(2 * 3600)

    facts = meta.debug(token)

    assert facts["is_valid"] is False
    assert (facts["error"]["code"], facts["error"]["subcode"]) == (190, 463)


def test_call_with_a_malformed_token_succeeds_and_reports_it_invalid(meta: MetaClient) -> None:
    facts = meta.debug("EAAgarbage")

    assert facts["is_valid"] is False
    assert facts["error"]["code"] == 190
    assert facts["scopes"] == []


def test_user_token_may_inspect_itself(meta: MetaClient) -> None:
    token = meta.short_token()

    assert meta.data("/debug_token", access_token=token, input_token=token)["data"]["is_valid"] is True


def test_user_token_may_not_inspect_another_persons_token(meta: MetaClient) -> None:
    mine, other = meta.short_token(), meta.short_token("Ben Carter")

    rejected = meta.get("/debug_token", access_token=mine, input_token=other)

    assert error_of(rejected) == (100, None)
    assert "must provide an app access token" in rejected.json()["error"]["message"]


def test_token_of_another_app_may_not_be_inspected(meta: MetaClient) -> None:
    meta.control("POST", "/apps", {"id": "2222", "secret": "other", "redirect_uris": [REDIRECT_URI]})

    rejected = meta.get("/debug_token", access_token="2222|other", input_token=meta.short_token())

    assert error_of(rejected) == (100, None)
    assert "did not match the Viewing App" in rejected.json()["error"]["message"]


@pytest.mark.parametrize(("access_token", "expected"), [("", 104), ("1111|wrong", 190), ("999|x", 101), ("EAAx", 190)])
def test_viewing_token_must_be_valid(meta: MetaClient, access_token: str, expected: int) -> None:
    rejected = meta.get("/debug_token", access_token=access_token, input_token=meta.short_token())

    assert error_of(rejected) == (expected, None)


def test_app_token_can_be_inspected(meta: MetaClient) -> None:
    facts = meta.debug(meta.app_token)

    assert (facts["type"], facts["is_valid"], facts["app_id"]) == ("APP", True, meta.app_id)


def test_input_token_is_required(meta: MetaClient) -> None:
    assert error_of(meta.get("/debug_token", access_token=meta.app_token)) == (100, None)
