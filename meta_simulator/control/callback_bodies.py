"""The bodies of control requests that make the simulator call the app."""

import base64
import binascii
from typing import Annotated

from pydantic import Field, model_validator

from meta_simulator.control.bodies import ControlRequest, Text
from meta_simulator.meta_apps import Product
from meta_simulator.outgoing import MAX_AT_ONCE, LoopbackUrl
from meta_simulator.signed_requests import Forgery
from meta_simulator.webhooks.batches import MAX_UPDATES_PER_POST, TopLevel
from meta_simulator.webhooks.events import MAX_UPDATES, WebhookEvent
from meta_simulator.webhooks.signatures import Signature


class WebhookVerification(ControlRequest):
    """A webhook verification request. Defaults: the configured URL and token, a random challenge."""

    url: LoopbackUrl | None = None
    verify_token: str | None = Field(default=None, repr=False)
    challenge: Text | None = None
    mode: str = "subscribe"


class WebhookDeliveries(ControlRequest):
    """Webhooks to send: described events, or one raw body.

    Each delivery is sent `repeat` times, in the given order, or shuffled with the seed `shuffle`.
    """

    product: Product = "instagram"
    events: Annotated[list[WebhookEvent], Field(default_factory=list, max_length=MAX_UPDATES)]
    raw_text: str | None = None
    raw_base64: str | None = None
    updates_per_post: Annotated[int, Field(ge=1, le=MAX_UPDATES_PER_POST)] = 1
    top_level: TopLevel = "object"
    repeat: Annotated[int, Field(ge=1, le=MAX_UPDATES)] = 1
    shuffle: int | None = None
    at_once: Annotated[int, Field(ge=1, le=MAX_AT_ONCE)] = 1
    signature: Signature = Signature.VALID
    signed_by: Product | None = None
    even_if_not_subscribed: bool = False
    retry: bool = True
    url: LoopbackUrl | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> "WebhookDeliveries":
        given = [self.events or None, self.raw_text, self.raw_base64]
        if sum(each is not None for each in given) != 1:
            raise ValueError("send one of events, raw_text and raw_base64")
        updates = sum(event.count for event in self.events) * self.repeat
        if updates > MAX_UPDATES:
            raise ValueError(f"{updates} updates requested, the limit is {MAX_UPDATES} per request")
        try:
            self.raw_body()
        except binascii.Error as error:
            raise ValueError("raw_base64 is not base64") from error
        return self

    def raw_body(self) -> bytes | None:
        """Return the raw body, or None if the request describes events."""
        if self.raw_base64 is not None:
            return base64.b64decode(self.raw_base64, validate=True)
        return None if self.raw_text is None else self.raw_text.encode()


class PrivacyCallback(ControlRequest):
    """A signed request about an existing `person`, or about any `user_id`."""

    product: Product = "facebook"
    person: Text | None = None
    user_id: Text | None = None
    professional_id: bool = False
    user_id_as_number: bool = False
    expires_in_seconds: int | None = None
    signed_by: Product | None = None
    forgery: Forgery | None = None
    url: LoopbackUrl | None = None

    @model_validator(mode="after")
    def _check(self) -> "PrivacyCallback":
        if (self.person is None) == (self.user_id is None):
            raise ValueError("send either person or user_id")
        if self.professional_id and (self.person is None or self.product != "instagram"):
            raise ValueError("professional_id requires a person and the product instagram")
        if self.user_id_as_number and self.user_id is not None and not self.user_id.isdecimal():
            raise ValueError("user_id is not a number")
        return self
