"""Identifying users: every kind of Supabase access token is accepted, and nothing else."""

import base64
import json
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from instagram_connect.errors import IdentityUnavailableError, InstagramConnectError, UnauthenticatedError
from instagram_connect.security.identity import UNKNOWN_KEY_INTERVAL_S, IdentityVerifier, SigningKeys

SECRET = "a-shared-secret-long-enough-for-every-hmac-algorithm-that-a-token-can-name"
USER = "7b0f1c5e-0000-4000-8000-000000000001"
FAR_FUTURE = 4102444800

EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def claims(**changes: Any) -> dict[str, Any]:
    return {"sub": USER, "aud": "authenticated", "role": "authenticated", "exp": FAR_FUTURE, **changes}


def hs256(secret: str = SECRET, **changes: Any) -> str:
    return jwt.encode({k: v for k, v in claims(**changes).items() if v is not None}, secret, algorithm="HS256")


def jwk(key: Any, key_id: str, algorithm: str) -> dict[str, Any]:
    kind = jwt.algorithms.get_default_algorithms()[algorithm]
    return {**json.loads(kind.to_jwk(key)), "kid": key_id, "alg": algorithm, "use": "sig"}


class FakeSupabaseAuth:
    """Publishes a key set, counts requests and can be down."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.fetches = 0
        self.is_down = False
        self.clock_s = 1000.0

    def respond(self, _: httpx.Request) -> httpx.Response:
        self.fetches += 1
        if self.is_down:
            return httpx.Response(503)
        return httpx.Response(200, json={"keys": self.keys})

    def verifier(self, secret: str | None = SECRET) -> IdentityVerifier:
        http = httpx.Client(transport=httpx.MockTransport(self.respond))
        keys = SigningKeys("https://project.example.com/jwks.json", http, monotonic=lambda: self.clock_s)
        return IdentityVerifier(keys, secret)


@pytest.fixture
def auth() -> FakeSupabaseAuth:
    return FakeSupabaseAuth()


def rejection(verifier: IdentityVerifier, authorization: str | None) -> str | None:
    with pytest.raises(UnauthenticatedError) as caught:
        verifier.identify(authorization)
    return caught.value.reason


def test_a_token_signed_with_the_shared_secret_identifies_its_user(auth: FakeSupabaseAuth) -> None:
    assert auth.verifier().identify(f"Bearer {hs256()}").id == USER


@pytest.mark.parametrize(("key", "algorithm"), [(EC_KEY, "ES256"), (RSA_KEY, "RS256")])
def test_a_token_signed_with_a_published_key_identifies_its_user(
    auth: FakeSupabaseAuth, key: Any, algorithm: str
) -> None:
    auth.keys = [jwk(key.public_key(), "k1", algorithm)]
    token = jwt.encode(claims(), key, algorithm=algorithm, headers={"kid": "k1"})

    assert auth.verifier(secret=None).identify(f"Bearer {token}").id == USER


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic abc", hs256()])
def test_a_missing_bearer_token_is_rejected(auth: FakeSupabaseAuth, authorization: str | None) -> None:
    assert rejection(auth.verifier(), authorization) == "TOKEN_MISSING"


@pytest.mark.parametrize(
    "token",
    [
        "rubbish",
        "a.b.c",
        "sb_secret_abcdef",
        "sb_publishable_abcdef",
        jwt.encode(claims(), "", algorithm="none"),
        hs256(secret="another-secret-long-enough-for-hs256-tokens"),
        hs256(aud="anon"),
        hs256(aud=None),
        hs256(exp=None),
        hs256(sub=None),
        hs256(sub="not-a-uuid"),
        hs256(sub=""),
        hs256(role="anon"),
        hs256(role=None),
        # A legacy service_role key: a JWT of the same project with another role and no user.
        jwt.encode({"iss": "supabase", "role": "service_role", "exp": FAR_FUTURE}, SECRET, algorithm="HS256"),
        hs256(role="service_role"),
        jwt.encode(claims(), SECRET, algorithm="HS512"),
        hs256() + "x",
    ],
)
def test_anything_but_a_valid_user_access_token_is_rejected(auth: FakeSupabaseAuth, token: str) -> None:
    assert rejection(auth.verifier(), f"Bearer {token}") == "TOKEN_INVALID"


def test_an_expired_token_is_reported_as_expired(auth: FakeSupabaseAuth) -> None:
    assert rejection(auth.verifier(), f"Bearer {hs256(exp=1)}") == "TOKEN_EXPIRED"


def test_a_token_issued_in_the_future_is_accepted(auth: FakeSupabaseAuth) -> None:
    """Our clock may be behind Supabase Auth's."""
    assert auth.verifier().identify(f"Bearer {hs256(iat=FAR_FUTURE - 3600)}").id == USER


