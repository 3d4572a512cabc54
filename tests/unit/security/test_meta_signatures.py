"""Verifying Meta's signatures over the raw bytes, with the app secrets of the deployment."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from instagram_connect.errors import ConfigurationError, InvalidRequestError, SignatureInvalidError
from instagram_connect.runtime.settings import SECRETS_AGE_S, CurrentSecrets, Secrets
from instagram_connect.security.meta_signatures import app_secrets, by_current, check_webhook, read_signed_request

INSTAGRAM, FACEBOOK, OLD_INSTAGRAM, OLD_FACEBOOK = "the-instagram-secret", "the-facebook-secret", "old-i", "old-f"
KNOWN = {
    "instagram_app_secret": INSTAGRAM,
    "facebook_app_secret": FACEBOOK,
    "previous_instagram_app_secret": OLD_INSTAGRAM,
    "previous_facebook_app_secret": OLD_FACEBOOK,
}
BODY = rb'{"object":"instagram","entry":[{"id":"1784","messaging":[{"message":{"text":"caf\u00e9 \/ open?"}}]}]}'
# Computed with: printf '%s' "$BODY" | openssl dgst -sha256 -hmac the-instagram-secret
DIGEST = "d4d5af9de00ee3f12f3c22099c1176386bd7cfabc1e8b9843268c0507791aa0b"
SAYS = {"algorithm": "HMAC-SHA256", "issued_at": 1_769_000_000, "user_id": "218471"}


def digest_of(message: bytes, secret: str = INSTAGRAM, algorithm: str = "sha256") -> bytes:
    """HMAC after RFC 2104, independent of the code under test."""
    key = secret.encode().ljust(64, b"\0")
    inner = hashlib.new(algorithm, bytes(byte ^ 0x36 for byte in key) + message).digest()
    return hashlib.new(algorithm, bytes(byte ^ 0x5C for byte in key) + inner).digest()


def header(body: bytes = BODY, secret: str = INSTAGRAM) -> str:
    return f"sha256={digest_of(body, secret).hex()}"


def encoded(value: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def signed(payload: str, secret: str = INSTAGRAM) -> str:
    """Sign an encoded payload."""
    return f"{encoded(digest_of(payload.encode(), secret))}.{payload}"


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def saying(value: Any) -> str:
    """Encode a payload."""
    return encoded(as_json(value))


def webhook_rejection(given_header: str | None, body: bytes = BODY) -> str | None:
    with pytest.raises(SignatureInvalidError) as rejected:
        check_webhook(given_header, body, KNOWN)
    return rejected.value.reason


def request_rejection(text: str) -> str | None:
    with pytest.raises(SignatureInvalidError) as rejected:
        read_signed_request(text, KNOWN)
    return rejected.value.reason


def test_known_signature_is_valid() -> None:
    assert check_webhook(f"sha256={DIGEST}", BODY, KNOWN) == "instagram_app_secret"


@pytest.mark.parametrize(("name", "secret"), KNOWN.items())
def test_each_secret_of_the_deployment_is_accepted(name: str, secret: str) -> None:
    assert check_webhook(header(secret=secret), BODY, KNOWN) == name


@pytest.mark.parametrize("name", KNOWN)
def test_removed_secret_is_not_accepted(name: str) -> None:
    left = {other: secret for other, secret in KNOWN.items() if other != name}

    with pytest.raises(SignatureInvalidError) as rejected:
        check_webhook(header(secret=KNOWN[name]), BODY, left)

    assert rejected.value.reason == "SIGNATURE_MISMATCH"


def test_no_signature_is_valid_without_secrets() -> None:
    with pytest.raises(SignatureInvalidError):
        check_webhook(header(secret=""), BODY, {})


@pytest.mark.parametrize("body", [b"", b"\xff\x00", "é😀".encode(), b"x" * 3_000_000])
def test_any_bytes_can_be_signed(body: bytes) -> None:
    assert check_webhook(header(body), body, KNOWN) == "instagram_app_secret"
    assert webhook_rejection(header(body), body + b" ") == "SIGNATURE_MISMATCH"


def test_reserialised_body_does_not_match() -> None:
    assert webhook_rejection(header(), json.dumps(json.loads(BODY)).encode()) == "SIGNATURE_MISMATCH"
    assert webhook_rejection(header(), BODY.replace(rb"\u00e9", "é".encode())) == "SIGNATURE_MISMATCH"


def test_signature_with_an_unknown_secret_does_not_match() -> None:
    assert webhook_rejection(header(secret="somebody's")) == "SIGNATURE_MISMATCH"
    assert webhook_rejection(f"sha256={'0' * 64}") == "SIGNATURE_MISMATCH"


@pytest.mark.parametrize("missing", [None, ""])
def test_absent_header_is_reported_as_missing(missing: str | None) -> None:
    assert webhook_rejection(missing) == "SIGNATURE_MISSING"


@pytest.mark.parametrize(
    "malformed",
    [
        " ",
        "sha256=",
        DIGEST,
        f"sha1={digest_of(BODY, algorithm='sha1').hex()}",
        f"sha1={DIGEST}",
        f"sha256={digest_of(BODY, algorithm='sha1').hex()}",
        f"sha256={DIGEST.upper()}",
        f"SHA256={DIGEST}",
        f"sha256={DIGEST[:-1]}",
        f"sha256={DIGEST[:-2]}",
        f"sha256={DIGEST}0",
        f"sha256={DIGEST}{DIGEST}",
        f"sha256= {DIGEST}",
        f"sha256 ={DIGEST}",
        f"sha256:{DIGEST}",
        f"sha256={DIGEST},sha256={DIGEST}",
        f"sha256={DIGEST}\nsha256={DIGEST}",
        f"sha256=0x{DIGEST[2:]}",
        f"sha256={'é' * 64}",
        f"sha256={'٣' * 64}",
        f"sha256={DIGEST[:-1]}\ud800",
        f"sha256={DIGEST[:-1]}\x00",
        f"sha256={base64.b64encode(digest_of(BODY)).decode()}",
    ],
)
def test_header_in_another_format_is_malformed(malformed: str) -> None:
    assert webhook_rejection(malformed) == "SIGNATURE_MALFORMED"


@pytest.mark.parametrize("around", [" {}", "{} ", "\t{}\r\n"])
def test_white_space_around_a_header_is_ignored(around: str) -> None:
    assert check_webhook(around.format(header()), BODY, KNOWN) == "instagram_app_secret"


@given(st.text(st.characters(exclude_categories=())) | st.from_regex(r"sha256=[0-9a-fA-F]{60,68}\s?"), st.binary())
def test_any_header_and_body_raise_only_our_error(given_header: str, body: bytes) -> None:
    assert webhook_rejection(given_header, body) in ("SIGNATURE_MISSING", "SIGNATURE_MALFORMED", "SIGNATURE_MISMATCH")


@given(st.binary(max_size=200), st.sampled_from(list(KNOWN)))
def test_signature_matches_only_the_signed_body(body: bytes, name: str) -> None:
    assert check_webhook(header(body, KNOWN[name]), body, KNOWN) == name
    assert webhook_rejection(header(body, KNOWN[name]), body + b"\0") == "SIGNATURE_MISMATCH"


def test_secrets_include_both_products_and_previous_values() -> None:
    secrets = Secrets({**KNOWN, "state_signing_key": "k", "webhook_verify_token": "t"})

    assert app_secrets(secrets) == KNOWN


@pytest.mark.parametrize("name", KNOWN)
def test_one_secret_is_enough(name: str) -> None:
    blank = dict.fromkeys(KNOWN, " ")

    assert app_secrets(Secrets({name: f" {KNOWN[name]}\n"})) == {name: KNOWN[name]}
    assert app_secrets(Secrets({**blank, name: KNOWN[name]})) == {name: KNOWN[name]}


@pytest.mark.parametrize("values", [{}, dict.fromkeys(KNOWN, ""), dict.fromkeys(KNOWN, " \n"), dict.fromkeys(KNOWN)])
def test_deployment_without_app_secrets_is_misconfigured(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as missing:
        app_secrets(Secrets({**values, "state_signing_key": "the-key"}))

    assert missing.value.log_context == {"secret_key": "instagram_app_secret or facebook_app_secret"}


class Replaced:
    """Secrets that were read a while ago and replaced since; counts the checks."""

    def __init__(self, new: dict[str, Any], age_s: float = SECRETS_AGE_S) -> None:
        self.now_s = 1000.0
        self.values: dict[str, Any] = {"instagram_app_secret": INSTAGRAM}
        self.checked: list[dict[str, str]] = []
        self.current = CurrentSecrets(lambda: Secrets(dict(self.values)), lambda: self.now_s)
        self.current.get()
        self.values, self.now_s = new, self.now_s + age_s

    def check(self, signed_header: str | None) -> str:
        """Check the body with this header."""

        def check(known: Mapping[str, str]) -> str:
            self.checked.append(dict(known))
            return check_webhook(signed_header, BODY, known)

        return by_current(self.current, check)


def test_signature_with_a_known_secret_is_checked_once() -> None:
    replaced = Replaced({"instagram_app_secret": "new"})

    assert replaced.check(header()) == "instagram_app_secret"

    assert replaced.checked == [{"instagram_app_secret": INSTAGRAM}]


def test_signature_with_a_newer_secret_is_checked_again() -> None:
    replaced = Replaced({"facebook_app_secret": "new"})

    assert replaced.check(header(secret="new")) == "facebook_app_secret"

    assert replaced.checked == [{"instagram_app_secret": INSTAGRAM}, {"facebook_app_secret": "new"}]
    assert replaced.check(header(secret="new")) == "facebook_app_secret"
    assert len(replaced.checked) == 3


def test_forged_signature_is_rejected_with_the_newer_secrets_too() -> None:
    replaced = Replaced({"instagram_app_secret": "new"})

    with pytest.raises(SignatureInvalidError) as rejected:
        replaced.check(header(secret="somebody's"))

    assert (rejected.value.reason, len(replaced.checked)) == ("SIGNATURE_MISMATCH", 2)


@pytest.mark.parametrize("secret", ["new", "somebody's"])
def test_wrong_signature_is_checked_once_while_the_secrets_are_fresh(secret: str) -> None:
    replaced = Replaced({"instagram_app_secret": "new"}, SECRETS_AGE_S - 1)

    with pytest.raises(SignatureInvalidError):
        replaced.check(header(secret=secret))

    assert len(replaced.checked) == 1


@pytest.mark.parametrize(
    ("unsigned", "reason"), [(None, "SIGNATURE_MISSING"), ("sha256=0", "SIGNATURE_MALFORMED")], ids=str
)
def test_missing_or_malformed_signature_does_not_reload_the_secrets(unsigned: str | None, reason: str) -> None:
    replaced = Replaced({"instagram_app_secret": "new"})

    with pytest.raises(SignatureInvalidError) as rejected:
        replaced.check(unsigned)

    assert (rejected.value.reason, len(replaced.checked)) == (reason, 1)
    assert replaced.check(header()) == "instagram_app_secret"  # the old ones


def test_newer_secrets_without_app_secrets_are_a_misconfiguration() -> None:
    replaced = Replaced({"state_signing_key": "k"})

    with pytest.raises(ConfigurationError):
        replaced.check(header(secret="new"))


def test_other_errors_do_not_reload_the_secrets() -> None:
    replaced = Replaced({"instagram_app_secret": "new"})
    checked = []

    def refuse(known: Mapping[str, str]) -> str:
        checked.append(known)
        raise InvalidRequestError("no id")

    with pytest.raises(InvalidRequestError):
        by_current(replaced.current, refuse)

    assert len(checked) == 1


def test_known_signed_request_is_parsed() -> None:
    """Made with openssl and basenc."""
    signature = "JGjOtIkChJ4zLHef3CtmuCEozC-WGbVjB-OfwS4XECU"
    payload = "eyJhbGdvcml0aG0iOiJITUFDLVNIQTI1NiIsImlzc3VlZF9hdCI6MTc2OTAwMDAwMCwidXNlcl9pZCI6IjIxODQ3MSJ9"

    assert read_signed_request(f"{signature}.{payload}", KNOWN) == SAYS


@pytest.mark.parametrize("secret", KNOWN.values())
@pytest.mark.parametrize("user_id", ["218471", 218471, "17841400000000001", None])
def test_signed_request_returns_its_payload(secret: str, user_id: Any) -> None:
    says = {**SAYS, "user_id": user_id, "expires": 1_769_003_600}

    assert read_signed_request(signed(saying(says), secret), KNOWN) == says


@pytest.mark.parametrize("spare", range(4))
def test_payload_is_parsed_with_and_without_padding(spare: int) -> None:
    says = {**SAYS, "é": "ÿ" * spare}
    payload = base64.urlsafe_b64encode(json.dumps(says, ensure_ascii=False).encode()).decode()
    bare = signed(payload.rstrip("="))

    assert read_signed_request(bare, KNOWN) == says
    assert read_signed_request(signed(payload), KNOWN) == says
    assert read_signed_request(bare.replace(".", "=.", 1), KNOWN) == says


@pytest.mark.parametrize("algorithm", ["HMAC-SHA256", "hmac-sha256", "Hmac-Sha256"])
def test_algorithm_is_case_insensitive(algorithm: str) -> None:
    assert read_signed_request(signed(saying({**SAYS, "algorithm": algorithm})), KNOWN)["algorithm"] == algorithm


@pytest.mark.parametrize("algorithm", ["HMAC-SHA1", "none", "", None, 256, [], {}, ["HMAC-SHA256"], "HMAC-SHA256 "])
def test_another_algorithm_is_rejected_despite_a_valid_signature(algorithm: Any) -> None:
    assert request_rejection(signed(saying({**SAYS, "algorithm": algorithm}))) == "SIGNATURE_MALFORMED"
    assert request_rejection(signed(saying({"user_id": "218471"}))) == "SIGNATURE_MALFORMED"


def test_signature_over_the_decoded_payload_is_rejected() -> None:
    plain = json.dumps(SAYS).encode()

    assert request_rejection(f"{encoded(digest_of(plain))}.{encoded(plain)}") == "SIGNATURE_MISMATCH"


def test_modified_payload_is_rejected() -> None:
    signature, _ = signed(saying(SAYS)).split(".")

    assert request_rejection(f"{signature}.{saying({**SAYS, 'user_id': '1'})}") == "SIGNATURE_MISMATCH"
    assert request_rejection(f"{signature}.{saying(SAYS)}=") == "SIGNATURE_MISMATCH"


@pytest.mark.parametrize("secret", ["somebody's", " the-instagram-secret", "THE-INSTAGRAM-SECRET"])
def test_request_signed_with_another_secret_is_rejected(secret: str) -> None:
    assert request_rejection(signed(saying(SAYS), secret)) == "SIGNATURE_MISMATCH"


def test_no_request_is_valid_without_secrets() -> None:
    with pytest.raises(SignatureInvalidError):
        read_signed_request(signed(saying(SAYS), ""), {})


def test_empty_request_is_reported_as_missing() -> None:
    assert request_rejection("") == "SIGNATURE_MISSING"


@pytest.mark.parametrize(
    "text",
    [
        "no-dot",
        saying(SAYS),
        f"é.{saying(SAYS)}",
        f"\ud800.{saying(SAYS)}",
        f"{encoded(digest_of(b'x'))}.é",
        f"{encoded(digest_of(b'x'))}.\ud800",
        f"!!!.{saying(SAYS)}",
        f"a.{saying(SAYS)}",
        f"{'=' * 4}.{saying(SAYS)}",
        f"ab cd.{saying(SAYS)}",
    ],
)
def test_request_in_another_format_is_malformed(text: str) -> None:
    assert request_rejection(text) == "SIGNATURE_MALFORMED"


@pytest.mark.parametrize("text", [".", f".{saying(SAYS)}", f"{encoded(digest_of(b'x'))}.", "YWJj.YWJj"])
def test_short_or_empty_signature_does_not_match(text: str) -> None:
    assert request_rejection(text) == "SIGNATURE_MISMATCH"


def test_payload_with_a_dot_is_rejected() -> None:
    assert request_rejection(f"{signed(saying(SAYS))}.{saying(SAYS)}") == "SIGNATURE_MISMATCH"
    assert request_rejection(signed(f"{saying(SAYS)}.{saying(SAYS)}")) == "SIGNATURE_MALFORMED"


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "a",
        "!!!!",
        encoded(b""),
        encoded(b"no json"),
        encoded(b"\xff\xfe\x00"),
        encoded(b"[" * 100_000),
        encoded(b'{"a":' * 100_000),
        encoded(b'{"user_id":' + b"9" * 5000 + b"}"),
        *map(saying, [None, True, 1, "text", [], [SAYS], {}]),
    ],
    ids=lambda value: value[:20],
)
def test_unreadable_signed_payload_is_malformed(payload: str) -> None:
    assert request_rejection(signed(payload)) == "SIGNATURE_MALFORMED"


def test_deeply_nested_payload_is_malformed() -> None:
    """Python's recursion limit lies between these depths."""
    for depth in range(900, 1000):
        payload = encoded(f'{{"algorithm":{"[" * depth}{"]" * depth}}}'.encode())

        assert request_rejection(signed(payload)) == "SIGNATURE_MALFORMED"


