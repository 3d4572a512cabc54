"""Verifies Meta's signatures: of webhooks, and of the signed requests of the privacy callbacks.

Signatures cover the raw bytes and are compared in constant time, with every secret of the deployment. Malformed input
raises SignatureInvalidError, and without a secret nothing is valid. Sources: Meta, "Get started with webhooks"
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
    # Both are in use while a secret is being rotated.
    "previous_instagram_app_secret",
    "previous_facebook_app_secret",
)
_WEBHOOK_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})", re.ASCII)
_ALGORITHM = "HMAC-SHA256"


def app_secrets(secrets: Secrets) -> dict[str, str]:
    """The app secrets that Meta may sign with, by name. Raises ConfigurationError if there are none."""
    found = {name: value for name in SECRETS if (value := secrets.optional(name))}
    if not found:
        raise ConfigurationError(log_context={"secret_key": " or ".join(SECRETS[:2])})
    return found


def by_current(secrets: CurrentSecrets, check: Callable[[Mapping[str, str]], Checked]) -> Checked:
    """The result of a check with the app secrets, repeated if a signature does not match and the secrets are newer.

    So requests signed with a secret that was rotated a moment ago are accepted. Raises what `check` raises, and
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
    """Check a webhook's X-Hub-Signature-256 header against the raw body; return the name of the secret that signed it.

    The SHA-1 header that Meta sends too is ignored. Raises SignatureInvalidError.
    """
    if not header:
        raise SignatureInvalidError(reason="SIGNATURE_MISSING")
    found = _WEBHOOK_SIGNATURE.fullmatch(header.strip())
    if found is None:
        raise SignatureInvalidError(reason="SIGNATURE_MALFORMED")
    return _signer(bytes.fromhex(found[1]), body, known)


def read_signed_request(text: str, known: Mapping[str, str]) -> dict[str, Any]:
    """Verify a signed request and return its payload. Raises SignatureInvalidError.

    The signature covers the encoded payload.
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
    # Compare with all of them, so that timing does not reveal which one matched.
    matching = [
        name
        for name, secret in known.items()
        if hmac.compare_digest(hmac.digest(secret.encode(), message, "sha256"), digest)
    ]
    if not matching:
        raise SignatureInvalidError(reason="SIGNATURE_MISMATCH")
    return matching[0]


def _decoded(text: str) -> bytes:
    """Decode base64url without padding, as Meta writes it. Raises ValueError."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