def test_without_a_shared_secret_no_hs256_token_is_accepted(auth: FakeSupabaseAuth) -> None:
    assert rejection(auth.verifier(secret=None), f"Bearer {hs256()}") == "TOKEN_INVALID"


def test_a_public_key_cannot_be_used_as_a_shared_secret(auth: FakeSupabaseAuth) -> None:
    published = jwk(RSA_KEY.public_key(), "k1", "RS256")
    auth.keys = [published]
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "k1"}).encode()).rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(claims()).encode()).rstrip(b"=")
    import hashlib
    import hmac

    forged = hmac.new(published["n"].encode(), head + b"." + body, hashlib.sha256).digest()
    token = b".".join([head, body, base64.urlsafe_b64encode(forged).rstrip(b"=")]).decode()

    assert rejection(auth.verifier(), f"Bearer {token}") == "TOKEN_INVALID"


def test_a_shared_secret_in_the_key_set_is_not_used(auth: FakeSupabaseAuth) -> None:
    encoded = base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("=")
    auth.keys = [{"kty": "oct", "k": encoded, "kid": "k1", "alg": "HS256"}]
    token = jwt.encode(claims(), SECRET, algorithm="HS256", headers={"kid": "k1"})

    assert rejection(auth.verifier(secret=None), f"Bearer {token}") == "TOKEN_INVALID"


def test_keys_are_fetched_once_for_many_tokens(auth: FakeSupabaseAuth) -> None:
    auth.keys = [jwk(EC_KEY.public_key(), "k1", "ES256")]
    token = jwt.encode(claims(), EC_KEY, algorithm="ES256", headers={"kid": "k1"})
    verifier = auth.verifier()

    for _ in range(5):
        verifier.identify(f"Bearer {token}")

    assert auth.fetches == 1


def test_a_rotated_key_is_fetched_immediately(auth: FakeSupabaseAuth) -> None:
    auth.keys = [jwk(EC_KEY.public_key(), "old", "ES256")]
    verifier = auth.verifier()
    verifier.identify(f"Bearer {jwt.encode(claims(), EC_KEY, algorithm='ES256', headers={'kid': 'old'})}")
    new_key = ec.generate_private_key(ec.SECP256R1())
    auth.keys.append(jwk(new_key.public_key(), "new", "ES256"))

    token = jwt.encode(claims(), new_key, algorithm="ES256", headers={"kid": "new"})

    assert verifier.identify(f"Bearer {token}").id == USER
    assert auth.fetches == 2


def test_unknown_key_ids_do_not_flood_supabase(auth: FakeSupabaseAuth) -> None:
    verifier = auth.verifier()

    for number in range(20):
        token = jwt.encode(claims(), EC_KEY, algorithm="ES256", headers={"kid": f"invented-{number}"})
        rejection(verifier, f"Bearer {token}")
    within_interval = auth.fetches
    auth.clock_s += UNKNOWN_KEY_INTERVAL_S + 1
    rejection(verifier, f"Bearer {jwt.encode(claims(), EC_KEY, algorithm='ES256', headers={'kid': 'later'})}")

    assert within_interval == 2
    assert auth.fetches == 3


def test_an_outage_of_the_key_set_is_not_reported_as_an_invalid_token(auth: FakeSupabaseAuth) -> None:
    auth.is_down = True
    token = jwt.encode(claims(), EC_KEY, algorithm="ES256", headers={"kid": "k1"})

    with pytest.raises(IdentityUnavailableError):
        auth.verifier().identify(f"Bearer {token}")


def test_known_keys_survive_an_outage_of_the_key_set(auth: FakeSupabaseAuth) -> None:
    auth.keys = [jwk(EC_KEY.public_key(), "k1", "ES256")]
    token = jwt.encode(claims(), EC_KEY, algorithm="ES256", headers={"kid": "k1"})
    verifier = auth.verifier()
    verifier.identify(f"Bearer {token}")
    auth.is_down = True
    auth.clock_s += 3600

    assert verifier.identify(f"Bearer {token}").id == USER


@given(st.text(max_size=300), st.sampled_from(["", "Bearer ", "bearer  "]))
def test_any_authorization_header_raises_only_our_errors(text: str, scheme: str) -> None:
    with pytest.raises(UnauthenticatedError):
        FakeSupabaseAuth().verifier().identify(scheme + text)


@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64"]),
        st.none() | st.text() | st.integers() | st.just("ES256") | st.just("HS256") | st.lists(st.text()),
    ),
    st.binary(max_size=80),
)
def test_any_token_header_raises_only_our_errors(header: dict[str, Any], body: bytes) -> None:
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (json.dumps(header).encode(), body, b"s")]
    with pytest.raises(InstagramConnectError):
        FakeSupabaseAuth().verifier().identify("Bearer " + ".".join(parts))
