"""Parses Meta's deauthorize and data deletion callbacks, and makes the confirmation codes of deletions.

Source: Meta, "Data Deletion Request Callback".
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from instagram_connect.errors import InvalidRequestError
from instagram_connect.meta.json_values import to_id
from instagram_connect.security.meta_signatures import read_signed_request

# Meta delivers within minutes, so an older timestamp cannot be that of this request.
MAX_DELAY = timedelta(days=1)
# Clocks differ and Meta's timestamps are whole seconds, so include logins just after the request.
TOLERANCE = timedelta(seconds=60)
MAX_BODY_BYTES = 16 * 1024
_RANDOM_BYTES = 12
_CHECK_CHARACTERS = 16
_ID = re.compile(r"[\w.-]{1,200}", re.ASCII)
_CODE = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)


def read_callback(body: bytes, app_secrets: Mapping[str, str], now: datetime) -> tuple[str, datetime]:
    """Return Meta's id of the person and the time of the request. Logins made after that time are kept.

    Raises SignatureInvalidError, InvalidRequestError.
    """
    if len(body) > MAX_BODY_BYTES:
        raise InvalidRequestError(f"The body is longer than {MAX_BODY_BYTES} bytes.")
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=20)
    except ValueError:
        raise InvalidRequestError("The body is not a form.") from None
    said = read_signed_request(fields.get("signed_request", [""])[-1], app_secrets)
    meta_user_id = to_id(said.get("user_id"))
    if meta_user_id is None or not _ID.fullmatch(meta_user_id):
        raise InvalidRequestError("user_id: missing in the signed request, or no id.")
    return meta_user_id, _asked_at(said.get("issued_at"), now)


def new_confirmation_code(key: str) -> str:
    """Return an unguessable alphanumeric code that `was_made_here` can verify without storage."""
    random = secrets.token_hex(_RANDOM_BYTES)
    return random + _check_of(random, key)


def is_well_formed_code(text: str) -> bool:
    """Whether the text has the format of a code, so that a lookup makes sense."""
    return _CODE.fullmatch(text) is not None


def was_made_here(code: str, key: str) -> bool:
    """Whether the code was made by this deployment."""
    random, check = code[: 2 * _RANDOM_BYTES], code[2 * _RANDOM_BYTES :]
    return code.isascii() and hmac.compare_digest(check, _check_of(random, key))


def _check_of(random: str, key: str) -> str:
    return hmac.new(key.encode(), f"data-deletion {random}".encode(), hashlib.sha256).hexdigest()[:_CHECK_CHARACTERS]


def _asked_at(issued_at: object, now: datetime) -> datetime:
    if not isinstance(issued_at, int | float) or isinstance(issued_at, bool):
        return now
    try:
        asked = datetime.fromtimestamp(issued_at, UTC)
        latest = asked + TOLERANCE
    except (ValueError, OverflowError, OSError):
        return now
    return min(latest, now) if asked > now - MAX_DELAY else now
