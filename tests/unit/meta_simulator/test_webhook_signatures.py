"""Valid and wrong webhook signatures over the received bytes."""

import base64
import hashlib
import hmac

import pytest

from tests.support.app_endpoint import AppEndpoint, Received
from tests.support.meta_client import MetaClient
from tests.support.webhook_sender import WebhookSender, message

SECRETS = {"instagram": "the-instagram-secret", "facebook": "the-app-secret"}
WRONG = ["absent", "sha1_only", "wrong_secret", "malformed", "short", "non_ascii"]


def sha256_of(received: Received, secret: str) -> bytes:
    return b"sha256=" + hmac.new(secret.encode(), received.body, hashlib.sha256).hexdigest().encode()


def sha1_of(received: Received, secret: str) -> bytes:
    return b"sha1=" + hmac.new(secret.encode(), received.body, hashlib.sha1).hexdigest().encode()


@pytest.mark.parametrize("product", ["instagram", "facebook"])
@pytest.mark.parametrize("signed_by", [None, "instagram", "facebook"])
def test_webhook_is_signed_with_its_products_secret_or_the_given_one(
    webhooks: WebhookSender, endpoint: AppEndpoint, product: str, signed_by: str | None
) -> None:
    webhooks.send(message(), product=product, signed_by=signed_by, even_if_not_subscribed=True)

    (received,) = endpoint.received
    secret = SECRETS[signed_by or product]
    assert received.headers["x-hub-signature-256"] == sha256_of(received, secret)
    assert received.headers["x-hub-signature"] == sha1_of(received, secret)
    assert received.headers["content-type"] == b"application/json"
    assert received.headers["user-agent"] == b"facebookexternalua"


@pytest.mark.parametrize(("product", "app_id"), [("instagram", "7777"), ("facebook", "1111")])
def test_replaced_secret_signs_later_webhooks(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint, product: str, app_id: str
) -> None:
    meta.control("POST", "/apps", {"id": app_id, "secret": "rotated", "product": product})

    webhooks.send(message(), signed_by=product)

    assert endpoint.received[0].headers["x-hub-signature-256"] == sha256_of(endpoint.received[0], "rotated")


@pytest.mark.parametrize("signature", WRONG)
def test_wrong_signature_is_invalid_for_both_secrets(
    webhooks: WebhookSender, endpoint: AppEndpoint, signature: str
) -> None:
    # Forged webhooks need no subscription.
    webhooks.send({"type": "message", "account": "estudio_ana"}, signature=signature)

    (received,) = endpoint.received
    sent = received.headers.get("x-hub-signature-256")
    assert sent not in [sha256_of(received, secret) for secret in SECRETS.values()]
    assert (sent is None) == (signature in ("absent", "sha1_only"))


def test_wrong_signatures_have_the_requested_defect(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    for signature in WRONG:
        webhooks.send(message(), signature=signature)

    sent = {
        signature: received.headers.get("x-hub-signature-256", b"")
        for signature, received in zip(WRONG, endpoint.received, strict=True)
    }
    assert len(sent["wrong_secret"]) == len("sha256=") + 64
    assert not sent["malformed"].startswith(b"sha256=")
    assert 0 < len(sent["short"]) - len("sha256=") < 64
    assert sent["non_ascii"].startswith(b"sha256=")
    assert not sent["non_ascii"].isascii()
    with_sha1 = [s for s, got in zip(WRONG, endpoint.received, strict=True) if "x-hub-signature" in got.headers]
    assert with_sha1 == ["sha1_only", "wrong_secret", "malformed", "short", "non_ascii"]
    sha1_only = endpoint.received[1]
    assert sha1_only.headers["x-hub-signature"] == sha1_of(sha1_only, SECRETS["instagram"])


@pytest.mark.parametrize("body", [b"", b"{not json", "é".encode(), b"\xff\xfe\x00"])
def test_any_raw_body_is_sent_unchanged_and_signed(webhooks: WebhookSender, endpoint: AppEndpoint, body: bytes) -> None:
    webhooks.send_raw(raw_base64=base64.b64encode(body).decode())

    (received,) = endpoint.received
    assert received.body == body
    assert received.headers["x-hub-signature-256"] == sha256_of(received, SECRETS["instagram"])


def test_raw_body_can_be_given_as_text(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    webhooks.send_raw(raw_text='{"object": "é"}')

    assert endpoint.received[0].body == '{"object": "é"}'.encode()
