"""The signed requests of the privacy callbacks, valid or forged.

Source: Meta, "Data Deletion Request Callback". The format is `<signature>.<payload>`, both base64url without padding;
the signature covers the encoded payload.
"""

import base64
import hmac
import json
from collections.abc import Mapping
from enum import StrEnum

WRONG_SECRET = "not-the-secret-of-any-app"
ALGORITHM = "HMAC-SHA256"


class Forgery(StrEnum):
    """What is wrong with a forged signed request."""

    WRONG_SECRET = "wrong_secret"
    TAMPERED = "tampered"
    UNSIGNED = "unsigned"
    OTHER_ALGORITHM = "other_algorithm"
    MALFORMED = "malformed"


def signed_request(payload: Mapping[str, object], secret: str, forgery: Forgery | None = None) -> str:
    """Return the signed request that Meta would post for this payload, or a forged one."""
    claims = {"algorithm": "none" if forgery is Forgery.OTHER_ALGORITHM else ALGORITHM, **payload}
    encoded = _encode(json.dumps(claims, separators=(",", ":")).encode())
    key = WRONG_SECRET if forgery is Forgery.WRONG_SECRET else secret
    signature = _encode(hmac.digest(key.encode(), encoded.encode(), "sha256"))
    match forgery:
        case Forgery.TAMPERED:
            encoded = _encode(json.dumps({**claims, "tampered": True}, separators=(",", ":")).encode())
        case Forgery.UNSIGNED:
            signature = ""
        case Forgery.MALFORMED:
            return encoded
        case _:
            pass
    return f"{signature}.{encoded}"


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
