"""Privacy callbacks: signed by Meta, about one person, with the time from which they count."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from instagram_connect.errors import InvalidRequestError, SignatureInvalidError
from instagram_connect.privacy.callbacks import (
    MAX_BODY_BYTES,
    TOLERANCE,
    new_confirmation_code,
    read_callback,
    was_made_here,
)
from tests.support.asking import (
    APP_SECRETS,
    CODE_KEY,
    FACEBOOK_SECRET,
    INSTAGRAM_SECRET,
    ISSUED_AT,
    PERSON,
    forgeries,
    form,
    said,
    signed,
)
from tests.support.fakes import NOW

NOW_S = int(NOW.timestamp())


def read(body: str | bytes, now: datetime = NOW) -> tuple[str, datetime]:
    return read_callback(body if isinstance(body, bytes) else body.encode(), APP_SECRETS, now)


@pytest.mark.parametrize("secret", [FACEBOOK_SECRET, INSTAGRAM_SECRET])
def test_request_signed_with_either_products_secret_is_accepted(secret: str) -> None:
    asked_at = datetime.fromtimestamp(ISSUED_AT, UTC) + TOLERANCE

    assert read(form(signed(said(), secret))) == (PERSON, asked_at)


def test_previous_secret_is_accepted_during_rotation() -> None:
    body = form(signed(said(), "the-former-secret")).encode()

    assert read_callback(body, {**APP_SECRETS, "previous_facebook_app_secret": "the-former-secret"}, NOW)[0] == PERSON


@pytest.mark.parametrize("name", forgeries())
def test_unsigned_request_is_rejected(name: str) -> None:
    with pytest.raises(SignatureInvalidError):
        read(form(forgeries()[name]))


@pytest.mark.parametrize(
    ("signed_request", "reason"),
    [
        ("", "SIGNATURE_MISSING"),
        ("no-dot", "SIGNATURE_MALFORMED"),
        (signed(said(), "another"), "SIGNATURE_MISMATCH"),
        (signed(said(algorithm="none")), "SIGNATURE_MALFORMED"),
    ],
)
def test_rejection_has_its_reason(signed_request: str, reason: str) -> None:
    with pytest.raises(SignatureInvalidError) as caught:
        read(form(signed_request))

    assert caught.value.reason == reason


def test_nothing_is_accepted_without_a_secret() -> None:
    with pytest.raises(SignatureInvalidError):
        read_callback(form(signed(said(), "")).encode(), {}, NOW)


def test_lower_case_algorithm_is_accepted() -> None:
    assert read(form(signed(said(algorithm="hmac-sha256"))))[0] == PERSON


def test_other_form_fields_are_ignored() -> None:
    assert read(f"user_id=666&{form(signed(said()))}&issued_at=1")[0] == PERSON


def test_percent_encoded_field_is_decoded() -> None:
    body = "".join(f"%{ord(character):02X}" for character in signed(said()))

    assert read(f"signed_request={body}")[0] == PERSON


@pytest.mark.parametrize("user_id", ["218471", 218471])
def test_user_id_may_be_text_or_a_number(user_id: object) -> None:
    assert read(form(signed(said(user_id=user_id))))[0] == "218471"


def test_large_numeric_id_stays_exact() -> None:
    assert read(form(signed(said(user_id=17841400000000001))))[0] == "17841400000000001"


@pytest.mark.parametrize("user_id", [None, "", True, 1.5, [], {"id": PERSON}, "7" * 501, "\ud800", "7\x00", "7 8"])
def test_request_without_a_user_id_is_rejected(user_id: object) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(form(signed(said(user_id=user_id))))

    assert "user_id" in caught.value.details


@pytest.mark.parametrize(
    "body",
    [
        "signed_request=é".encode(),
        b"signed_request=\xff",
        "&".join(f"field{number}=x" for number in range(21)).encode(),
    ],
)
def test_body_that_is_no_form_is_rejected(body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        read(body)


@pytest.mark.parametrize("body", ["", "&&&", "=", json.dumps({"signed_request": signed(said())}), signed(said())])
def test_form_without_a_signed_request_is_unsigned(body: str) -> None:
    with pytest.raises(SignatureInvalidError) as caught:
        read(body)

    assert caught.value.reason == "SIGNATURE_MISSING"


def test_body_size_is_limited() -> None:
    body = form(signed(said()))
    longest = f"{body}&more={'x' * (MAX_BODY_BYTES - len(body) - 6)}"
    assert len(longest) == MAX_BODY_BYTES

    assert read(longest)[0] == PERSON
    with pytest.raises(InvalidRequestError) as caught:
        read(f"{longest}x")

    assert str(MAX_BODY_BYTES) in caught.value.details


def test_error_does_not_quote_the_request() -> None:
    body = signed(said(user_id={"id": PERSON}))

    with pytest.raises(InvalidRequestError) as caught:
        read(form(body))

    told = f"{caught.value} {caught.value.details} {caught.value.log_context}"
    assert PERSON not in told
    assert body not in told


@pytest.mark.parametrize(
    ("issued_at", "counts_from"),
    [
        pytest.param(NOW_S - 300, NOW - timedelta(seconds=300) + TOLERANCE, id="recent"),
        pytest.param(NOW_S - 300.5, NOW - timedelta(seconds=300.5) + TOLERANCE, id="recent, with a fraction"),
        pytest.param(NOW_S - 86_399, NOW - timedelta(seconds=86_399) + TOLERANCE, id="almost a day old"),
        pytest.param(NOW_S - 60, NOW, id="a minute old"),
        pytest.param(NOW_S - 30, NOW, id="within the tolerance"),
        pytest.param(NOW_S, NOW, id="now"),
        pytest.param(NOW_S + 90, NOW, id="of a clock that is fast"),
        pytest.param(NOW_S + 10**8, NOW, id="of the future"),
        pytest.param(NOW_S * 1000, NOW, id="in milliseconds"),
        pytest.param(253_402_300_799, NOW, id="of the last second that has a date"),
        pytest.param(10**18, NOW, id="of no date"),
        pytest.param(-(10**18), NOW, id="of no date, in the past"),
        pytest.param(10**400, NOW, id="of no number that fits"),
        pytest.param(float("nan"), NOW, id="of no number"),
        pytest.param(float("inf"), NOW, id="of no end"),
        pytest.param(NOW_S - 86_400, NOW, id="a day old"),
        pytest.param(NOW_S - 7 * 86_400, NOW, id="stale"),
        pytest.param(0, NOW, id="of 1970"),
        pytest.param(None, NOW, id="absent"),
        pytest.param(str(NOW_S - 300), NOW, id="a text"),
        pytest.param(True, NOW, id="true"),
        pytest.param([NOW_S - 300], NOW, id="a list"),
    ],
)
def test_plausible_request_time_is_used(issued_at: Any, counts_from: datetime) -> None:
    """Otherwise from now, so that later logins stay and earlier ones do not."""
    _, asked_at = read(form(signed(said(issued_at=issued_at))))

    assert asked_at == counts_from
    assert asked_at.tzinfo is not None


def test_time_zone_of_the_clock_does_not_matter() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))

    assert read(form(signed(said())), elsewhere) == read(form(signed(said())))


def test_confirmation_codes_are_alphanumeric_and_unique() -> None:
    codes = {new_confirmation_code(CODE_KEY) for _ in range(50)}

    assert len(codes) == 50
    assert all(code.isascii() and code.isalnum() and len(code) == 40 for code in codes)


def test_confirmation_code_is_verified_with_the_key() -> None:
    code = new_confirmation_code(CODE_KEY)

    assert was_made_here(code, CODE_KEY)
    assert not was_made_here(code, "another-key")


@pytest.mark.parametrize("place", [0, 12, 23, 24, 31, 39])
def test_altered_confirmation_code_is_invalid(place: int) -> None:
    code = new_confirmation_code(CODE_KEY)
    other = "0" if code[place] != "0" else "1"

    assert not was_made_here(code[:place] + other + code[place + 1 :], CODE_KEY)


@pytest.mark.parametrize(
    "change",
    [
        lambda code: "",
        lambda code: code[:-1],
        lambda code: code[:24],
        lambda code: code + "0",
        lambda code: code + "\n",
        lambda code: code[:39] + "é",
        lambda code: "\ud800" + code[1:],
        lambda code: "\x00" * 40,
    ],
)
def test_malformed_confirmation_code_is_invalid(change: Any) -> None:
    assert not was_made_here(change(new_confirmation_code(CODE_KEY)), CODE_KEY)
