"""Signatures of what Meta sends: webhooks, and the signed requests of the privacy callbacks.

Always over the bytes as they came, compared in constant time, with each secret that the deployment knows; whatever is
malformed ends as SignatureInvalidError. Without a secret nothing is valid. Sources: Meta, "Get started with webhooks"
(Validating Payloads) and "Data Deletion Request Callback".
"""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from instagram_connect.errors import ConfigurationError, SignatureInvalidError
from instagram_connect.runtime.settings import CurrentSecrets, Secrets

Checked = TypeVar("Checked")

SECRETS = (
    "instagram_app_secret",
    "facebook_app_secret",
    # While a secret is being replaced both are in use.
    "previous_instagram_app_secret",
    "previous_facebook_app_secret",
)
_WEBHOOK_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})", re.ASCII)
_ALGORITHM = "HMAC-SHA256"


def app_secrets(secrets: Secrets) -> dict[str, str]:
    """The app secrets that Meta may sign with, by their name. Raises ConfigurationError when there is none."""
    found = {name: value for name in SECRETS if (value := secrets.optional(name))}
    if not found:
        raise ConfigurationError(log_context={"secret_key": " or ".join(SECRETS[:2])})
    return found


def by_current(secrets: CurrentSecrets, check: Callable[[Mapping[str, str]], Checked]) -> Checked:
    """What a check with the app secrets gives; made once more when they have changed meanwhile.

    A secret that was replaced at Meta a moment ago must not cost what is signed with it. Raises as the check does, and
    ConfigurationError.
    """
    try:
        return check(app_secrets(secrets.get()))
    except SignatureInvalidError as error:
        newer = secrets.newer() if error.reason == "SIGNATURE_MISMATCH" else None
        if newer is None:
            raise
        return check(app_secrets(newer))


def check_webhook(header: str | None, body: bytes, known: Mapping[str, str]) -> str:
    """The name of the secret that signed a webhook's raw body, by its header X-Hub-Signature-256.

    The SHA-1 header beside it proves nothing and is not looked at. Raises SignatureInvalidError.
    """
    if not header:
        raise SignatureInvalidError(reason="SIGNATURE_MISSING")
    found = _WEBHOOK_SIGNATURE.fullmatch(header.strip())
    if found is None:
        raise SignatureInvalidError(reason="SIGNATURE_MALFORMED")
    return _signer(bytes.fromhex(found[1]), body, known)


def read_signed_request(text: str, known: Mapping[str, str]) -> dict[str, Any]:
    """What a signed request says. Raises SignatureInvalidError.

    Signed is the encoded payload, not what it decodes to.
    """
    signature, separator, payload = text.partition(".")
    if not separator:
        raise SignatureInvalidError(reason="SIGNATURE_MALFORMED" if text else "SIGNATURE_MISSING")
    try:
        digest, signed = _decoded(signature), payload.encode("ascii")
    except ValueError:
        raise SignatureInvalidError(reason="SIGNATURE_MALFORMED") from None
    _signer(digest, signed, known)
    try:
        said = json.loads(_decoded(payload))
    except (ValueError, RecursionError):
        raise SignatureInvalidError(reason="SIGNATURE_MALFORMED") from None
    if not isinstance(said, dict) or str(said.get("algorithm")).upper() != _ALGORITHM:
        raise SignatureInvalidError(reason="SIGNATURE_MALFORMED")
    return said


def _signer(digest: bytes, message: bytes, known: Mapping[str, str]) -> str:
    # All of them, so that the time does not tell which one it was.
    matching = [
        name
        for name, secret in known.items()
        if hmac.compare_digest(hmac.digest(secret.encode(), message, "sha256"), digest)
    ]
    if not matching:
        raise SignatureInvalidError(reason="SIGNATURE_MISMATCH")
    return matching[0]


def _decoded(text: str) -> bytes:
    """Base64url as Meta writes it, without padding. Raises ValueError for what is none."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
