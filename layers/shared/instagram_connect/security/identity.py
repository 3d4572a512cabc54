"""Identify the signed-in Supabase user by verifying their access token.

Sources: Supabase's "JWT Signing Keys" and "JWT Claims Reference". Projects sign with ES256 or RS256 keys published as
JWKS, older ones with HS256 and a shared secret. The issuer is not checked: the key already belongs to one project, and
custom domains change the issuer.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import jwt

from instagram_connect.errors import IdentityUnavailableError, UnauthenticatedError
from instagram_connect.runtime import tls
from instagram_connect.runtime.observability import logger

AUDIENCE = "authenticated"
ROLE = "authenticated"
ASYMMETRIC_ALGORITHMS = frozenset({"ES256", "RS256"})
# Supabase's edge also caches the key set for ten minutes.
KEYS_MAX_AGE_S = 600.0
# Anyone can invent a `kid`, so unknown ones may cause only one fetch in this interval.
UNKNOWN_KEY_INTERVAL_S = 10.0
FETCH_TIMEOUT = httpx.Timeout(2.0)
CLOCK_SKEW_S = 10


@dataclass(frozen=True)
class SignedInUser:
    """A user of the Supabase project; `id` is the id in auth.users."""

    id: str


class SigningKeys:
    """The project's public keys by `kid`, fetched on demand and cached; an unknown `kid` triggers another fetch."""

    def __init__(self, jwks_url: str, http: httpx.Client, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._jwks_url = jwks_url
        self._http = http
        self._monotonic = monotonic
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._unknown_fetched_at: float | None = None

    def get(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key, or None if the project does not publish it. Raises IdentityUnavailableError without keys."""
        if self._older_than(self._fetched_at, KEYS_MAX_AGE_S):
            self._fetch()
        elif key_id not in self._keys and self._older_than(self._unknown_fetched_at, UNKNOWN_KEY_INTERVAL_S):
            self._unknown_fetched_at = self._monotonic()
            self._fetch()
        return self._keys.get(key_id)

    def _older_than(self, moment: float | None, seconds: float) -> bool:
        return moment is None or self._monotonic() - moment > seconds

    def _fetch(self) -> None:
        try:
            response = self._http.get(self._jwks_url, timeout=FETCH_TIMEOUT)
            published = jwt.PyJWKSet.from_dict(response.raise_for_status().json()).keys
        except jwt.PyJWKSetError:  # an empty set: the project signs with HS256 only
            published = []
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            logger.warning("Could not fetch the signing keys", cause=type(error).__name__)
            if self._fetched_at is None:
                raise IdentityUnavailableError from error
            # Keep using known keys, even a revoked one, until a fetch succeeds; retry after the interval.
            self._fetched_at = self._monotonic() - KEYS_MAX_AGE_S + UNKNOWN_KEY_INTERVAL_S
            return
        self._keys = {
            key.key_id: key
            for key in published
            if key.key_id and key.algorithm_name in ASYMMETRIC_ALGORITHMS  # never a shared secret
        }
        self._fetched_at = self._monotonic()


class IdentityVerifier:
    """Verifies Authorization headers. Without a `jwt_secret`, HS256 tokens are rejected."""

    def __init__(self, keys: SigningKeys, jwt_secret: str | None) -> None:
        self._keys = keys
        self._jwt_secret = jwt_secret

    @classmethod
    def of_project(cls, supabase_url: str, jwt_secret: str | None) -> "IdentityVerifier":
        """Create the verifier for a Supabase project. Does no I/O."""
        keys = SigningKeys(
            f"{supabase_url.rstrip('/')}/auth/v1/.well-known/jwks.json", httpx.Client(verify=tls.context())
        )
        return cls(keys, jwt_secret)

    def identify(self, authorization: str | None) -> SignedInUser:
        """Return the signed-in user. Raises UnauthenticatedError, IdentityUnavailableError."""
        scheme, _, token = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise UnauthenticatedError(reason="TOKEN_MISSING")
        try:
            claims = self._verified_claims(token.strip())
        except jwt.ExpiredSignatureError as error:
            raise UnauthenticatedError(reason="TOKEN_EXPIRED") from error
        except jwt.PyJWTError as error:
            raise UnauthenticatedError(reason="TOKEN_INVALID") from error
        return _user(claims)

    def _verified_claims(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        algorithm = str(header.get("alg"))  # unverified JSON: it could be anything
        # The algorithm determines the type of key, so a public key is never used as an HMAC secret.
        key: jwt.PyJWK | str | None = None
        if algorithm == "HS256":
            key = self._jwt_secret
        elif algorithm in ASYMMETRIC_ALGORITHMS and isinstance(header.get("kid"), str):
            published = self._keys.get(header["kid"])
            key = published if published and published.algorithm_name == algorithm else None
        if key is None:
            raise jwt.InvalidKeyError
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=AUDIENCE,
            leeway=CLOCK_SKEW_S,
            # `iat` does not limit validity (RFC 7519, 4.1.6): a slow clock here must not reject new tokens.
            options={"require": ["exp", "sub", "aud"], "verify_iat": False},
        )


def _user(claims: dict[str, Any]) -> SignedInUser:
    # Legacy API keys are also JWTs of this project, but with another role and no user.
    if claims.get("role") != ROLE:
        raise UnauthenticatedError(reason="TOKEN_INVALID")
    try:
        return SignedInUser(id=str(uuid.UUID(claims["sub"])))
    except (ValueError, TypeError, AttributeError) as error:
        raise UnauthenticatedError(reason="TOKEN_INVALID") from error
