"""App-scoped ids of Instagram accounts, in a different namespace than professional ids (1784…).

Source: Meta, "Instagram API with Instagram Login" (`id` and `user_id` of /me).
"""

import hashlib

_DIGITS = 16  # after the leading 2: 17-digit ids, all beyond 2^53


def app_scoped_id(app_id: str, account_id: str) -> str:
    """Return the id by which an app knows an account: stable, and different for every app."""
    digest = hashlib.sha256(f"{app_id}:{account_id}".encode()).digest()
    return f"2{int.from_bytes(digest) % 10**_DIGITS:0{_DIGITS}d}"
