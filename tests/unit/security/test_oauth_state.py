"""A state is valid only for the login it was issued for, and only for a limited time."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instagram_connect.errors import ConfigurationError, OAuthStateError
from instagram_connect.models import Provider
from instagram_connect.security.oauth_state import AUDIENCE, LIFETIME, LoginState, StateSigner
from tests.support.fakes import NOW, USER_ID

KEY = "a-signing-key-that-is-long-enough-for-hs256"
OTHER_USER_ID = "7b0f1c5e-0000-4000-8000-000000000002"
REDIRECT_URI = "https://app.example.com/callback?from=ünïcode"


def signer(now: datetime = NOW, key: str = KEY) -> StateSigner:
    return StateSigner(key, lambda: now)


def issued() -> tuple[str, LoginState]:
    return signer().issue(USER_ID, Provider.INSTAGRAM, REDIRECT_URI)


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a valid state, with changes; a claim changed to ... is omitted."""
    said = {
        "aud": AUDIENCE,
        "jti": "an-id",
        "sub": USER_ID,
        "provider": "instagram",
        "redirect_uri": REDIRECT_URI,
        "exp": int((NOW + LIFETIME).timestamp()),
        **changes,
    }
    return {name: value for name, value in said.items() if value is not ...}


def segment(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def in_segments(header: str, body: str) -> str:
    """A JWT with a made-up signature."""
    return f"{segment(header)}.{segment(body)}.c2ln"


def reason_of_reading(text: str, reader: StateSigner | None = None) -> str | None:
    with pytest.raises(OAuthStateError) as caught:
        (reader or signer()).read(text)
    return caught.value.reason


def reason_of_checking(state: LoginState, reader: StateSigner | None = None, **login: Any) -> str | None:
    made_for = {"user_id": USER_ID, "provider": Provider.INSTAGRAM, "redirect_uri": REDIRECT_URI}
    with pytest.raises(OAuthStateError) as caught:
        (reader or signer()).check(state, **{**made_for, **login})
    return caught.value.reason


def test_issued_state_is_valid_for_its_login() -> None:
    text, state = issued()

    read = signer().read(text)
    signer().check(read, USER_ID, Provider.INSTAGRAM, REDIRECT_URI)

    assert read == state
    assert (read.user_id, read.provider, read.redirect_uri) == (USER_ID, Provider.INSTAGRAM, REDIRECT_URI)
    assert read.expires_at == NOW + timedelta(minutes=30)


def test_state_survives_a_clock_with_microseconds() -> None:
    reader = signer(NOW + timedelta(microseconds=999_999))

    text, state = reader.issue(USER_ID, Provider.FACEBOOK, REDIRECT_URI)

    assert reader.read(text) == state


def test_state_ids_are_unguessable_and_differ() -> None:
    ids = {issued()[1].id for _ in range(200)}

    assert len(ids) == 200
    assert {len(base64.urlsafe_b64decode(f"{id_}==")) for id_ in ids} == {16}


def test_state_needs_no_url_encoding() -> None:
    text, _ = signer().issue(USER_ID, Provider.INSTAGRAM, "https://app.example.com/" + "x" * 500)

    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_state_signed_with_another_key_is_rejected() -> None:
    text, _ = signer(key=KEY[::-1]).issue(USER_ID, Provider.INSTAGRAM, REDIRECT_URI)

    assert reason_of_reading(text) == "STATE_INVALID"


@pytest.mark.parametrize(
    "claim", [{"sub": OTHER_USER_ID}, {"redirect_uri": "https://evil.example.com"}, {"exp": 2**33}]
)
def test_modified_state_is_rejected(claim: dict[str, Any]) -> None:
    header, _, signature = jwt.encode(claims(), KEY, "HS256").split(".")
    changed = segment(json.dumps(claims(**claim)))

    assert reason_of_reading(f"{header}.{changed}.{signature}") == "STATE_INVALID"


def test_truncated_state_is_rejected() -> None:
    text, _ = issued()

    assert {reason_of_reading(text[:length]) for length in range(len(text))} == {"STATE_INVALID"}


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None])
def test_unsigned_state_is_rejected(algorithm: str | None) -> None:
    header, body = segment(json.dumps({"alg": algorithm, "typ": "JWT"})), segment(json.dumps(claims()))

    assert reason_of_reading(f"{header}.{body}.") == "STATE_INVALID"
    assert reason_of_reading(f"{header}.{body}.{jwt.encode(claims(), KEY, 'HS256').split('.')[2]}") == "STATE_INVALID"


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_only_one_algorithm_is_accepted(algorithm: str) -> None:
    text = jwt.encode(claims(), KEY * 2, algorithm)

    assert reason_of_reading(text, signer(key=KEY * 2)) == "STATE_INVALID"