PIECES = (
    st.text("AQgw-_=", max_size=8) | st.binary(max_size=32).map(encoded) | st.text(st.characters(exclude_categories=()))
)


@given(PIECES, PIECES)
@example("", "")
def test_any_request_raises_only_our_error(first: str, second: str) -> None:
    for text in (first, f"{first}.{second}", f"{first}.{second}.{first}"):
        assert request_rejection(text) in ("SIGNATURE_MISSING", "SIGNATURE_MALFORMED", "SIGNATURE_MISMATCH")


@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(str.encode)
    | st.recursive(
        st.none() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.just("algorithm") | st.text(max_size=5), inner, max_size=2)
        ),
        max_leaves=6,
    ).map(as_json)
)
def test_any_signed_payload_raises_only_our_error(said: bytes) -> None:
    assert request_rejection(signed(encoded(said))) == "SIGNATURE_MALFORMED"


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3))
def test_any_signed_object_is_returned(says: dict[str, Any]) -> None:
    said = {**says, "algorithm": "HMAC-SHA256"}

    assert read_signed_request(signed(saying(said)), KNOWN) == said


def test_errors_quote_neither_signature_nor_body_nor_secret() -> None:
    with pytest.raises(SignatureInvalidError) as rejected:
        check_webhook(header(secret="somebody's"), BODY, KNOWN)

    text = f"{rejected.value!r} {rejected.value.details} {rejected.value.log_context}"
    assert not [one for one in (*KNOWN.values(), header(secret="somebody's")[7:], "caf") if one in text]
