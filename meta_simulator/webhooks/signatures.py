"""The signature headers of a webhook, valid or deliberately wrong.

Source: Meta, "Get started with webhooks" (Validating Payloads).
"""

import hmac
from enum import StrEnum

from meta_simulator.outgoing import Headers
from meta_simulator.signed_requests import WRONG_SECRET

SHA256_HEADER = b"X-Hub-Signature-256"
SHA1_HEADER = b"X-Hub-Signature"


class Signature(StrEnum):
    """How a delivery is signed. All but `valid` are wrong."""

    VALID = "valid"
    ABSENT = "absent"
    SHA1_ONLY = "sha1_only"
    WRONG_SECRET = "wrong_secret"
    MALFORMED = "malformed"
    SHORT = "short"
    NON_ASCII = "non_ascii"


def signature_headers(body: bytes, secret: str, signature: Signature = Signature.VALID) -> Headers:
    """Return the headers for a raw body. The legacy SHA-1 stays valid beside a malformed SHA-256."""
    key = (WRONG_SECRET if signature is Signature.WRONG_SECRET else secret).encode()
    digest = hmac.digest(key, body, "sha256").hex()
    sha1 = (SHA1_HEADER, f"sha1={hmac.digest(key, body, 'sha1').hex()}".encode())
    match signature:
        case Signature.ABSENT:
            return []
        case Signature.SHA1_ONLY:
            return [sha1]
        case Signature.MALFORMED:
            value = f"sha256:{digest[::-1]}=="
        case Signature.SHORT:
            value = f"sha256={digest[:10]}"
        case Signature.NON_ASCII:
            value = f"sha256={'é' * 64}"
        case _:
            value = f"sha256={digest}"
    return [(SHA256_HEADER, value.encode()), sha1]
