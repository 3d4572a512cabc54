"""Encrypted tokens decrypt only for the row they belong to."""

from collections.abc import Iterator
from dataclasses import asdict, replace

import boto3
import pytest
from aws_lambda_powertools.utilities.data_masking.provider.kms.aws_encryption_sdk import AWSEncryptionSDKProvider
from moto import mock_aws

from instagram_connect.errors import TokenEncryptionError
from instagram_connect.models import Provider
from instagram_connect.security.token_vault import TokenBinding, TokenVault

BINDING = TokenBinding(
    user_id="7b0f1c5e-0000-4000-8000-000000000001",
    provider=Provider.FACEBOOK,
    instagram_business_id="17841400000000001",
)


@pytest.fixture
def vault() -> Iterator[TokenVault]:
    with mock_aws():
        key = boto3.client("kms", region_name="us-east-1").create_key()
        yield TokenVault(key["KeyMetadata"]["Arn"])


def test_token_survives_encryption_and_decryption(vault: TokenVault) -> None:
    ciphertext = vault.encrypt('EAA"quotes" and é', BINDING)

    assert vault.decrypt(ciphertext, BINDING) == 'EAA"quotes" and é'


def test_ciphertexts_differ_and_do_not_contain_the_token(vault: TokenVault) -> None:
    first, second = vault.encrypt("EAAtoken", BINDING), vault.encrypt("EAAtoken", BINDING)

    assert "EAAtoken" not in first
    assert first != second


@pytest.mark.parametrize(
    "other",
    [
        replace(BINDING, user_id="7b0f1c5e-0000-4000-8000-000000000002"),
        replace(BINDING, instagram_business_id="17841400000000002"),
        replace(BINDING, provider="instagram"),  # type: ignore[arg-type]  # not a product of this version
    ],
)
def test_ciphertext_of_another_row_does_not_decrypt(vault: TokenVault, other: TokenBinding) -> None:
    ciphertext = vault.encrypt("EAAtoken", BINDING)

    with pytest.raises(TokenEncryptionError):
        vault.decrypt(ciphertext, other)


@pytest.mark.parametrize("ciphertext", ["", "not base64!", "QUJD", "{}"])
def test_malformed_ciphertext_raises_our_error(vault: TokenVault, ciphertext: str) -> None:
    with pytest.raises(TokenEncryptionError):
        vault.decrypt(ciphertext, BINDING)


def test_missing_key_is_reported_without_the_token() -> None:
    with mock_aws():
        vault = TokenVault("arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000000")

        with pytest.raises(TokenEncryptionError) as caught:
            vault.encrypt("EAAtoken", BINDING)
    assert "EAAtoken" not in f"{caught.value} {caught.value.log_context}"


def test_signed_ciphertext_still_decrypts(vault: TokenVault) -> None:
    provider = vault._masking.provider
    assert isinstance(provider, AWSEncryptionSDKProvider)
    signed = provider.encrypt("EAAtoken", **asdict(BINDING))

    assert len(signed) > len(vault.encrypt("EAAtoken", BINDING))
    assert vault.decrypt(signed, BINDING) == "EAAtoken"
