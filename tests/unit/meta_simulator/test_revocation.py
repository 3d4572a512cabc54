import pytest

from meta_simulator.seed import ANA_CAFE, ANA_STUDIO
from tests.support.meta_client import MetaClient, error_of

SUBCODES = {
    "app_removed": 458,
    "checkpoint": 459,
    "password_changed": 460,
    "expired": 463,
    "unconfirmed_user": 464,
    "logged_out": 467,
}


@pytest.mark.parametrize(("reason", "subcode"), SUBCODES.items())
def test_single_token_can_be_revoked_with_a_reason(meta: MetaClient, reason: str, subcode: int) -> None:
    ended, other = meta.long_token(), meta.long_token()

    response = meta.control("POST", "/tokens/revoke", {"token": ended, "reason": reason})

    assert response == {"revoked": 1}
    assert error_of(meta.get("/me", access_token=ended)) == (190, subcode)
    assert meta.get("/me", access_token=other).status_code == 200


def test_password_change_revokes_all_earlier_tokens_of_the_person(meta: MetaClient) -> None:
    user_token = meta.long_token()
    page_token = meta.page_token(user_token, ANA_CAFE.id)
    ben_token = meta.long_token("Ben Carter")

    meta.control("POST", "/tokens/revoke", {"person": "Ana Souza", "reason": "password_changed"})

    assert error_of(meta.get("/me", access_token=user_token)) == (190, 460)
    assert error_of(meta.get("/me", access_token=page_token)) == (190, 460)
    assert meta.get("/me", access_token=ben_token).status_code == 200
    assert meta.get("/me", access_token=meta.short_token()).status_code == 200


def test_lost_page_role_revokes_only_that_pages_tokens(meta: MetaClient) -> None:
    user_token = meta.long_token()
    lost, kept = (meta.page_token(user_token, page.id) for page in (ANA_CAFE, ANA_STUDIO))

    meta.control("POST", "/tokens/revoke", {"person": "Ana Souza", "page": ANA_CAFE.id, "reason": "lost_page_role"})

    assert error_of(meta.get("/me", access_token=lost)) == (190, 492)
    assert meta.get("/me", access_token=kept).status_code == 200
    assert [page["id"] for page in meta.accounts(user_token)] == [ANA_STUDIO.id]


def test_removing_the_app_removes_its_permissions(meta: MetaClient) -> None:
    meta.authorize(scopes=["instagram_basic"])

    meta.control("POST", "/tokens/revoke", {"person": "Ana Souza", "reason": "app_removed"})

    token = meta.short_token(scopes=["pages_show_list"])
    permissions = meta.data("/me/permissions", access_token=token)["data"]
    assert [entry["permission"] for entry in permissions] == ["public_profile", "pages_show_list"]


def test_revoked_token_cannot_be_exchanged(meta: MetaClient) -> None:
    token = meta.short_token()
    meta.control("POST", "/tokens/revoke", {"token": token, "reason": "password_changed"})

    assert error_of(meta.extend(token)) == (190, 460)


def test_debug_token_says_why_a_token_was_revoked(meta: MetaClient) -> None:
    token = meta.long_token()
    meta.control("POST", "/tokens/revoke", {"token": token, "reason": "app_removed"})

    assert meta.debug(token)["error"]["subcode"] == 458


@pytest.mark.parametrize(
    "body",
    [
        {"reason": "expired"},
        {"reason": "nope", "person": "Ana Souza"},
        {"reason": "lost_page_role", "person": "Ana Souza"},
        {"reason": "expired", "person": "Ana Souza", "page": "1"},
    ],
)
def test_invalid_revocation_is_rejected(meta: MetaClient, body: dict[str, str]) -> None:
    assert meta.http.post("/_simulator/tokens/revoke", json=body).status_code == 422
