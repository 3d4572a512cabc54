"""Encrypts Meta's tokens with KMS, each bound to the row it belongs to.

Powertools Data Masking does the envelope encryption (AWS Encryption SDK: a data key from KMS, AES-256-GCM, the
encryption context as authenticated data). A ciphertext that was copied to another user's or account's row, or taken
for another product, does not decrypt: KMS refuses the context, and so does the library.
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

# Without the signature of the library's default, which keeps those who may only decrypt from encrypting with a data key
# that they were given: here all of them are functions of one deployment, and the binding is authenticated all the same.
# It took nearly 40% of the processor time. Ciphertexts that have one open as ever. docs/decisions/0003.
OPTIONS = {"algorithm": Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY}

# The tokens of one account are sealed one after the other and may share a data key; nothing else does, because a
# cached key serves one encryption context only.
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
    InvalidSignature,  # a ciphertext that was damaged
    InvalidTag,
    ValueError,  # what is no base64
)


@dataclass(frozen=True)
class TokenBinding:
    """What a stored ciphertext belongs to."""

    user_id: str
    provider: Provider
    instagram_business_id: str


@dataclass(frozen=True)
class LoginBinding:
    """What the ciphertext of a login that is still running belongs to; other functions cannot decrypt it."""

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
        """The token as base64 text, to be stored beside the binding. Raises TokenEncryptionError."""
        try:
            return str(self._masking.encrypt(token, provider_options=OPTIONS, **asdict(binding)))
        except FAILURES as error:
            raise TokenEncryptionError(log_context={"cause": type(error).__name__}) from error

    def decrypt(self, ciphertext: str, binding: TokenBinding | LoginBinding) -> str:
        """The token. Raises TokenEncryptionError, also when the ciphertext belongs to something else."""
        try:
            return str(self._masking.decrypt(ciphertext, **asdict(binding)))
        except FAILURES as error:
            raise TokenEncryptionError(log_context={"cause": type(error).__name__}) from error


class _KeyProvider(KMSKeyProvider):
    """Powertools' provider with time limits: its own waits a minute for KMS, longer than the function lives."""

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
