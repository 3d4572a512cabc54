import hashlib
import hmac

import pytest

from meta_simulator.seed import ANA_CAFE
from tests.support.meta_client import MetaClient, error_of


def _proof(secret: str, token: str) -> str:
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()


@pytest.fixture
def token(meta: MetaClient) -> str:
    return meta.long_token()


def test_correct_proof_is_accepted(meta: MetaClient, token: str) -> None:
    response = meta.get("/me", access_token=token, appsecret_proof=_proof(meta.app_secret, token))

    assert response.status_code == 200


def test_wrong_proof_is_rejected_even_if_proofs_are_optional(meta: MetaClient, token: str) -> None:
    rejected = meta.get("/me", access_token=token, appsecret_proof=_proof(meta.app_secret + "\n", token))

    assert error_of(rejected) == (100, None)
    error = rejected.json()["error"]
    assert error["type"] == "GraphMethodException"
    assert error["message"] == "Invalid appsecret_proof provided in the API argument"
    assert "www-authenticate" not in rejected.headers


def test_proof_of_another_token_is_rejected(meta: MetaClient, token: str) -> None:
    page_token = meta.page_token(token, ANA_CAFE.id)

    rejected = meta.get("/me", access_token=page_token, appsecret_proof=_proof(meta.app_secret, token))

    assert error_of(rejected) == (100, None)


def test_proof_is_mandatory_once_the_app_requires_it(meta: MetaClient, token: str) -> None:
    meta.control("POST", "/settings", {"require_app_secret": True})

    rejected = meta.get("/me", access_token=token)
    accepted = meta.get("/me", access_token=token, appsecret_proof=_proof(meta.app_secret, token))

    assert error_of(rejected) == (100, None)
    assert "require an appsecret_proof" in rejected.json()["error"]["message"]
    assert accepted.status_code == 200


def test_app_token_needs_no_proof(meta: MetaClient, token: str) -> None:
    meta.control("POST", "/settings", {"require_app_secret": True})

    assert meta.debug(token)["is_valid"] is True
