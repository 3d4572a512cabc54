"""Sending webhooks through the control API."""

from typing import Any

from meta_simulator.simulator import Simulator
from tests.support.app_endpoint import URL
from tests.support.instagram_client import CAFE
from tests.support.meta_client import MetaClient


class WebhookSender:
    """Sends webhooks to the app. The café is subscribed with Instagram Login."""

    def __init__(self, meta: MetaClient, simulator: Simulator) -> None:
        self._meta = meta
        self._simulator = simulator
        meta.control("POST", "/callbacks", {"webhook_url": URL, "webhook_verify_token": "the-verify-token"})
        self.subscribe(CAFE)

    def subscribe(self, account_id: str) -> None:
        app_id = self._simulator.instagram_app.id
        self._simulator.instagram_subscriptions.subscribe(account_id, app_id, ("messages",), account_id)

    def send(self, *events: dict[str, object], **options: object) -> Any:
        return self._meta.control("POST", "/webhooks/deliveries", {"events": list(events), **options})

    def send_raw(self, **options: object) -> Any:
        return self._meta.control("POST", "/webhooks/deliveries", options)

    @property
    def outbox(self) -> Any:
        return self._meta.control("GET", "/webhooks/deliveries")


def message(**fields: object) -> dict[str, object]:
    """Return an event: a message to the café."""
    return {"type": "message", "account": CAFE, **fields}
