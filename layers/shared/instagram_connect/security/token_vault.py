"""Encrypts Meta's tokens with KMS, each bound to the row that it belongs to.

Powertools Data Masking does the envelope encryption (AWS Encryption SDK: a data key from KMS, AES-256-GCM, the
encryption context as authenticated data). A ciphertext copied to another user's or account's row, or used for another
product, does not decrypt: KMS and the library both reject the encryption context.
"""

import json
from dataclasses import asdict, dataclass

from aws_encryption_sdk import (
    Algorithm,
    CachingCryptoMaterialsManager,
    EncryptionSDKClient,
    LocalCryptoMaterialsCache,
    StrictAwsKmsMasterKeyProvider,
)
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_lambda_powertools.utilities.data_masking import DataMasking
from aws_lambda_powertools.utilities.data_masking.exceptions import (
    DataMaskingContextMismatchError,
    DataMaskingDecryptKeyError,
    DataMaskingDecryptValueError,
    DataMaskingEncryptKeyError,
)
from aws_lambda_powertools.utilities.data_masking.provider.kms.aws_encryption_sdk import (
    AWSEncryptionSDKProvider,
    KMSKeyProvider,
)
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import InvalidSignature, InvalidTag

from instagram_connect.errors import TokenEncryptionError
from instagram_connect.models import Provider
from instagram_connect.runtime import aws

# Without the library's default signature, which took nearly 40% of the processor time. It keeps callers who may only
# decrypt from encrypting with a data key they were given; here all callers are functions of one deployment, and the
# encryption context is authenticated anyway. Signed ciphertexts still decrypt. See docs/decisions/0003.
OPTIONS = {"algorithm": Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY}

# The tokens of one account may share a data key; others do not, because a cached key is bound to one encryption
# context.
CACHED_KEYS = 200
CACHED_KEY_MAX_AGE_S = 60.0

FAILURES = (
    AWSEncryptionSDKClientError,
    BotoCoreError,
    ClientError,
    DataMaskingContextMismatchError,
    DataMaskingDecryptKeyError,
    DataMaskingDecryptValueError,
    DataMaskingEncryptKeyError,
    InvalidSignature,  # a damaged ciphertext
    InvalidTag,
    ValueError,  # not base64
)


@dataclass(frozen=True)
class TokenBinding:
    """Encryption context of a stored token."""

    user_id: str
    provider: Provider
    instagram_business_id: str


@dataclass(frozen=True)
class LoginBinding:
    """Encryption context of the token of a login under way; a row's functions cannot decrypt it."""

    user_id: str
    provider: Provider
    login: str


class TokenVault:
    """Encrypts and decrypts tokens. Safe to use from several threads."""

    def __init__(self, key_arn: str) -> None:
        self._masking = DataMasking(
            provider=AWSEncryptionSDKProvider(keys=[key_arn], key_provider=_KeyProvider(key_arn))
        )

    def encrypt(self, token: str, binding: TokenBinding | LoginBinding) -> str:
        """Encrypt a token; returns base64 text. Raises TokenEncryptionError."""
        try:
            return str(self._masking.encrypt(token, provider_options=OPTIONS, **asdict(binding)))
        except FAILURES as error:
            raise TokenEncryptionError(log_context={"cause": type(error).__name__}) from error

    def decrypt(self, ciphertext: str, binding: TokenBinding | LoginBinding) -> str:
        """Decrypt a token. Raises TokenEncryptionError, also if the ciphertext has another encryption context."""
        try:
            return str(self._masking.decrypt(ciphertext, **asdict(binding)))
        except FAILURES as error:
            raise TokenEncryptionError(log_context={"cause": type(error).__name__}) from error


class _KeyProvider(KMSKeyProvider):
    """Powertools' provider with our time-outs; its own waits a minute for KMS, longer than a function may run."""

    def __init__(self, key_arn: str) -> None:
        self.json_serializer = json.dumps
        self.json_deserializer = json.loads
        self.client = EncryptionSDKClient()
        self.keys = [key_arn]
        self.cache = LocalCryptoMaterialsCache(CACHED_KEYS)
        self.key_provider = StrictAwsKmsMasterKeyProvider(key_ids=self.keys, botocore_session=aws.session())
        self.cache_cmm = CachingCryptoMaterialsManager(
            master_key_provider=self.key_provider, cache=self.cache, max_age=CACHED_KEY_MAX_AGE_S
        )