@pytest.mark.parametrize("audience", ["authenticated", AUDIENCE.upper(), "", None, [], ["authenticated"], ...])
def test_token_for_another_audience_is_rejected(audience: Any) -> None:
    text = jwt.encode(claims(aud=audience), KEY, "HS256")

    assert reason_of_reading(text) == "STATE_INVALID"


@pytest.mark.parametrize(
    "claim",
    [
        {"jti": ...},
        {"jti": 5},
        {"sub": ...},
        {"sub": 5},
        {"provider": ...},
        {"provider": "myspace"},
        {"provider": None},
        {"redirect_uri": ...},
        {"exp": ...},
        {"exp": None},
    ],
)
def test_signed_state_with_a_missing_or_invalid_claim_is_rejected(claim: dict[str, Any]) -> None:
    assert reason_of_reading(jwt.encode(claims(**claim), KEY, "HS256")) == "STATE_INVALID"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "..",
        "...",
        "a.b.c",
        "null",
        "\0",
        "\ud800",
        "é.é.é",
        "%2e%2e",
        in_segments("null", "{}"),
        in_segments("[]", "{}"),
        in_segments('{"alg": ["HS256"]}', "{}"),
        in_segments('{"alg": {}}', "{}"),
        in_segments('{"alg": "HS256", "crit": ["x"]}', "{}"),
        in_segments('{"alg": "HS256", "b64": false}', "{}"),
        in_segments("[" * 3_000, "{}"),
        in_segments("1" * 3_000, "{}"),
        in_segments('{"alg": "HS256"}', "[" * 2_000),
        "x" * 4_096,
    ],
)
def test_malformed_text_raises_our_error(text: str) -> None:
    assert reason_of_reading(text) == "STATE_INVALID"


@given(st.text() | st.text("ABCabc019-_.=", min_size=1) | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_arbitrary_text_is_never_a_valid_state(text: str) -> None:
    assert reason_of_reading(text) == "STATE_INVALID"


def test_expired_state_is_readable_but_invalid() -> None:
    text, _ = issued()
    last_moment, end = NOW + LIFETIME - timedelta(seconds=1), NOW + LIFETIME

    state = signer(end).read(text)

    signer(last_moment).check_age(state)
    with pytest.raises(OAuthStateError) as caught:
        signer(end).check_age(state)
    assert caught.value.reason == "STATE_EXPIRED"
    assert state.expires_at == end.astimezone(UTC)


def test_state_of_another_user_is_rejected() -> None:
    _, state = issued()

    assert reason_of_checking(state, user_id=OTHER_USER_ID) == "STATE_OF_ANOTHER_USER"


@pytest.mark.parametrize(
    "login", [{"provider": Provider.FACEBOOK}, {"redirect_uri": f"{REDIRECT_URI}/"}, {"redirect_uri": ""}]
)
def test_state_is_valid_only_for_its_provider_and_redirect_uri(login: dict[str, Any]) -> None:
    _, state = issued()

    assert reason_of_checking(state, **login) == "STATE_MISMATCH"


def test_another_users_state_is_reported_before_other_mismatches() -> None:
    _, state = issued()
    strange = {"user_id": OTHER_USER_ID, "provider": Provider.FACEBOOK}

    assert reason_of_checking(state, signer(NOW + 2 * LIFETIME), **strange) == "STATE_OF_ANOTHER_USER"


def test_errors_do_not_quote_the_state() -> None:
    text, _ = issued()

    with pytest.raises(OAuthStateError) as caught:
        signer(key=KEY[::-1]).read(text)

    assert text not in f"{caught.value!r} {caught.value.details} {caught.value.log_context}"


def test_short_key_is_rejected() -> None:
    with pytest.raises(ConfigurationError) as caught:
        signer(key="short")
    assert "short" not in str(caught.value.log_context["secret_key"])
